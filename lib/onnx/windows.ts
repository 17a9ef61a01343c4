import type { TensorShape } from '../network/graph.js'
import type { Int3, Padding } from '../network/ops.generated.js'

/** What a convolution or a pool slides over a clip, axes T, H, W. */
export interface Window {
  readonly kernel: Int3
  readonly stride: Int3
  readonly padding: Padding
}

export type Axis = 0 | 1 | 2
export const space: readonly Axis[] = [1, 2]
export const spacetime: readonly Axis[] = [0, 1, 2]

/** Along which axes a window is more than one position at every position. */
export function reach({ kernel, stride }: Window): 'none' | 'time' | 'space' | 'both' {
  const along = (axis: Axis): boolean => kernel[axis] > 1 || stride[axis] > 1
  const [time, space] = [along(0), along(1) || along(2)]
  if (time) return space ? 'both' : 'time'
  return space ? 'space' : 'none'
}

/**
 * The attributes of a Conv or pool node whose spatial axes are these axes of the clip; `flat` appends one more, over which the
 * window is one position. SAME is TensorFlow's, written out: the smaller half of the padding in front.
 */
export function windowAttributes({ kernel, stride, padding }: Window, shape: TensorShape, axes: readonly Axis[], flat = false) {
  const amounts = axes.map((axis) => {
    const n = shape[axis]
    const total = padding === 'valid' ? 0 : Math.max((Math.ceil(n / stride[axis]) - 1) * stride[axis] + kernel[axis] - n, 0)
    return [Math.floor(total / 2), Math.ceil(total / 2)] as const
  })
  const extended = (values: readonly number[], last: number): readonly number[] => (flat ? [...values, last] : values)
  return {
    kernel_shape: extended(
      axes.map((axis) => kernel[axis]),
      1,
    ),
    strides: extended(
      axes.map((axis) => stride[axis]),
      1,
    ),
    pads: [
      ...extended(
        amounts.map(([front]) => front),
        0,
      ),
      ...extended(
        amounts.map(([, end]) => end),
        0,
      ),
    ],
  }
}
