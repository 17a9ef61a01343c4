import * as tf from '@tensorflow/tfjs'
import { native } from '../../native.js'
import type { Int3, Padding } from '../../network/ops.generated.js'
import { isAlive } from '../memory.js'
import type { LayerOptions } from '../native-layers.js'
import { nativeLayers } from '../threads.js'
import { findLayer, impossible } from './layer-kernel.js'
import { reluGradient } from './pointwise.js'
import { type Attributes, defineKernel, type Inputs, runKernel } from './registry.js'
import { type Shape5, windowed } from './window.js'

/** Functions whose gradient needs the result alone. */
export type FusedFunction = 'none' | 'relu'

export interface ConvolutionAttributes {
  readonly strides: Int3
  readonly padding: Padding
}

/**
 * x [N, T, H, W, C] by filter [KT, KH, KW, C, OC] → [N, OT, OH, OW, OC], with bias [OC]; f
 * is applied on the way.
 */
export function conv(x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor | undefined, attributes: ConvolutionAttributes, f: FusedFunction = 'none'): tf.Tensor {
  return runKernel('TvnConv', { x, filter, bias }, { op: 'conv', ...plain(attributes), f })
}

/** One filter [KH, KW, C] for every channel, in every frame. */
export function depthwise(
  x: tf.Tensor,
  filter: tf.Tensor,
  bias: tf.Tensor | undefined,
  attributes: ConvolutionAttributes,
  f: FusedFunction = 'none',
): tf.Tensor {
  return runKernel('TvnConv', { x, filter, bias }, { op: 'depthwise', ...plain(attributes), f })
}

const plain = ({ strides, padding }: ConvolutionAttributes) => ({ strides: [...strides], padding })

function optionsOf(x: readonly number[], filter: readonly number[], attributes: Attributes): LayerOptions & { readonly y: readonly number[] } {
  const { op, strides, padding } = attributes as { op: 'conv' | 'depthwise'; strides: Int3; padding: Padding }
  const kernel = (op === 'conv' ? filter.slice(0, 3) : [1, ...filter.slice(0, 2)]) as unknown as Int3
  const channels = op === 'conv' ? (filter[4] as number) : (x[4] as number)
  return { op, x: [[...x]], ...windowed(x as Shape5, kernel, strides, padding, channels) }
}

const shape = (inputs: Inputs, name: string) => (inputs[name] as tf.TensorInfo).shape

defineKernel({
  kernelName: 'TvnConv',
  inputs: ['x', 'filter', 'bias'],
  shapes: (inputs, attributes) => [optionsOf(shape(inputs, 'x'), shape(inputs, 'filter'), attributes).y],
  run: ([x, filter, bias], [y], { inputs, attributes, backend }) => {
    const options = { ...optionsOf(shape(inputs, 'x'), shape(inputs, 'filter'), attributes), function: attributes.f as FusedFunction, bias: !!bias }
    const { dataId } = inputs.filter as tf.TensorInfo
    const weights = [filter as Float32Array, bias as Float32Array | null]
    const done = nativeLayers().forward(options, [x as Float32Array], weights, dataId, y as Float32Array, (id) => isAlive(backend, id))
    if (!done) throw impossible(options)
  },
  gradient: {
    inputsToSave: ['x', 'filter'],
    outputsToSave: [true],
    gradFunc: (dy, [x, filter, y], attributes) => {
      const d = attributes.f === 'relu' ? reluGradient(y as tf.Tensor, dy as tf.Tensor) : (dy as tf.Tensor)
      const rest = { ...attributes, f: 'none' }
      return {
        x: () => runKernel('TvnConvInputGrad', { dy: d, filter: filter as tf.Tensor }, { ...rest, inputShape: (x as tf.Tensor).shape }),
        filter: () => runKernel('TvnConvFilterGrad', { x: x as tf.Tensor, dy: d }, { ...rest, filterShape: (filter as tf.Tensor).shape }),
        bias: () => runKernel('TvnBiasGrad', { dy: d }, {}),
      }
    },
  },
})

defineKernel({
  kernelName: 'TvnConvInputGrad',
  inputs: ['dy', 'filter'],
  shapes: (_, { inputShape }) => [inputShape as number[]],
  run: ([dy, filter], [dx], { inputs, attributes }) => {
    const options = optionsOf(attributes.inputShape as number[], shape(inputs, 'filter'), attributes)
    findLayer({ ...options, training: true }).backward([null], null, dy as Float32Array, [filter as Float32Array, null], [dx as Float32Array], [null, null])
  },
})

defineKernel({
  kernelName: 'TvnConvFilterGrad',
  inputs: ['x', 'dy'],
  shapes: (_, { filterShape }) => [filterShape as number[]],
  run: ([x, dy], [dw], { inputs, attributes }) => {
    const options = optionsOf(shape(inputs, 'x'), attributes.filterShape as number[], attributes)
    findLayer({ ...options, training: true }).backward([x as Float32Array], null, dy as Float32Array, [null, null], [null], [dw as Float32Array, null])
  },
})

defineKernel({
  kernelName: 'TvnBiasGrad',
  inputs: ['dy'],
  shapes: ({ dy }) => [[(dy as tf.TensorInfo).shape[4] as number]],
  run: ([dy], [db]) => {
    const [values, sums] = [dy as Float32Array, db as Float32Array]
    native().sum(values, [1, values.length / sums.length, sums.length], 1, sums, nativeLayers().threads)
  },
})
