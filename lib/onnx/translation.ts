import type { TensorShape } from '../network/graph.js'
import type { Function } from '../network/ops.generated.js'
import type { Layout, OnnxBuilder, Value } from './builder.js'
import type { Parameters } from './fold-batch-norm.js'

/** What a translation reads and writes. */
export interface Translation {
  readonly onnx: OnnxBuilder
  readonly parameter: Parameters
  readonly shapeOf: (tensor: string) => TensorShape
  readonly value: (tensor: string) => Value
}

/** The tensor that holds an op's output, and its layout. */
export type Translated = readonly [layout: Layout, tensor: string]

/** y = function(x) */
export function activate(onnx: OnnxBuilder, x: string, kind: Function = 'none'): string {
  switch (kind) {
    case 'none':
      return x
    case 'relu':
      return onnx.node('Relu', [x])
    case 'hswish':
      return onnx.node('HardSwish', [x])
    case 'sigmoid':
      return onnx.node('Sigmoid', [x])
  }
}

/** A tensor `positions` [N, 1, C] so that it broadcasts over the clips of a value of that shape. */
export function perClip(onnx: OnnxBuilder, tensor: string, layout: Layout, [t, , , c]: TensorShape): string {
  if (layout === 'positions') return tensor
  return onnx.reshape(t === 1 ? tensor : onnx.node('Tile', [tensor, onnx.whole([1, t, 1])]), [-1, c, 1, 1])
}
