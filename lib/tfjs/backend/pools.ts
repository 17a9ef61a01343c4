import * as tf from '@tensorflow/tfjs'
import { native } from '../../native.js'
import type { Int3, Pooling } from '../../network/ops.generated.js'
import type { LayerOptions, NativeLayers } from '../native-layers.js'
import { type WindowedLayer, windowedLayer2d, windowedLayer3d } from './geometry.js'
import { type Call, registerKernel } from './kernel.js'

const { backend_util } = tf

/** MaxPool, AvgPool, MaxPool3D, AvgPool3D and their gradients. */
export function registerPools(layers: NativeLayers): void {
  registerKernel<tf.MaxPoolAttrs>('MaxPool', layers, (call) => forward(call, pool2d('max', call.input('x').shape, call.attrs)))
  registerKernel<tf.AvgPoolAttrs>('AvgPool', layers, (call) => forward(call, pool2d('avg', call.input('x').shape, call.attrs)))
  registerKernel<tf.MaxPoolGradAttrs>('MaxPoolGrad', layers, (call) => maxGradient(call, pool2d('max', call.input('input').shape, call.attrs)))
  registerKernel<tf.AvgPoolGradAttrs>('AvgPoolGrad', layers, (call) => averageGradient(call, pool2d('avg', call.input('input').shape, call.attrs)))
  registerKernel<tf.MaxPool3DAttrs>('MaxPool3D', layers, (call) => forward(call, pool3d('max', call.input('x').shape, call.attrs)))
  registerKernel<tf.AvgPool3DAttrs>('AvgPool3D', layers, (call) => forward(call, pool3d('avg', call.input('x').shape, call.attrs)))
  registerKernel<tf.MaxPool3DGradAttrs>('MaxPool3DGrad', layers, (call) => maxGradient(call, pool3d('max', call.input('input').shape, call.attrs)))
  registerKernel<tf.AvgPool3DGradAttrs>('AvgPool3DGrad', layers, (call) => averageGradient(call, pool3d('avg', call.input('input').shape, call.attrs)))
}

type Pool2DGeometry = Pick<tf.MaxPoolAttrs, 'filterSize' | 'strides' | 'pad' | 'dimRoundingMode'>
type Pool3DGeometry = Pick<tf.MaxPool3DAttrs, 'filterSize' | 'strides' | 'pad' | 'dimRoundingMode'> & { readonly dataFormat?: 'NDHWC' | 'NCDHW' }

function pool2d(pooling: Pooling, x: readonly number[], { filterSize, strides, pad, dimRoundingMode }: Pool2DGeometry): WindowedLayer {
  const info = backend_util.computePool2DInfo(x as [number, number, number, number], filterSize, strides, 1, pad, dimRoundingMode)
  return windowedLayer2d({ op: 'pool', pooling }, info, info.inChannels)
}

/** Undefined where channels are in front. */
function pool3d(pooling: Pooling, x: readonly number[], { filterSize, strides, pad, dimRoundingMode, dataFormat }: Pool3DGeometry): WindowedLayer | undefined {
  if ((dataFormat ?? 'NDHWC') !== 'NDHWC') return undefined
  const info = backend_util.computePool3DInfo(x as [number, number, number, number, number], filterSize, strides, 1, pad, dimRoundingMode)
  return windowedLayer3d({ op: 'pool', pooling }, info)
}

function forward<A>(call: Call<A>, pool: WindowedLayer | undefined): tf.TensorInfo | undefined {
  const layer = pool && call.layers.find(pool.options)
  if (!layer) return undefined
  return call.output(pool.outShape, (y) => {
    layer.forward([call.values('x')], [], y)
    return pool.options.pooling === 'avg' || !mayHoldNaN(y, call.threads)
  })
}

/** A maximum of TensorFlow.js leaves NaN out, ours does not: the cpu backend's kernel computes such. Infinities of both signs pass for NaN. */
function mayHoldNaN(values: Float32Array, threads: number): boolean {
  const sum = new Float32Array(1)
  native().sum(values, [1, values.length, 1], 1, sum, threads)
  return Number.isNaN(sum[0])
}

function maxGradient<A>(call: Call<A>, pool: WindowedLayer | undefined): tf.TensorInfo | undefined {
  const layer = pool && call.layers.find({ ...pool.options, training: true })
  if (!layer) return undefined
  const y = call.values('output')
  if (mayHoldNaN(y, call.threads)) return undefined
  return call.output(call.input('input').shape, (dx) => layer.backward([call.values('input')], y, call.values('dy'), [], [dx], []))
}

/**
 * TensorFlow.js's gradient divides by the size of the whole window, also where a part of it is padding; ours by the number of elements that
 * were averaged. As the result is to be the cpu backend's, dy is multiplied by what is between them.
 */
function averageGradient<A>(call: Call<A>, pool: WindowedLayer | undefined): tf.TensorInfo | undefined {
  const layer = pool && call.layers.find({ ...pool.options, training: true })
  if (!layer) return undefined
  const shares = realShares(pool.options)
  let dy = call.values('dy')
  if (shares) {
    const [n, t, h, w, c] = pool.options.y as [number, number, number, number, number]
    const scaled = new Float32Array(dy.length)
    native().binary('mul', dy, [n, t * h * w, c], shares, [1, t * h * w, 1], scaled, call.threads)
    dy = scaled
  }
  return call.output(call.input('input').shape, (dx) => layer.backward([null], null, dy, [], [dx], []))
}

/** Which share of its window is no padding, by position of y; undefined where no window is padded. */
function realShares({ x, y, kernel, stride, pad }: LayerOptions): Float32Array | undefined {
  const axis = (i: 0 | 1 | 2) => {
    const [extent, k, s, p] = [x[0]?.[i + 1] as number, (kernel as Int3)[i], (stride as Int3)[i], (pad as Int3)[i]]
    return Array.from({ length: y[i + 1] as number }, (_, at) => (Math.min(at * s - p + k, extent) - Math.max(at * s - p, 0)) / k)
  }
  const [ts, hs, ws] = [axis(0), axis(1), axis(2)]
  if ([ts, hs, ws].every((shares) => shares.every((share) => share === 1))) return undefined
  return Float32Array.from(ts.flatMap((t) => hs.flatMap((h) => ws.map((w) => t * h * w))))
}
