import type { PoolOp } from '../network/ops.generated.js'
import type { Translated, Translation } from './translation.js'
import { reach, space, spacetime, windowAttributes } from './windows.js'

/** Pooling over frames, along time, or both. Averages divide by the number of real elements. */
export function pool(op: PoolOp, { onnx, value, shapeOf }: Translation): Translated {
  const x = value(op.inputs[0])
  const { shape } = x
  const [t, h, w, c] = shape
  const [type, counting] = op.pooling === 'max' ? ['MaxPool', {}] : ['AveragePool', { count_include_pad: 0 }]
  const windows = (tensor: string, axes = space, flat = false): string => onnx.node(type, [tensor], { ...windowAttributes(op, shape, axes, flat), ...counting })
  switch (reach(op)) {
    case 'none':
      return [x.layout, onnx.in(x.layout, x)]
    case 'space':
      return ['frames', windows(onnx.in('frames', x))]
    case 'time': {
      if (x.layout !== 'frames') return ['clip', windows(onnx.in('clip', x), [0], true)]
      // whatever lies behind T may count as one axis: no transposition
      const [, oh, ow] = shapeOf(op.output)
      return ['frames', onnx.reshape(windows(onnx.reshape(onnx.in('frames', x), [-1, 1, t, c * h * w]), [0], true), [-1, c, oh, ow])]
    }
    case 'both': {
      const [ot, oh, ow] = shapeOf(op.output)
      return ['clip', onnx.reshape(windows(onnx.reshape(onnx.in('clip', x), [-1, c, t, h, w]), spacetime), [-1, c, ot, oh * ow])]
    }
  }
}
