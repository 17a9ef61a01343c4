import type * as tf from '@tensorflow/tfjs'
import type { NativeLayers } from '../native-layers.js'
import { type Call, registerKernel } from './kernel.js'

/** Tile and PadV2 where whole rows are copied. */
export function registerCopies(layers: NativeLayers): void {
  registerKernel<tf.TileAttrs>('Tile', layers, tile)
  registerKernel<tf.PadV2Attrs>('PadV2', layers, pad)
}

/** A row that is repeated as a whole. */
function tile(call: Call<tf.TileAttrs>): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const reps = call.attrs.reps as readonly number[]
  const begin = shape.findIndex((extent) => extent !== 1)
  if (begin < 0 || reps.length !== shape.length || reps.some((times, i) => times < 1 || (i >= begin && times !== 1))) return undefined
  const row = call.values('x')
  const outShape = shape.map((extent, i) => extent * (reps[i] as number))
  return call.output(outShape, (y) => {
    y.set(row)
    for (let n = row.length; n < y.length; n *= 2) y.copyWithin(n, 0, n)
  })
}

/** Rows of what is not padded behind. */
function pad(call: Call<tf.PadV2Attrs>): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const { paddings, constantValue } = call.attrs
  const last = paddings.findLastIndex(([before, after]) => before !== 0 || after !== 0)
  if (last < 0 || paddings.some(([before, after]) => before < 0 || after < 0)) return undefined
  const outShape = shape.map((extent, i) => extent + (paddings[i]?.[0] as number) + (paddings[i]?.[1] as number))
  const steps = outShape.map((_, i) => outShape.slice(i + 1).reduce((a, b) => a * b, 1)) // of y
  const row = shape.slice(last).reduce((a, b) => a * b, 1)
  const x = call.values('x')
  return call.output(outShape, (y) => {
    y.fill(constantValue)
    const index = Array<number>(last).fill(0) // of a row
    for (let from = 0; from < x.length; from += row) {
      let to = (paddings[last]?.[0] as number) * (steps[last] as number)
      for (let i = 0; i < last; i++) to += ((index[i] as number) + (paddings[i]?.[0] as number)) * (steps[i] as number)
      y.set(x.subarray(from, from + row), to)
      for (let i = last - 1; i >= 0; i--) {
        const next = (index[i] as number) + 1
        index[i] = next === shape[i] ? 0 : next
        if (next !== shape[i]) break
      }
    }
  })
}
