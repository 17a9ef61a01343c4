import { TvnError } from '../errors.js'
import type { Graph, TensorShape } from '../network/graph.js'
import { version } from '../version.js'
import { OnnxBuilder, type Value } from './builder.js'
import { foldBatchNorm } from './fold-batch-norm.js'
import { encodeModel } from './messages.js'
import { translate } from './ops.js'
import { clipsName } from './translation.js'

export interface OnnxOptions {
  /** Whether batch norms disappear in the convolutions before them. Default true. */
  readonly foldBatchNorm?: boolean | undefined
}

const opset = 17

/**
 * A graph with its weights as an ONNX model (opset 17): input `clips`, u8 [N, T, H, W, 3] with N symbolic; output `logits`, f32 [N, classes].
 * Bytes are normalized inside. `metadata` becomes the model's metadata properties. Throws ERR_MODEL_TENSOR for a weight that is
 * missing or of another length, ERR_ARGUMENT where the model would exceed 2 GiB, ONNX's limit for one file.
 */
export function toOnnx(
  graph: Graph,
  weights: ReadonlyMap<string, Float32Array>,
  { name, metadata = {}, foldBatchNorm: fold = true }: OnnxOptions & { readonly name: string; readonly metadata?: Readonly<Record<string, string>> },
): Uint8Array {
  const given = { graph, parameter: (parameter: string) => weightOf(graph, weights, parameter) }
  const { graph: lowered, parameter } = fold ? foldBatchNorm(given) : given
  const onnx = new OnnxBuilder()
  const shapeOf = (tensor: string) => lowered.tensors[tensor] as TensorShape
  const values = new Map<string, Value>()
  for (const op of lowered.ops) {
    onnx.scope = op.name
    values.set(op.output, translate(op, { onnx, parameter, shapeOf, value: (tensor) => values.get(tensor) as Value }))
  }
  const classes = shapeOf(graph.output)[3]
  const last = onnx.in('positions', values.get(graph.output) as Value)
  onnx.nodes.push({ op: 'Reshape', name: 'logits', inputs: [last, onnx.whole([-1, classes])], output: 'logits', attributes: {} })
  const parts = encodeModel({
    producer: { name: 'tiny-video-nets', version },
    opset,
    name,
    nodes: onnx.nodes,
    constants: onnx.constants,
    inputs: [{ name: clipsName, type: 'uint8', dims: ['N', ...shapeOf(graph.input)] }],
    outputs: [{ name: 'logits', type: 'float32', dims: ['N', classes] }],
    metadata,
  })
  return Buffer.concat(parts)
}

function weightOf(graph: Graph, weights: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const data = weights.get(name)
  const shape = graph.parameters[name]
  const expected = shape?.reduce((product, extent) => product * extent, 1)
  if (data === undefined || data.length !== expected) {
    const problem = data === undefined ? 'is missing' : `has ${data.length} values, expected ${expected}`
    throw new TvnError('ERR_MODEL_TENSOR', `${name} ${problem}`)
  }
  return data
}
