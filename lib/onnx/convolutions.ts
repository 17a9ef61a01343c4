import type { ConvOp, DepthwiseOp } from '../network/ops.generated.js'
import { activate, perClip, type Translated, type Translation } from './translation.js'
import { reach, slide, type Window } from './windows.js'

/** A dense convolution with what fusing may have put behind it: y = function(residual + scale · (x ∗ weight + bias)). */
export function convolution(op: ConvOp, translation: Translation): Translated {
  const { onnx, value, shapeOf } = translation
  const [x, residual, scale, shortcut] = op.inputs
  const { weight, bias, shortcut_weight: shortcutWeight, shortcut_bias: shortcutBias } = op.parameters
  const shape = shapeOf(op.output)
  let [layout, y] = convolve(x, op, weight, bias, op, translation)
  if (scale !== undefined) y = onnx.node('Mul', [y, perClip(onnx, onnx.in('positions', value(scale)), layout, shape)])
  if (residual !== undefined) y = onnx.node('Add', [y, onnx.in(layout, value(residual))])
  if (shortcut !== undefined && shortcutWeight !== undefined) {
    const window = { kernel: [1, 1, 1], stride: op.shortcut_stride ?? [1, 1, 1], padding: op.padding } as const
    const [made, tensor] = convolve(shortcut, window, shortcutWeight, shortcutBias, op, translation)
    y = onnx.node('Add', [y, onnx.in(layout, { shape, layout: made, tensors: new Map([[made, tensor]]) })])
  }
  return [layout, activate(onnx, y, op.function)]
}

/** x ∗ weight + bias; by a matrix product where x is there as a matrix. */
function convolve(
  input: string,
  window: Window,
  weight: string,
  bias: string | undefined,
  { output }: ConvOp,
  { onnx, value, parameter, shapeOf }: Translation,
): Translated {
  const x = value(input)
  const shape = shapeOf(output)
  const [c, oc] = [x.shape[3], shape[3]]
  const biases = bias === undefined ? [] : [onnx.constant(bias, [oc], parameter(bias))]
  if (x.layout === 'positions' && reach(window) === 'position') {
    const product = onnx.node('MatMul', [onnx.in('positions', x), onnx.constant(weight, [c, oc], parameter(weight))])
    return ['positions', biases[0] === undefined ? product : onnx.node('Add', [product, biases[0]])]
  }
  const y = slide(onnx, x, window, shape, (tensor, attributes) => {
    const kernels = onnx.constant(weight, [oc, c, ...attributes.kernel_shape], channelsFirst(parameter(weight), c, oc))
    return onnx.node('Conv', [tensor, kernels, ...biases], attributes)
  })
  return ['frames', y]
}

/** One filter a channel, within frames. */
export function depthwise(op: DepthwiseOp, { onnx, value, parameter, shapeOf }: Translation): Translated {
  const shape = shapeOf(op.output)
  const c = shape[3]
  const { weight, bias } = op.parameters
  const biases = bias === undefined ? [] : [onnx.constant(bias, [c], parameter(bias))]
  const y = slide(onnx, value(op.inputs[0]), op, shape, (tensor, attributes) => {
    const kernels = onnx.constant(weight, [c, 1, ...attributes.kernel_shape], transposed(parameter(weight), c))
    return onnx.node('Conv', [tensor, kernels, ...biases], { ...attributes, group: c })
  })
  return ['frames', activate(onnx, y, op.function)]
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
