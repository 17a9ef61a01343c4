import * as tf from '@tensorflow/tfjs'
import { type NativeBinary, type NativeUnary, native } from '../../native.js'
import type { NativeLayers } from '../native-layers.js'
import { type Call, registerKernel } from './kernel.js'

const unary: Readonly<Record<string, NativeUnary>> = {
  Neg: 'neg',
  Abs: 'abs',
  Square: 'square',
  Sqrt: 'sqrt',
  Rsqrt: 'rsqrt',
  Reciprocal: 'reciprocal',
  Exp: 'exp',
  Sigmoid: 'sigmoid',
  Relu: 'relu',
  Relu6: 'relu6',
  Step: 'step',
}

const binary: Readonly<Record<string, NativeBinary>> = { Add: 'add', Sub: 'sub', Multiply: 'mul', RealDiv: 'div', SquaredDifference: 'squared_difference' }

/** Functions of one tensor and of two, sums and means, of at least so many elements; batch normalisation with known statistics. */
export function registerElementwise(layers: NativeLayers, least: number): void {
  for (const [kernelName, name] of Object.entries(unary))
    registerKernel<{ alpha?: number }>(kernelName, layers, (call) => {
      const x = call.values('x')
      if (x.length < least || (call.attrs?.alpha ?? 0) !== 0) return undefined
      return call.output(call.input('x').shape, (y) => native().unary(name, x, y, call.threads))
    })
  for (const [kernelName, name] of Object.entries(binary)) registerKernel<unknown>(kernelName, layers, (call) => broadcast(call, name, least))
  registerKernel<tf.SumAttrs>('Sum', layers, (call) => reduce(call, least, () => 1))
  registerKernel<tf.MeanAttrs>('Mean', layers, (call) => reduce(call, least, (count) => 1 / count))
  registerKernel<tf.FusedBatchNormAttrs>('FusedBatchNorm', layers, batchNorm)
}

function broadcast(call: Call<unknown>, name: NativeBinary, least: number): tf.TensorInfo | undefined {
  const [a, b] = [call.input('a'), call.input('b')]
  const rank = Math.max(a.shape.length, b.shape.length)
  const extended = (shape: readonly number[]) => [...Array<number>(rank - shape.length).fill(1), ...shape]
  const [ofA, ofB] = [extended(a.shape), extended(b.shape)]
  const shape = ofA.map((extent, i) => (extent === 1 ? (ofB[i] as number) : extent))
  if (rank > 6 || tf.util.sizeFromShape(shape) < least) return undefined
  if (ofB.some((extent, i) => extent !== 1 && extent !== shape[i])) return undefined // the cpu backend has the words for it
  return call.output(shape, (y) => native().binary(name, call.values('a'), ofA, call.values('b'), ofB, y, call.threads))
}

/** Of axes that are neighbours. */
function reduce(call: Call<tf.SumAttrs | tf.MeanAttrs>, least: number, scale: (count: number) => number): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const { axis, keepDims } = call.attrs
  const axes = tf.util.parseAxisParam(axis, shape).sort((a, b) => a - b)
  const first = axes[0]
  if (first === undefined || axes.some((a, i) => a !== first + i) || tf.util.sizeFromShape(shape) < least) return undefined
  const after = first + axes.length
  const count = tf.util.sizeFromShape(shape.slice(first, after))
  const extents = [tf.util.sizeFromShape(shape.slice(0, first)), count, tf.util.sizeFromShape(shape.slice(after))] as const
  const outShape = keepDims ? shape.map((extent, i) => (i >= first && i < after ? 1 : extent)) : [...shape.slice(0, first), ...shape.slice(after)]
  return call.output(outShape, (y) => native().sum(call.values('x'), extents, scale(count), y, call.threads))
}

/** With one value for every channel. */
function batchNorm(call: Call<tf.FusedBatchNormAttrs>): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const channels = shape.at(-1) as number
  const inputs = ['mean', 'variance', 'offset', 'scale'].map((name) => call.inputs[name])
  if (inputs.some((input) => input && (input.shape.length !== 1 || input.shape[0] !== channels))) return undefined
  const [mean, variance, offset, gamma] = inputs.map((input) => input && call.valuesOf(input))
  if (!mean || !variance) return undefined
  const scale = variance.map((v, c) => (gamma?.[c] ?? 1) / Math.sqrt(v + call.attrs.varianceEpsilon))
  const shift = scale.map((s, c) => (offset?.[c] ?? 0) - (mean[c] as number) * s)
  return call.output(shape, (y) => native().batchNormApply(call.values('x'), scale, shift, 'none', y, call.threads))
}
