import type { Graph, TensorShape } from './graph.js'
import type { Extent, Function, Int3, Op, Padding, Pooling } from './ops.generated.js'

/** A tensor of the graph under construction. */
export interface Value {
  readonly tensor: string
  readonly shape: TensorShape
}

export interface Window {
  readonly kernel: Int3
  readonly stride: Int3
  /** Default `same`. */
  readonly padding?: Padding
}

/**
 * Builds a Graph op by op and infers every shape. An op's output tensor bears the op's name; its parameters are
 * `<name>.weight` and so on. Nothing of the size of a tensor is allocated.
 */
export class GraphBuilder {
  readonly #tensors: Record<string, TensorShape> = {}
  readonly #parameters: Record<string, readonly number[]> = {}
  readonly #ops: Op[] = []
  readonly #input: string

  /** What the graph reads: of a whole network, a u8 RGB clip. */
  readonly input: Value

  constructor(input: string, shape: TensorShape) {
    this.#input = input
    this.#tensors[input] = shape
    this.input = { tensor: input, shape }
  }

  normalize(name: string, x: Value): Value {
    return this.#push({ op: 'normalize', name, inputs: [x.tensor], output: name }, x.shape)
  }

  /** Convolution to `channels` channels; `bias` adds `<name>.bias`. */
  conv(name: string, x: Value, channels: number, window: Window = pointwise, bias = false): Value {
    const { kernel, stride, padding = 'same' } = window
    const parameters = {
      weight: this.#parameter(`${name}.weight`, [...kernel, x.shape[3], channels]),
      ...(bias && { bias: this.#parameter(`${name}.bias`, [channels]) }),
    }
    return this.#push({ op: 'conv', name, inputs: [x.tensor], output: name, parameters, kernel, stride, padding }, windowed(x.shape, window, channels))
  }

  depthwise(name: string, x: Value, window: Window): Value {
    const { kernel, stride, padding = 'same' } = window
    const parameters = { weight: this.#parameter(`${name}.weight`, [kernel[1], kernel[2], x.shape[3]]) }
    return this.#push({ op: 'depthwise', name, inputs: [x.tensor], output: name, parameters, kernel, stride, padding }, windowed(x.shape, window))
  }

  pool(name: string, x: Value, pooling: Pooling, window: Window): Value {
    const { kernel, stride, padding = 'same' } = window
    return this.#push({ op: 'pool', name, inputs: [x.tensor], output: name, pooling, kernel, stride, padding }, windowed(x.shape, window))
  }

  /** Batch norm named `<name of x>.norm`. */
  batchNorm(x: Value): Value {
    const name = `${x.tensor}.norm`
    const leaf = (part: string) => this.#parameter(`${name}.${part}`, [x.shape[3]])
    const parameters = { gamma: leaf('gamma'), beta: leaf('beta'), mean: leaf('mean'), variance: leaf('variance') }
    return this.#push({ op: 'batch_norm', name, inputs: [x.tensor], output: name, parameters }, x.shape)
  }

  activation(name: string, x: Value, kind: Exclude<Function, 'none'>): Value {
    return this.#push({ op: 'activation', name, inputs: [x.tensor], output: name, function: kind }, x.shape)
  }

  add(name: string, x: Value, b: Value): Value {
    if (x.shape.join() !== b.shape.join()) throw new RangeError(`${name}: [${x.shape.join(', ')}] and [${b.shape.join(', ')}] cannot be added`)
    return this.#push({ op: 'add', name, inputs: [x.tensor, b.tensor], output: name }, x.shape)
  }

  mean(name: string, x: Value, extent: Extent): Value {
    return this.#push({ op: 'mean', name, inputs: [x.tensor], output: name, extent }, [extent === 'clip' ? 1 : x.shape[0], 1, 1, x.shape[3]])
  }

  gate(name: string, x: Value, z: Value): Value {
    return this.#push({ op: 'gate', name, inputs: [x.tensor, z.tensor], output: name }, x.shape)
  }

  attention(name: string, theta: Value, phi: Value, g: Value): Value {
    return this.#push({ op: 'attention', name, inputs: [theta.tensor, phi.tensor, g.tensor], output: name }, theta.shape)
  }

  dropout(name: string, x: Value, rate: number): Value {
    return this.#push({ op: 'dropout', name, inputs: [x.tensor], output: name, rate }, x.shape)
  }

  dense(name: string, x: Value, channels: number): Value {
    const parameters = { weight: this.#parameter(`${name}.weight`, [x.shape[3], channels]), bias: this.#parameter(`${name}.bias`, [channels]) }
    return this.#push({ op: 'dense', name, inputs: [x.tensor], output: name, parameters }, [x.shape[0], x.shape[1], x.shape[2], channels])
  }

  temporalSoftmax(name: string, x: Value): Value {
    return this.#push({ op: 'temporal_softmax', name, inputs: [x.tensor], output: name }, [1, 1, 1, x.shape[3]])
  }

  finish(output: Value): Graph {
    return { input: this.#input, output: output.tensor, tensors: this.#tensors, parameters: this.#parameters, ops: this.#ops }
  }

  #push(op: Op, shape: TensorShape): Value {
    if (this.#tensors[op.output] !== undefined) throw new RangeError(`two ops are named ${op.output}`)
    this.#ops.push(op)
    this.#tensors[op.output] = shape
    return { tensor: op.output, shape }
  }

  #parameter(name: string, shape: readonly number[]): string {
    this.#parameters[name] = shape
    return name
  }
}

const pointwise: Window = { kernel: [1, 1, 1], stride: [1, 1, 1] }

/** Output shape of a window: TensorFlow's SAME or VALID. */
function windowed([t, h, w, c]: TensorShape, { kernel, stride, padding = 'same' }: Window, channels = c): TensorShape {
  const extent = (n: number, axis: 0 | 1 | 2): number => (padding === 'same' ? Math.ceil(n / stride[axis]) : Math.floor((n - kernel[axis]) / stride[axis]) + 1)
  return [extent(t, 0), extent(h, 1), extent(w, 2), channels]
}
