import type { ConvOp, DepthwiseOp } from '../network/ops.generated.js'
import type { Value } from './builder.js'
import { activate, type Translated, type Translation } from './translation.js'
import { reach, space, spacetime, type Window, windowAttributes } from './windows.js'

/** A dense convolution, with what fusing may have put behind it: y = function(residual + scale · (x ∗ weight + bias)). */
export function convolution(op: ConvOp, translation: Translation): Translated {
  const [x, residual, scale, shortcut] = op.inputs
  const { onnx, value } = translation
  if (residual !== undefined || scale !== undefined || shortcut !== undefined) throw new Error(op.name)
  const [layout, y] = convolve(value(x), op, op.parameters, op.output, translation)
  return [layout, activate(onnx, y, op.function)]
}

interface Weights {
  readonly weight: string
  readonly bias?: string
}

function convolve(x: Value, window: Window, { weight, bias }: Weights, output: string, { onnx, parameter, shapeOf }: Translation): Translated {
  const { shape } = x
  const [t, h, w, c] = shape
  const [ot, oh, ow, oc] = shapeOf(output)
  const biases = bias === undefined ? [] : [onnx.constant(bias, [oc], parameter(bias))]
  const kernels = (dims: readonly number[]): string => onnx.constant(weight, [oc, c, ...dims], channelsFirst(parameter(weight), c, oc))
  const windows = (tensor: string, axes = space, flat = false): string => {
    const attributes = windowAttributes(window, shape, axes, flat)
    return onnx.node('Conv', [tensor, kernels(attributes.kernel_shape), ...biases], attributes)
  }
  switch (reach(window)) {
    case 'none': {
      if (x.layout !== 'positions') {
        const kernel_shape = [1, 1]
        return [x.layout, onnx.node('Conv', [onnx.in(x.layout, x), kernels(kernel_shape), ...biases], { kernel_shape })]
      }
      const product = onnx.node('MatMul', [onnx.in('positions', x), onnx.constant(weight, [c, oc], parameter(weight))])
      return ['positions', biases[0] === undefined ? product : onnx.node('Add', [product, biases[0]])]
    }
    case 'space':
      return ['frames', windows(onnx.in('frames', x))]
    case 'time':
      return ['clip', windows(onnx.in('clip', x), [0], true)]
    case 'both':
      return ['clip', onnx.reshape(windows(onnx.reshape(onnx.in('clip', x), [-1, c, t, h, w]), spacetime), [-1, oc, ot, oh * ow])]
  }
}

/** One filter a channel, within frames. */
export function depthwise(op: DepthwiseOp, { onnx, value, parameter }: Translation): Translated {
  const x = value(op.inputs[0])
  const c = x.shape[3]
  const { weight, bias } = op.parameters
  const attributes = windowAttributes(op, x.shape, space)
  const kernels = onnx.constant(weight, [c, 1, ...attributes.kernel_shape], transposed(parameter(weight), c))
  const biases = bias === undefined ? [] : [onnx.constant(bias, [c], parameter(bias))]
  return ['frames', activate(onnx, onnx.node('Conv', [onnx.in('frames', x), kernels, ...biases], { ...attributes, group: c }), op.function)]
}

/** A matrix of so many columns, transposed: [KT, KH, KW, C, OC] becomes [OC, KT, KH, KW, C]. */
function transposed(values: Float32Array, columns: number): Float32Array<ArrayBuffer> {
  const rows = values.length / columns
  const result = new Float32Array(values.length)
  for (let column = 0, i = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) result[i++] = values[row * columns + column] as number
  }
  return result
}

/** A weight [KT, KH, KW, C, OC] as ONNX has it: [OC, C, KT, KH, KW]. */
function channelsFirst(weight: Float32Array, c: number, oc: number): Float32Array {
  const whole = transposed(weight, oc)
  if (weight.length === c * oc) return whole
  const filter = weight.length / oc
  for (let from = 0; from < whole.length; from += filter) whole.set(transposed(whole.subarray(from, from + filter), c), from)
  return whole
}
