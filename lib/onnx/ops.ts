import type { Op, OpKind } from '../network/ops.generated.js'
import { clipsName, type Value } from './builder.js'
import { convolution, depthwise } from './convolutions.js'
import { epsilon } from './fold-batch-norm.js'
import { pool } from './pools.js'
import { activate, perClip, type Translated, type Translation } from './translation.js'

type Translator<K extends OpKind> = (op: Extract<Op, { op: K }>, translation: Translation) => Translated

/** Every op in ONNX. Those that do not care keep the layout of their first input. */
const translators = {
  normalize({ inputs: [x] }, { onnx, shapeOf }) {
    const [, h, w, c] = shapeOf(x)
    const bytes = onnx.transpose(onnx.reshape(clipsName, [-1, h, w, c]), [0, 3, 1, 2])
    const scaled = onnx.node('Mul', [onnx.node('Cast', [bytes], { to: 1 }), onnx.scalar(1 / 127.5)])
    return ['frames', onnx.node('Sub', [scaled, onnx.scalar(1)])]
  },

  conv: convolution,
  depthwise,
  pool,

  batch_norm({ inputs: [x], parameters, function: kind }, { onnx, value, parameter }) {
    const { shape } = value(x)
    const leaves = [parameters.gamma, parameters.beta, parameters.mean, parameters.variance]
    const constants = leaves.map((name) => onnx.constant(name, [shape[3]], parameter(name)))
    const y = onnx.node('BatchNormalization', [onnx.in('frames', value(x)), ...constants], { epsilon: { float: epsilon } })
    return ['frames', activate(onnx, y, kind)]
  },

  activation({ inputs: [x], function: kind }, { onnx, value }) {
    const { layout } = value(x)
    return [layout, activate(onnx, onnx.in(layout, value(x)), kind)]
  },

  add({ inputs: [x, b], function: kind }, { onnx, value }) {
    const { layout } = value(x)
    return [layout, activate(onnx, onnx.node('Add', [onnx.in(layout, value(x)), onnx.in(layout, value(b))]), kind)]
  },

  mean({ inputs: [x], extent }, { onnx, value, shapeOf }) {
    const [t, , , c] = shapeOf(x)
    const perFrame = onnx.reshape(onnx.node('GlobalAveragePool', [onnx.in('frames', value(x))]), [-1, t, c])
    return ['positions', extent === 'frame' || t === 1 ? perFrame : onnx.node('ReduceMean', [perFrame], { axes: [1], keepdims: 1 })]
  },

  gate({ inputs: [x, z] }, { onnx, value }) {
    const { layout, shape } = value(x)
    const gate = onnx.node('Sigmoid', [onnx.in('positions', value(z))])
    return [layout, onnx.node('Mul', [onnx.in(layout, value(x)), perClip(onnx, gate, layout, shape)])]
  },

  attention({ inputs: [theta, phi, g] }, { onnx, value, shapeOf }) {
    const scale = onnx.scalar(1 / Math.sqrt(shapeOf(theta)[3]))
    const queries = onnx.node('Mul', [onnx.in('positions', value(theta)), scale])
    const keys = onnx.transpose(onnx.in('positions', value(phi)), [0, 2, 1])
    const weights = onnx.node('Softmax', [onnx.node('MatMul', [queries, keys])], { axis: -1 })
    return ['positions', onnx.node('MatMul', [weights, onnx.in('positions', value(g))])]
  },

  dropout({ inputs: [x] }, { onnx, value }) {
    const { layout } = value(x)
    return [layout, onnx.in(layout, value(x))]
  },

  dense({ inputs: [x], output, parameters: { weight, bias } }, { onnx, value, parameter, shapeOf }) {
    const [c, k] = [shapeOf(x)[3], shapeOf(output)[3]]
    const product = onnx.node('MatMul', [onnx.in('positions', value(x)), onnx.constant(weight, [c, k], parameter(weight))])
    return ['positions', onnx.node('Add', [product, onnx.constant(bias, [k], parameter(bias))])]
  },

  temporal_softmax({ inputs: [x] }, { onnx, value, shapeOf }) {
    const [t, , , k] = shapeOf(x)
    const series = onnx.transpose(onnx.in('positions', value(x)), [0, 2, 1])
    const weights = onnx.node('Softmax', [onnx.node('Mul', [series, onnx.scalar(1 / Math.sqrt(t))])], { axis: -1 })
    const sum = onnx.node('ReduceSum', [onnx.node('Mul', [series, weights]), onnx.whole([2])], { keepdims: 0 })
    return ['positions', onnx.reshape(sum, [-1, 1, k])]
  },
} satisfies { [K in OpKind]: Translator<K> }

/** Adds the nodes of an op and returns its output. */
export function translate(op: Op, translation: Translation): Value {
  const [layout, tensor] = (translators[op.op] as Translator<OpKind>)(op, translation)
  return { shape: translation.shapeOf(op.output), layout, tensors: new Map([[layout, tensor]]) }
}
