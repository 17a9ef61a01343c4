import { TvnError } from '../errors.js'
import type { TensorShape } from '../network/graph.js'
import type { Attribute, NodeMessage, TensorMessage } from './messages.js'

/**
 * How an ONNX tensor holds a value [T, H, W, C] of N clips:
 * - `frames` [N·T, C, H, W], for what looks at one frame at a time;
 * - `clip` [N, C, T, H·W], for what looks along time;
 * - `positions` [N, T·H·W, C], for what multiplies matrices.
 */
export type Layout = 'frames' | 'clip' | 'positions'

/** A value of the graph in the layout in which it was made and in those that were asked for since. */
export interface Value {
  readonly shape: TensorShape
  readonly layout: Layout
  readonly tensors: Map<Layout, string>
}

/** 2 GiB, what a protobuf message may have. */
const maxBytes = 2 ** 31 - 1

/** Builds the nodes and constants of an ONNX graph. Every method that adds a node returns the name of its output. */
export class OnnxBuilder {
  readonly nodes: NodeMessage[] = []
  readonly constants: TensorMessage[] = []
  readonly #names = new Set<string>()
  readonly #shared = new Map<string, string>()
  #bytes = 0
  /** The op that is being translated: names begin with it. */
  scope = ''

  /** Adds a node. Attributes that are lists or whole numbers are written as such. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = this.#unique(`${this.scope}/${op}`)
    this.nodes.push({ op, name: output, inputs, output, attributes })
    return output
  }

  /** A constant of its own, e.g. a weight. */
  constant(name: string, dims: readonly number[], data: Float32Array | BigInt64Array): string {
    this.#bytes += data.byteLength
    if (this.#bytes > maxBytes) {
      throw new TvnError('ERR_ARGUMENT', 'the network is too large for an ONNX file: its weights take more than 2 GiB')
    }
    const unique = this.#unique(name)
    this.constants.push({ name: unique, dims, data })
    return unique
  }

  /** A float that several nodes may share. */
  scalar(value: number): string {
    return this.#share(`scalar ${value}`, [], () => Float32Array.of(value))
  }

  /** A list of whole numbers that several nodes may share, e.g. a shape. */
  whole(values: readonly number[]): string {
    return this.#share(`whole ${values.join(' ')}`, [values.length], () => BigInt64Array.from(values, BigInt))
  }

  reshape(tensor: string, dims: readonly number[]): string {
    return this.node('Reshape', [tensor, this.whole(dims)])
  }

  transpose(tensor: string, perm: readonly number[]): string {
    return this.node('Transpose', [tensor], { perm })
  }

  /** The tensor that holds a value in a layout; nodes are added where there is none yet. */
  in(layout: Layout, value: Value): string {
    const { tensors } = value
    let tensor = tensors.get(layout)
    if (tensor === undefined) {
      tensor = this.#convert(tensors.get(value.layout) as string, value.layout, layout, value.shape)
      tensors.set(layout, tensor)
    }
    return tensor
  }

  #convert(tensor: string, from: Layout, to: Layout, [t, h, w, c]: TensorShape): string {
    const conversion = `${from} to ${to}` as const
    switch (conversion) {
      case 'frames to clip':
        return t === 1 ? this.reshape(tensor, [-1, c, 1, h * w]) : this.transpose(this.reshape(tensor, [-1, t, c, h * w]), [0, 2, 1, 3])
      case 'clip to frames':
        return this.reshape(t === 1 ? tensor : this.transpose(tensor, [0, 2, 1, 3]), [-1, c, h, w])
      case 'frames to positions':
        return this.reshape(h * w === 1 ? tensor : this.transpose(this.reshape(tensor, [-1, c, h * w]), [0, 2, 1]), [-1, t * h * w, c])
      case 'positions to frames':
        return this.reshape(h * w === 1 ? tensor : this.transpose(this.reshape(tensor, [-1, h * w, c]), [0, 2, 1]), [-1, c, h, w])
      case 'clip to positions':
        return this.transpose(this.reshape(tensor, [-1, c, t * h * w]), [0, 2, 1])
      case 'positions to clip':
        return this.reshape(this.transpose(tensor, [0, 2, 1]), [-1, c, t, h * w])
      case 'frames to frames':
      case 'clip to clip':
      case 'positions to positions':
        return tensor
    }
  }

  #share(key: string, dims: readonly number[], data: () => Float32Array | BigInt64Array): string {
    let name = this.#shared.get(key)
    if (name === undefined) {
      name = this.constant(key, dims, data())
      this.#shared.set(key, name)
    }
    return name
  }

  #unique(name: string): string {
    let unique = name
    for (let i = 2; this.#names.has(unique); i++) unique = `${name}_${i}`
    this.#names.add(unique)
    return unique
  }
}
