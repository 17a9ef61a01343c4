import type { Graph } from '../network/graph.js'
import type { BatchNormOp, ConvOp, DepthwiseOp, Op } from '../network/ops.generated.js'

/** Reads a parameter by name. */
export type Parameters = (name: string) => Float32Array

/** The ops of a graph and what they read. */
export interface WeightedOps {
  readonly ops: readonly Op[]
  readonly parameter: Parameters
}

/** Added to the variance of a batch norm. */
export const epsilon = 1e-5

/**
 * Ops that compute the same, with every batch norm that directly follows a convolution folded into `<convolution>.weight` and
 * `<convolution>.bias`; norms elsewhere stay. Folded parameters are computed when they are asked for.
 */
export function foldBatchNorm(graph: Graph, parameter: Parameters): WeightedOps {
  const readers = new Map<string, Op[]>()
  for (const op of graph.ops) {
    for (const input of op.inputs) if (input !== undefined) readers.set(input, [...(readers.get(input) ?? []), op])
  }
  const folded = new Map<string, () => Float32Array>()
  const ops: Op[] = []
  const gone = new Set<Op>()
  for (const op of graph.ops) {
    const [norm, ...others] = readers.get(op.output) ?? []
    if (gone.has(op)) continue
    if (!isPlainConvolution(op) || norm?.op !== 'batch_norm' || others.length > 0) {
      ops.push(op)
      continue
    }
    gone.add(norm)
    const [weight, bias] = [`${op.name}.weight`, `${op.name}.bias`]
    folded.set(weight, () => scaledWeight(parameter(op.parameters.weight), norm, parameter))
    folded.set(bias, () => shiftedBias(op.parameters.bias === undefined ? undefined : parameter(op.parameters.bias), norm, parameter))
    ops.push({ ...op, output: norm.output, parameters: { weight, bias }, function: norm.function ?? 'none' })
  }
  return { ops, parameter: (name) => folded.get(name)?.() ?? parameter(name) }
}

/** A convolution with nothing behind its bias. */
function isPlainConvolution(op: Op): op is ConvOp | DepthwiseOp {
  return (op.op === 'conv' || op.op === 'depthwise') && op.inputs.length === 1 && (op.function ?? 'none') === 'none'
}

/** A norm's channels are the last axis of a convolution's weight. */
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
