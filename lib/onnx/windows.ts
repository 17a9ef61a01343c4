import type { TensorShape } from '../network/graph.js'
import type { Int3, Padding } from '../network/ops.generated.js'
import type { OnnxBuilder, Value } from './builder.js'

/** What a convolution or a pool slides over a clip, axes T, H, W. */
export interface Window {
  readonly kernel: Int3
  readonly stride: Int3
  readonly padding: Padding
}

/** The attributes that Conv and the pools share. */
export interface WindowAttributes extends Readonly<Record<string, readonly number[]>> {
  readonly kernel_shape: readonly number[]
  readonly strides: readonly number[]
  /** In front of every axis, then behind every axis. */
  readonly pads: readonly number[]
}

type Axis = 0 | 1 | 2

/** Along which axes of a clip a window moves or sees more than one position. */
export function reach({ kernel, stride }: Window): 'position' | 'time' | 'space' | 'both' {
  const along = (axis: Axis): boolean => kernel[axis] > 1 || stride[axis] > 1
  if (along(0)) return along(1) || along(2) ? 'both' : 'time'
  return along(1) || along(2) ? 'space' : 'position'
}

/**
 * Adds a node that slides a window over a value, with as few axes as will do, since runtimes are fastest at two: frame by frame, along time with
 * H·W as one axis, or over T, H and W. Returns the result as frames.
 */
export function slide(onnx: OnnxBuilder, x: Value, window: Window, output: TensorShape, add: (tensor: string, attributes: WindowAttributes) => string): string {
  const frames = onnx.in('frames', x)
  const [t, h, w, c] = x.shape
  switch (reach(window)) {
    case 'position':
    case 'space':
      return add(frames, windowAttributes(window, x.shape, [1, 2]))
    case 'time':
      return fromClips(onnx, add(toClips(onnx, frames, x.shape), timeAttributes(window, x.shape)), output)
    case 'both': {
      const clips = onnx.reshape(toClips(onnx, frames, x.shape), [-1, c, t, h, w])
      const [ot, oh, ow, oc] = output
      return fromClips(onnx, onnx.reshape(add(clips, windowAttributes(window, x.shape, [0, 1, 2])), [-1, oc, ot, oh * ow]), output)
    }
  }
}

/** For a tensor whose last axes are T and one that the window does not see. */
export function timeAttributes(window: Window, shape: TensorShape): WindowAttributes {
  const { kernel_shape: kernel, strides, pads } = windowAttributes(window, shape, [0])
  return { kernel_shape: [...kernel, 1], strides: [...strides, 1], pads: pads.flatMap((pad) => [pad, 0]) }
}

/** SAME is TensorFlow's, written out: the smaller half of the padding in front. */
function windowAttributes({ kernel, stride, padding }: Window, shape: TensorShape, axes: readonly Axis[]): WindowAttributes {
  const total = (axis: Axis): number => Math.max((Math.ceil(shape[axis] / stride[axis]) - 1) * stride[axis] + kernel[axis] - shape[axis], 0)
  const totals = axes.map((axis) => (padding === 'valid' ? 0 : total(axis)))
  return {
    kernel_shape: axes.map((axis) => kernel[axis]),
    strides: axes.map((axis) => stride[axis]),
    pads: [...totals.map((pad) => Math.floor(pad / 2)), ...totals.map((pad) => Math.ceil(pad / 2))],
  }
}

/** frames → [N, C, T, H·W] */
function toClips(onnx: OnnxBuilder, frames: string, [t, h, w, c]: TensorShape): string {
  return t === 1 ? onnx.reshape(frames, [-1, c, 1, h * w]) : onnx.transpose(onnx.reshape(frames, [-1, t, c, h * w]), [0, 2, 1, 3])
}

/** [N, C, T, H·W] → frames */
function fromClips(onnx: OnnxBuilder, clips: string, [t, h, w, c]: TensorShape): string {
  return onnx.reshape(t === 1 ? clips : onnx.transpose(clips, [0, 2, 1, 3]), [-1, c, h, w])
}
