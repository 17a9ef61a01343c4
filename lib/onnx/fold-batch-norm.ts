import type { Graph } from '../network/graph.js'
import type { BatchNormOp, ConvOp, DepthwiseOp, Op } from '../network/ops.generated.js'

/** Reads a parameter by name. */
export type Parameters = (name: string) => Float32Array

export interface WeightedGraph {
  readonly graph: Graph
  readonly parameter: Parameters
}

/** Added to the variance of a batch norm. */
export const epsilon = 1e-5

/**
 * The same function with every batch norm that directly follows a convolution folded into its weight and bias. Norms elsewhere
 * stay. Folded parameters are computed when they are asked for.
 */
export function foldBatchNorm({ graph, parameter }: WeightedGraph): WeightedGraph {
  const uses = new Map<string, number>([[graph.output, 1]])
  for (const op of graph.ops) for (const input of op.inputs) if (input !== undefined) uses.set(input, (uses.get(input) ?? 0) + 1)
  const norms = new Map<string, BatchNormOp>()
  for (const op of graph.ops) if (op.op === 'batch_norm' && uses.get(op.inputs[0]) === 1) norms.set(op.inputs[0], op)

  const folded = new Map<string, () => Float32Array>()
  const shapes: Record<string, readonly number[]> = { ...graph.parameters }
  const gone = new Set<Op>()
  const ops = graph.ops.map((op) => {
    const norm = isFoldable(op) ? norms.get(op.output) : undefined
    if (norm === undefined || !isFoldable(op)) return op
    gone.add(norm)
    const { weight, bias = `${op.name}.bias` } = op.parameters
    folded.set(weight, () => scaledWeight(parameter(weight), norm, parameter))
    folded.set(bias, () => shiftedBias(op.parameters.bias === undefined ? undefined : parameter(bias), norm, parameter))
    shapes[bias] = shapes[norm.parameters.gamma] as readonly number[]
    const activation = norm.function === undefined ? {} : { function: norm.function }
    return { ...op, ...activation, output: norm.output, parameters: { ...op.parameters, bias } }
  })
  return {
    graph: { ...graph, parameters: shapes, ops: ops.filter((op) => !gone.has(op)) },
    parameter: (name) => folded.get(name)?.() ?? parameter(name),
  }
}

/** A convolution that does nothing behind its bias. */
function isFoldable(op: Op): op is ConvOp | DepthwiseOp {
  if (op.op !== 'conv' && op.op !== 'depthwise') return false
  return op.inputs.length === 1 && (op.function ?? 'none') === 'none'
}

/** The channels a norm scales are the last axis of a convolution's weight. */
function scaledWeight(weight: Float32Array, norm: BatchNormOp, parameter: Parameters): Float32Array {
  const scale = scaleOf(norm, parameter)
  return weight.map((value, i) => value * (scale[i % scale.length] as number))
}

function shiftedBias(bias: Float32Array | undefined, norm: BatchNormOp, parameter: Parameters): Float32Array {
  const mean = parameter(norm.parameters.mean)
  const beta = parameter(norm.parameters.beta)
  return Float32Array.from(scaleOf(norm, parameter), (scale, i) => ((bias?.[i] ?? 0) - (mean[i] as number)) * scale + (beta[i] as number))
}

function scaleOf({ parameters: { gamma, variance } }: BatchNormOp, parameter: Parameters): Float64Array {
  const gain = parameter(gamma)
  return Float64Array.from(parameter(variance), (value, i) => (gain[i] as number) / Math.sqrt(value + epsilon))
}
