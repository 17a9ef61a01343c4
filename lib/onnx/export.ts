import { TvnError } from '../errors.js'
import { volume } from '../network/cost.js'
import type { Graph, TensorShape } from '../network/graph.js'
import { version } from '../version.js'
import { clipsName, logitsName, OnnxBuilder, type Value } from './builder.js'
import { foldBatchNorm } from './fold-batch-norm.js'
import { encodeModel } from './messages.js'
import { translate } from './ops.js'

export interface OnnxOptions {
  /** Whether batch norms are computed into the weights of the convolutions before them. Default true. */
  readonly foldBatchNorm?: boolean | undefined
}

export interface ToOnnxOptions extends OnnxOptions {
  /** Name of the ONNX graph. */
  readonly name: string
  /** Becomes the model's metadata properties. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

const opset = 17
/** What a protobuf message may have, and so an ONNX file. */
const maxBytes = 2 ** 31 - 1

/**
 * A graph with its weights as the bytes of an ONNX model, opset 17: input `clips`, u8 [N, T, H, W, 3] with any N, normalized inside;
 * output `logits`, f32 [N, classes].
 * Throws ERR_MODEL_TENSOR for a weight that is missing or of another length, ERR_ARGUMENT where 2 GiB do not hold the model.
 */
export function toOnnx(graph: Graph, weights: ReadonlyMap<string, Float32Array>, options: ToOnnxOptions): Uint8Array<ArrayBuffer> {
  const { name, metadata = {}, foldBatchNorm: fold = true } = options
  checkBytes(Float32Array.BYTES_PER_ELEMENT * Object.values(graph.parameters).reduce((sum, shape) => sum + volume(shape), 0))
  const given = (parameter: string) => weightOf(graph, weights, parameter)
  const { ops, parameter } = fold ? foldBatchNorm(graph, given) : { ops: graph.ops, parameter: given }
  const onnx = new OnnxBuilder()
  const shapeOf = (tensor: string) => graph.tensors[tensor] as TensorShape
  const values = new Map<string, Value>()
  for (const op of ops) {
    onnx.scope = op.name
    values.set(op.output, translate(op, { onnx, parameter, shapeOf, value: (tensor) => values.get(tensor) as Value }))
  }
  const classes = shapeOf(graph.output)[3]
  onnx.finish(onnx.in('positions', values.get(graph.output) as Value), classes)

  const parts = encodeModel({
    producer: { name: 'tiny-video-nets', version },
    opset,
    name,
    nodes: onnx.nodes,
    constants: onnx.constants,
    inputs: [{ name: clipsName, type: 'uint8', dims: ['N', ...shapeOf(graph.input)] }],
    outputs: [{ name: logitsName, type: 'float32', dims: ['N', classes] }],
    metadata,
  })
  return joined(parts)
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  checkBytes(length)
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function checkBytes(bytes: number): void {
  if (bytes > maxBytes) throw new TvnError('ERR_ARGUMENT', `the network is too large for an ONNX file: ${bytes} bytes, expected at most ${maxBytes}`)
}

function weightOf(graph: Graph, weights: ReadonlyMap<string, Float32Array>, name: string): Float32Array {
  const data = weights.get(name)
  const expected = volume(graph.parameters[name] ?? [])
  if (data?.length === expected) return data
  throw new TvnError('ERR_MODEL_TENSOR', `${name} ${data === undefined ? 'is missing' : `has ${data.length} values, expected ${expected}`}`)
}
