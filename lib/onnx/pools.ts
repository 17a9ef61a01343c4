import type { PoolOp } from '../network/ops.generated.js'
import type { Translated, Translation } from './translation.js'
import { reach, slide, timeAttributes, type WindowAttributes } from './windows.js'

/** Pooling over frames, along time, or both. Averages divide by the number of real elements. */
export function pool(op: PoolOp, { onnx, value, shapeOf }: Translation): Translated {
  const x = value(op.inputs[0])
  const output = shapeOf(op.output)
  const add = (tensor: string, attributes: WindowAttributes): string =>
    op.pooling === 'max' ? onnx.node('MaxPool', [tensor], attributes) : onnx.node('AveragePool', [tensor], { ...attributes, count_include_pad: 0 })
  if (reach(op) !== 'time') return ['frames', slide(onnx, x, op, output, add)]
  // Channels are not mixed, so whatever lies behind T may count as one axis: no transposition.
  const [t, h, w, c] = x.shape
  const series = onnx.reshape(onnx.in('frames', x), [-1, 1, t, c * h * w])
  return ['frames', onnx.reshape(add(series, timeAttributes(op, x.shape)), [-1, c, h, w])]
}
