import * as tf from '@tensorflow/tfjs'
import type { Function } from '../../network/ops.generated.js'
import type { LayerOptions, NativeLayers } from '../native-layers.js'
import { activationOf } from './fusion.js'
import { type Call, registerKernel } from './kernel.js'

/** BatchMatMul and _FusedMatMul: matrices of every batch, or one for all of them. */
export function registerMatrices(layers: NativeLayers): void {
  registerKernel<tf.BatchMatMulAttrs>('BatchMatMul', layers, (call) => multiply(call, 'none', undefined))
  registerKernel<tf._FusedMatMulAttrs>('_FusedMatMul', layers, fused)
}

type Transposition = Pick<tf.BatchMatMulAttrs, 'transposeA' | 'transposeB'>

/** a [M, K] · b [K, N], as a convolution of single pixels sees it. */
interface Product {
  readonly m: number
  readonly k: number
  readonly n: number
}

/** Undefined where both are transposed, or matrices are broadcast to each other in other ways than one to all. */
function multiply<A extends Transposition>(call: Call<A>, f: Function, bias: Float32Array | undefined): tf.TensorInfo | undefined {
  const { transposeA, transposeB } = call.attrs
  const [a, b] = [call.input('a'), call.input('b')]
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number]
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number]
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA]
  const [inner, n] = transposeB ? [columnsB, rowsB] : [rowsB, columnsB]
  const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
  const outer = tf.broadcast_util.assertAndGetBroadcastShape(outerA, outerB)
  const [batchesA, batchesB] = [tf.util.sizeFromShape(outerA), tf.util.sizeFromShape(outerB)]
  const all = tf.util.sizeFromShape(outer)
  if (inner !== k || (transposeA && transposeB) || ![1, all].includes(batchesA) || ![1, all].includes(batchesB)) return undefined
  if ((f !== 'none' || bias) && (transposeA || transposeB)) return undefined
  const [valuesA, valuesB] = [call.values('a'), call.values('b')]
  // one b for all: the rows of all a stand below each other
  const together = batchesB === 1 && !transposeA
  const product: Product = { m: together ? m * batchesA : m, k, n }
  const batches = together ? 1 : Math.max(batchesA, batchesB)
  return call.output([...outer, m, n], (y) => {
    for (let i = 0; i < batches; i++) {
      const part = (values: Float32Array, size: number, of: number) => (of === 1 ? values : values.subarray(i * size, (i + 1) * size))
      const [partA, partB] = [together ? valuesA : part(valuesA, m * k, batchesA), part(valuesB, k * n, batchesB)]
      const into = batches === 1 ? y : y.subarray(i * product.m * n, (i + 1) * product.m * n)
      const id = batchesB === 1 ? b.dataId : {} // a part has no identity of its own
      if (!one(call, product, partA, partB, id, into, f, bias)) return false
    }
    return true
  })
}

/** One matrix; false where our kernels cannot do it. */
function one<A extends Transposition>(
  { layers, attrs, isAlive }: Call<A>,
  { m, k, n }: Product,
  a: Float32Array,
  b: Float32Array,
  idOfB: object,
  y: Float32Array,
  f: Function,
  bias: Float32Array | undefined,
): boolean {
  const pixels = (rows: number, c: number, oc: number): LayerOptions => ({ op: 'conv', x: [[1, 1, 1, rows, c]], y: [1, 1, 1, rows, oc] })
  if (!attrs.transposeA && !attrs.transposeB) {
    const options = f === 'none' && !bias ? pixels(m, k, n) : { ...pixels(m, k, n), function: f, bias: !!bias }
    return layers.forward(options, [a], [b, bias ?? null], idOfB, y, isAlive)
  }
  if (attrs.transposeB) {
    // what a convolution of n to k channels does backward
    const layer = layers.find({ ...pixels(m, n, k), training: true })
    layer?.backward([null], null, a, [b, null], [y], [null, null])
    return layer !== null
  }
  // the gradient of a convolution's weights: x is a, dy is b
  const layer = layers.find({ ...pixels(k, m, n), training: true })
  layer?.backward([a], null, b, [null, null], [null], [y, null])
  return layer !== null
}

function fused(call: Call<tf._FusedMatMulAttrs>): tf.TensorInfo | undefined {
  const { transposeA, transposeB } = call.attrs
  const activation = activationOf(call.attrs)
  const bias = call.inputs.bias
  const n = call.input('b').shape.at(transposeB ? -2 : -1)
  if (!activation || (bias && tf.util.sizeFromShape(bias.shape) !== n)) return undefined
  if (!transposeA && !transposeB) {
    const y = multiply(call, activation.fused, bias && call.valuesOf(bias))
    return y && activation.after(call, y)
  }
  const product = call.run('BatchMatMul', { a: call.input('a'), b: call.input('b') }, { transposeA, transposeB })
  const sum = bias ? call.replace(product, 'Add', { a: product, b: bias }) : product
  if (activation.fused === 'none') return activation.after(call, sum)
  return call.replace(sum, activation.fused === 'relu' ? 'Relu' : 'Sigmoid', { x: sum })
}
