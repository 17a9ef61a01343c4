import type { TensorShape } from '../network/graph.js'
import type { Attribute, NodeMessage, TensorMessage } from './messages.js'

/**
 * How an ONNX tensor holds a value [T, H, W, C] of N clips: `frames` [N·T, C, H, W], for which runtimes have their fast kernels, or
 * `positions` [N, T·H·W, C], for what multiplies matrices.
 */
export type Layout = 'frames' | 'positions'

/** A value of the graph in the layout in which it was made and in those that were asked for since. */
export interface Value {
  readonly shape: TensorShape
  readonly layout: Layout
  readonly tensors: Map<Layout, string>
}

/** The model's input, u8 [N, T, H, W, 3], and its output, f32 [N, classes]. */
export const clipsName = 'clips'
export const logitsName = 'logits'

/** Builds the nodes and constants of an ONNX graph. Every method that adds a node returns the name of its output. */
export class OnnxBuilder {
  readonly nodes: NodeMessage[] = []
  readonly constants: TensorMessage[] = []
  readonly #names = new Set([clipsName, logitsName])
  readonly #shared = new Map<string, string>()
  /** The op that is being translated: names begin with it. */
  scope = ''

  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const output = this.#unique(`${this.scope}/${op}`)
    this.nodes.push({ op, name: output, inputs, output, attributes })
    return output
  }

  /** Names `positions` [N, 1, classes] as the model's output. */
  finish(tensor: string, classes: number): void {
    this.nodes.push({ op: 'Reshape', name: logitsName, inputs: [tensor, this.whole([-1, classes])], output: logitsName, attributes: {} })
  }

  /** A constant of its own, e.g. a weight. */
  constant(name: string, dims: readonly number[], data: Float32Array | BigInt64Array): string {
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
      tensor = this.#convert(tensors.get(value.layout) as string, layout, value.shape)
      tensors.set(layout, tensor)
    }
    return tensor
  }

  #convert(tensor: string, to: Layout, [t, h, w, c]: TensorShape): string {
    const alike = h * w === 1
    switch (to) {
      case 'frames':
        return this.reshape(alike ? tensor : this.transpose(this.reshape(tensor, [-1, h * w, c]), [0, 2, 1]), [-1, c, h, w])
      case 'positions':
        return this.reshape(alike ? tensor : this.transpose(this.reshape(tensor, [-1, c, h * w]), [0, 2, 1]), [-1, t * h * w, c])
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
