import * as tf from '@tensorflow/tfjs'
import { type NativeComparison, native } from '../../native.js'
import type { NativeLayers } from '../native-layers.js'
import { type Call, registerKernel } from './kernel.js'

const comparisons: Readonly<Record<string, NativeComparison>> = {
  Greater: 'greater',
  GreaterEqual: 'greater_equal',
  Less: 'less',
  LessEqual: 'less_equal',
  Equal: 'equal',
  NotEqual: 'not_equal',
}

/** What relu6 and its gradient are made of: comparisons, ClipByValue, LogicalAnd and Select, of at least so many elements. */
export function registerMasks(layers: NativeLayers, least: number): void {
  for (const [kernelName, name] of Object.entries(comparisons)) registerKernel<unknown>(kernelName, layers, (call) => compare(call, name, least))
  registerKernel<tf.ClipByValueAttrs>('ClipByValue', layers, (call) => {
    const { clipValueMin: low, clipValueMax: high } = call.attrs
    const x = call.values('x')
    if (x.length < least || !(low <= high)) return undefined
    return call.output(call.input('x').shape, (y) => native().clip(x, low, high, y, call.threads))
  })
  registerKernel<unknown>('LogicalAnd', layers, (call) => logicalAnd(call, least), { a: 'bool', b: 'bool' })
  registerKernel<unknown>('Select', layers, (call) => select(call, least), { condition: 'bool' })
}

/** With one number, or of as many as the other has. */
function compare(call: Call<unknown>, name: NativeComparison, least: number): tf.TensorInfo | undefined {
  const [a, b] = [call.input('a'), call.input('b')]
  const [one, other] = [tf.util.sizeFromShape(a.shape) === 1, tf.util.sizeFromShape(b.shape) === 1]
  const shape = one ? b.shape : a.shape
  if (tf.util.sizeFromShape(shape) < least) return undefined
  if (!tf.util.arraysEqual(a.shape, b.shape) && !(one && a.shape.length <= b.shape.length) && !(other && b.shape.length <= a.shape.length)) return undefined
  return call.booleans(shape, (y) => native().compare(name, call.values('a'), call.values('b'), y, call.threads))
}

function logicalAnd(call: Call<unknown>, least: number): tf.TensorInfo | undefined {
  const [{ shape }, b] = [call.input('a'), call.input('b')]
  if (!tf.util.arraysEqual(shape, b.shape) || tf.util.sizeFromShape(shape) < least) return undefined
  const [x, z] = [call.bytes('a'), call.bytes('b')]
  return call.booleans(shape, (y) => {
    for (let i = 0; i < y.length; i++) y[i] = x[i] && z[i] ? 1 : 0
  })
}

function select(call: Call<unknown>, least: number): tf.TensorInfo | undefined {
  const [condition, t, e] = [call.input('condition'), call.input('t'), call.input('e')]
  const same = tf.util.arraysEqual(condition.shape, t.shape) && tf.util.arraysEqual(t.shape, e.shape)
  if (!same || tf.util.sizeFromShape(t.shape) < least) return undefined
  return call.output(t.shape, (y) => native().select(call.bytes('condition'), call.values('t'), call.values('e'), y, call.threads))
}
