import * as tf from '@tensorflow/tfjs'
import type { NativeLayers } from '../native-layers.js'
import { type Call, registerKernel } from './kernel.js'

/** Tile, PadV2, Concat, Slice and Transpose where whole rows are copied, of at least so many elements: shorter ones are copied sooner one by one. */
export function registerCopies(layers: NativeLayers, leastRow: number): void {
  registerKernel<tf.ConcatAttrs>('Concat', layers, (call) => concat(call, leastRow))
  registerKernel<tf.SliceAttrs>('Slice', layers, (call) => slice(call, leastRow))
  registerKernel<tf.TransposeAttrs>('Transpose', layers, (call) => transpose(call, leastRow))
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

const sizeOf = (extents: readonly number[]) => extents.reduce((a, b) => a * b, 1)

/** Rows of what is behind the axis, of one input after the other. */
function concat(call: Call<tf.ConcatAttrs>, leastRow: number): tf.TensorInfo | undefined {
  const inputs = Object.values(call.inputs) as tf.TensorInfo[]
  const shapes = inputs.map(({ shape }) => shape)
  const [axis] = tf.util.parseAxisParam(call.attrs.axis, shapes[0] as number[]) as [number]
  const rows = shapes.map((shape) => sizeOf(shape.slice(axis)))
  if (inputs.length < 2 || rows.some((row) => row < leastRow)) return undefined
  tf.backend_util.assertParamsConsistent(shapes, axis)
  const values = inputs.map((input) => call.valuesOf(input))
  return call.output(tf.backend_util.computeOutShape(shapes, axis), (y) => {
    for (let at = 0, outer = 0; at < y.length; outer++)
      for (const [i, row] of rows.entries()) {
        y.set((values[i] as Float32Array).subarray(outer * row, (outer + 1) * row), at)
        at += row
      }
  })
}

/** Where the cpu backend would copy one element after the other: rows that do not follow each other. */
function slice(call: Call<tf.SliceAttrs>, leastRow: number): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const [begin, size] = tf.slice_util.parseSliceParams(call.input('x') as tf.Tensor, call.attrs.begin, call.attrs.size) as [number[], number[]]
  tf.slice_util.assertParamsValid(call.input('x') as tf.Tensor, begin, size)
  const last = size.findLastIndex((extent, i) => extent !== shape[i])
  if (last <= 0 || tf.slice_util.isSliceContinous(shape, begin, size)) return undefined
  const inner = sizeOf(shape.slice(last + 1))
  const row = (size[last] as number) * inner
  if (row < leastRow) return undefined
  const x = call.values('x')
  const steps = shape.map((_, i) => sizeOf(shape.slice(i + 1)))
  return call.output(size, (y) => {
    const index = Array<number>(last).fill(0)
    for (let to = 0; to < y.length; to += row) {
      let from = (begin[last] as number) * inner
      for (let i = 0; i < last; i++) from += ((index[i] as number) + (begin[i] as number)) * (steps[i] as number)
      y.set(x.subarray(from, from + row), to)
      advance(index, size)
    }
  })
}

/** Rows of the last axes that stay where they are; the same data where all that move have one element. */
function transpose(call: Call<tf.TransposeAttrs>, leastRow: number): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const { perm } = call.attrs
  const outShape = perm.map((axis) => shape[axis] as number)
  const moving = perm.filter((axis) => shape[axis] !== 1)
  if (moving.every((axis, i) => i === 0 || axis > (moving[i - 1] as number))) return call.run('Reshape', { x: call.input('x') }, { shape: outShape })
  const outer = perm.findLastIndex((axis, i) => axis !== i) + 1
  const row = sizeOf(shape.slice(outer))
  if (row < leastRow) return undefined
  const x = call.values('x')
  const steps = perm.map((axis) => sizeOf(shape.slice(axis + 1)))
  return call.output(outShape, (y) => {
    const index = Array<number>(outer).fill(0) // of a row of y
    for (let to = 0; to < y.length; to += row) {
      const from = index.reduce((sum, at, i) => sum + at * (steps[i] as number), 0)
      y.set(x.subarray(from, from + row), to)
      advance(index, outShape)
    }
  })
}

/** The next index in these extents, the last one first. */
function advance(index: number[], extents: readonly number[]): void {
  for (let i = index.length - 1; i >= 0; i--) {
    const next = (index[i] as number) + 1
    index[i] = next === extents[i] ? 0 : next
    if (next !== extents[i]) break
  }
}

/** Rows of what is not padded behind. */
function pad(call: Call<tf.PadV2Attrs>): tf.TensorInfo | undefined {
  const { shape } = call.input('x')
  const { paddings, constantValue } = call.attrs
  const last = paddings.findLastIndex(([before, after]) => before !== 0 || after !== 0)
  if (last < 0 || paddings.some(([before, after]) => before < 0 || after < 0)) return undefined
  const outShape = shape.map((extent, i) => extent + (paddings[i]?.[0] as number) + (paddings[i]?.[1] as number))
  const steps = outShape.map((_, i) => sizeOf(outShape.slice(i + 1)))
  const row = sizeOf(shape.slice(last))
  const x = call.values('x')
  return call.output(outShape, (y) => {
    y.fill(constantValue)
    const index = Array<number>(last).fill(0) // of a row
    for (let from = 0; from < x.length; from += row) {
      let to = (paddings[last]?.[0] as number) * (steps[last] as number)
      for (let i = 0; i < last; i++) to += ((index[i] as number) + (paddings[i]?.[0] as number)) * (steps[i] as number)
      y.set(x.subarray(from, from + row), to)
      advance(index, shape)
    }
  })
}
