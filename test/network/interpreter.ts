import type { Graph, TensorShape } from '../../lib/network/graph.js'
import type { Int3, Op, Padding } from '../../lib/network/ops.generated.js'

/** Parameters by name. */
export type Parameters = ReadonlyMap<string, ArrayLike<number>>

/**
 * Runs a graph in f64 on one clip, op by op and as naively as it can be written: the living definition of what a lowered network
 * computes at inference. Returns the logits.
 */
export function interpret(graph: Graph, parameters: Parameters, clip: ArrayLike<number>): Float64Array {
  const values = new Map<string, Float64Array>([[graph.input, Float64Array.from(clip)]])
  for (const op of graph.ops) {
    const inputs = op.inputs.map((name) => ({ data: get(values, name as string), shape: get(graph.tensors, name as string) }))
    values.set(
      op.output,
      run(op, inputs as [Tensor, ...Tensor[]], get(graph.tensors, op.output), (name) => get(parameters, name)),
    )
  }
  return get(values, graph.output)
}

interface Tensor {
  readonly data: Float64Array
  readonly shape: TensorShape
}

const functions = {
  none: (x: number) => x,
  relu: (x: number) => Math.max(x, 0),
  hswish: (x: number) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6,
  sigmoid,
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x))
}

function run(op: Op, [x, b, g]: readonly [Tensor, ...Tensor[]], shape: TensorShape, parameter: (name: string) => ArrayLike<number>): Float64Array {
  const c = shape[3]
  switch (op.op) {
    case 'normalize':
      return x.data.map((byte) => byte / 127.5 - 1)
    case 'activation':
      return x.data.map(functions[op.function])
    case 'dropout':
      return x.data
    case 'add':
      return x.data.map((value, i) => value + at(b?.data, i))
    case 'gate':
      return x.data.map((value, i) => value * sigmoid(at(b?.data, i % c)))
    case 'batch_norm': {
      const [gamma, beta, mean, variance] = [op.parameters.gamma, op.parameters.beta, op.parameters.mean, op.parameters.variance].map(parameter)
      return x.data.map((value, i) => (at(gamma, i % c) * (value - at(mean, i % c))) / Math.sqrt(at(variance, i % c) + 1e-5) + at(beta, i % c))
    }
    case 'mean': {
      const y = new Float64Array(shape[0] * c)
      const rows = x.data.length / y.length
      x.data.forEach((value, i) => {
        y[Math.floor(i / (rows * c)) * c + (i % c)]! += value / rows
      })
      return y
    }
    case 'dense':
      return windows(
        x,
        shape,
        { kernel: [1, 1, 1], stride: [1, 1, 1] },
        (taps, oc) => weightedSum(taps, parameter(op.parameters.weight), x, c, oc) + at(parameter(op.parameters.bias), oc),
      )
    case 'conv': {
      const bias = op.parameters.bias === undefined ? undefined : parameter(op.parameters.bias)
      return windows(x, shape, op, (taps, oc) => weightedSum(taps, parameter(op.parameters.weight), x, c, oc) + (bias === undefined ? 0 : at(bias, oc)))
    }
    case 'depthwise':
      return windows(x, shape, op, (taps, oc) =>
        taps.reduce((sum, { from, tap }) => sum + at(x.data, from + oc) * at(parameter(op.parameters.weight), tap * c + oc), 0),
      )
    case 'pool':
      return windows(x, shape, op, (taps, oc) => {
        const real = taps.map(({ from }) => at(x.data, from + oc))
        return op.pooling === 'max' ? Math.max(...real) : real.reduce((sum, value) => sum + value, 0) / real.length
      })
    case 'attention': {
      const y = new Float64Array(x.data.length)
      const [phi, values] = [get({ b }, 'b') as Tensor, get({ g }, 'g') as Tensor]
      const keys = phi.data.length / c
      for (let q = 0; q < x.data.length; q += c) {
        const scores = Array.from({ length: keys }, (_, k) => dot(x.data, q, phi.data, k * c, c) / Math.sqrt(c))
        const top = Math.max(...scores)
        const weights = scores.map((score) => Math.exp(score - top))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        for (let i = 0; i < c; i++) y[q + i] = weights.reduce((sum, weight, k) => sum + (weight / total) * at(values.data, k * c + i), 0)
      }
      return y
    }
    case 'temporal_softmax': {
      const frames = x.shape[0]
      return Float64Array.from({ length: c }, (_, i) => {
        const z = Array.from({ length: frames }, (_, t) => at(x.data, t * c + i))
        const weights = z.map((value) => Math.exp((value - Math.max(...z)) / Math.sqrt(frames)))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        return z.reduce((sum, value, t) => sum + (value * at(weights, t)) / total, 0)
      })
    }
  }
}

/** One real (not padded) element under a window: where its channels start, and which kernel position it meets. */
interface Tap {
  readonly from: number
  readonly tap: number
}

function windows(
  x: Tensor,
  [t, h, w, c]: TensorShape,
  { kernel, stride, padding = 'same' }: { kernel: Int3; stride: Int3; padding?: Padding },
  value: (taps: Tap[], channel: number) => number,
): Float64Array {
  const [xt, xh, xw, xc] = x.shape
  const extents = [xt, xh, xw]
  const front = kernel.map((k, axis) =>
    padding === 'valid' ? 0 : Math.floor(Math.max((Math.ceil(at(extents, axis) / at(stride, axis)) - 1) * at(stride, axis) + k - at(extents, axis), 0) / 2),
  )
  const y = new Float64Array(t * h * w * c)
  let i = 0
  for (const position of positions([t, h, w])) {
    const taps: Tap[] = []
    let tap = 0
    for (const offset of positions(kernel)) {
      const [st, sh, sw] = position.map((p, axis) => p * at(stride, axis) - at(front, axis) + at(offset, axis)) as [number, number, number]
      if (st >= 0 && st < xt && sh >= 0 && sh < xh && sw >= 0 && sw < xw) taps.push({ from: ((st * xh + sh) * xw + sw) * xc, tap })
      tap++
    }
    for (let oc = 0; oc < c; oc++) y[i++] = value(taps, oc)
  }
  return y
}

function* positions([a, b, c]: Int3): Generator<Int3> {
  for (let i = 0; i < a; i++) for (let j = 0; j < b; j++) for (let k = 0; k < c; k++) yield [i, j, k]
}

function weightedSum(taps: readonly Tap[], weight: ArrayLike<number>, x: Tensor, channels: number, oc: number): number {
  const xc = x.shape[3]
  let sum = 0
  for (const { from, tap } of taps) for (let i = 0; i < xc; i++) sum += at(x.data, from + i) * at(weight, (tap * xc + i) * channels + oc)
  return sum
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, n: number): number {
  let sum = 0
  for (let k = 0; k < n; k++) sum += at(a, i + k) * at(b, j + k)
  return sum
}

/** An element that must be there. */
function at(values: ArrayLike<number> | undefined, i: number): number {
  const value = values?.[i]
  if (value === undefined) throw new RangeError(`no element ${i}`)
  return value
}

function get<T>(values: ReadonlyMap<string, T> | Readonly<Record<string, T>>, name: string): T {
  const value = values instanceof Map ? values.get(name) : (values as Record<string, T>)[name]
  if (value === undefined) throw new RangeError(`no ${name}`)
  return value
}
