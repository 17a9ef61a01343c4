import * as tf from '@tensorflow/tfjs'
import type { Int3 } from '../../network/ops.generated.js'
import type { LayerOptions, NativeLayers } from '../native-layers.js'
import { activationOf, type Fusion } from './fusion.js'
import { type Call, registerKernel } from './kernel.js'

const { backend_util } = tf

/** Conv2D*, DepthwiseConv2dNative*, Conv3D* and the fused ones. */
export function registerConvolutions(layers: NativeLayers): void {
  registerKernel<tf.Conv2DAttrs>('Conv2D', layers, (call) => forward(call, conv2d(call.input('x').shape, call.input('filter').shape, call.attrs)))
  registerKernel<tf.Conv2DBackpropInputAttrs>('Conv2DBackpropInput', layers, (call) =>
    dataGradient(call, conv2d(call.attrs.inputShape, call.input('filter').shape, call.attrs), call.attrs.inputShape),
  )
  registerKernel<tf.Conv2DBackpropFilterAttrs>('Conv2DBackpropFilter', layers, (call) =>
    filterGradient(call, conv2d(call.input('x').shape, call.attrs.filterShape, call.attrs), call.attrs.filterShape),
  )

  registerKernel<tf.DepthwiseConv2dNativeAttrs>('DepthwiseConv2dNative', layers, (call) =>
    forward(call, depthwise(call.input('x').shape, call.input('filter').shape, call.attrs)),
  )
  registerKernel<tf.DepthwiseConv2dNativeBackpropInputAttrs>('DepthwiseConv2dNativeBackpropInput', layers, (call) =>
    dataGradient(call, depthwise(call.attrs.inputShape, call.input('filter').shape, call.attrs), call.attrs.inputShape),
  )
  registerKernel<tf.DepthwiseConv2dNativeBackpropFilterAttrs>('DepthwiseConv2dNativeBackpropFilter', layers, (call) =>
    filterGradient(call, depthwise(call.input('x').shape, call.attrs.filterShape, call.attrs), call.attrs.filterShape),
  )

  registerKernel<tf.Conv3DAttrs>('Conv3D', layers, (call) => forward(call, conv3d(call.input('x').shape, call.input('filter').shape, call.attrs)))
  registerKernel<tf.Conv3DBackpropInputV2Attrs>('Conv3DBackpropInputV2', layers, (call) =>
    dataGradient(call, conv3d(call.attrs.inputShape, call.input('filter').shape, call.attrs), call.attrs.inputShape),
  )
  registerKernel<tf.Conv3DBackpropFilterV2Attrs>('Conv3DBackpropFilterV2', layers, (call) =>
    filterGradient(call, conv3d(call.input('x').shape, call.attrs.filterShape, call.attrs), call.attrs.filterShape),
  )

  registerKernel<tf.FusedConv2DAttrs>('FusedConv2D', layers, (call) =>
    fused(call, conv2d(call.input('x').shape, call.input('filter').shape, call.attrs), call.attrs),
  )
  registerKernel<tf.FusedDepthwiseConv2DAttrs>('FusedDepthwiseConv2D', layers, (call) =>
    fused(call, depthwise(call.input('x').shape, call.input('filter').shape, call.attrs), call.attrs),
  )
}

/** What a layer computes, and the shape that TensorFlow.js gives its result. */
export interface Convolution {
  readonly options: LayerOptions
  readonly outShape: readonly number[]
}

type Conv2DGeometry = Pick<tf.Conv2DAttrs, 'strides' | 'pad' | 'dataFormat' | 'dimRoundingMode'> & { readonly dilations?: tf.Conv2DAttrs['dilations'] }
type DepthwiseGeometry = Pick<tf.DepthwiseConv2dNativeAttrs, 'strides' | 'pad' | 'dimRoundingMode'> & {
  readonly dilations?: tf.DepthwiseConv2dNativeAttrs['dilations']
  readonly dataFormat?: string
}

/** Undefined where our kernels have no such thing: dilation, channels in front. */
function conv2d(
  x: readonly number[],
  filter: readonly number[],
  { strides, pad, dataFormat, dilations, dimRoundingMode }: Conv2DGeometry,
): Convolution | undefined {
  if ((dataFormat ?? 'NHWC') !== 'NHWC') return undefined
  const info = backend_util.computeConv2DInfo(
    x as [number, number, number, number],
    filter as [number, number, number, number],
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    false,
    'channelsLast',
  )
  return info.inChannels === info.filterShape[2] ? ofInfo('conv', info, info.filterShape[3]) : undefined
}

/** Undefined also where a channel has several filters. */
function depthwise(x: readonly number[], filter: readonly number[], geometry: DepthwiseGeometry): Convolution | undefined {
  const { strides, pad, dilations, dimRoundingMode, dataFormat } = geometry
  if ((dataFormat ?? 'NHWC') !== 'NHWC' || filter[3] !== 1) return undefined
  const info = backend_util.computeConv2DInfo(
    x as [number, number, number, number],
    filter as [number, number, number, number],
    strides,
    (dilations as [number, number] | null | undefined) ?? [1, 1],
    pad,
    dimRoundingMode,
    true,
  )
  return ofInfo('depthwise', info, info.inChannels)
}

function ofInfo(op: 'conv' | 'depthwise', info: tf.backend_util.Conv2DInfo, channels: number): Convolution | undefined {
  if (info.dilationHeight !== 1 || info.dilationWidth !== 1) return undefined
  const { batchSize: n } = info
  return {
    options: {
      op,
      x: [[n, 1, info.inHeight, info.inWidth, info.inChannels]],
      y: [n, 1, info.outHeight, info.outWidth, channels],
      kernel: [1, info.filterHeight, info.filterWidth],
      stride: [1, info.strideHeight, info.strideWidth],
      pad: [0, info.padInfo.top, info.padInfo.left],
    },
    outShape: info.outShape,
  }
}

type Conv3DGeometry = Pick<tf.Conv3DAttrs, 'strides' | 'pad'> & Partial<Pick<tf.Conv3DAttrs, 'dataFormat' | 'dilations'>>
type Shape5 = [number, number, number, number, number]

export function conv3d(x: readonly number[], filter: readonly number[], { strides, pad, dilations, dataFormat }: Conv3DGeometry): Convolution | undefined {
  if ((dataFormat ?? 'NDHWC') !== 'NDHWC') return undefined
  const info = backend_util.computeConv3DInfo(x as Shape5, filter as Shape5, strides, dilations ?? 1, pad)
  if (info.dilationDepth !== 1 || info.dilationHeight !== 1 || info.dilationWidth !== 1) return undefined
  return {
    options: {
      op: 'conv',
      x: [[...x]],
      y: [info.batchSize, info.outDepth, info.outHeight, info.outWidth, info.outChannels],
      kernel: [info.filterDepth, info.filterHeight, info.filterWidth] as Int3,
      stride: [info.strideDepth, info.strideHeight, info.strideWidth] as Int3,
      pad: [info.padInfo.front, info.padInfo.top, info.padInfo.left] as Int3,
    },
    outShape: info.outShape,
  }
}

function forward<A>(call: Call<A>, convolution: Convolution | undefined): tf.TensorInfo | undefined {
  if (!convolution) return undefined
  const { dataId } = call.input('filter')
  return call.output(convolution.outShape, (y) =>
    call.layers.forward(convolution.options, [call.values('x')], [call.values('filter'), null], dataId, y, call.isAlive),
  )
}

function dataGradient<A>(call: Call<A>, convolution: Convolution | undefined, inputShape: readonly number[]): tf.TensorInfo | undefined {
  const layer = convolution && call.layers.find({ ...convolution.options, training: true })
  if (!layer || call.values('dy').length !== tf.util.sizeFromShape([...convolution.options.y])) return undefined
  return call.output(inputShape, (dx) => layer.backward([null], null, call.values('dy'), [call.values('filter'), null], [dx], [null, null]))
}

function filterGradient<A>(call: Call<A>, convolution: Convolution | undefined, filterShape: readonly number[]): tf.TensorInfo | undefined {
  const layer = convolution && call.layers.find({ ...convolution.options, training: true })
  if (!layer) return undefined
  return call.output(filterShape, (dw) => layer.backward([call.values('x')], null, call.values('dy'), [null, null], [null], [dw, null]))
}

/** Bias of one value a channel, and a function. */
function fused<A>(call: Call<A>, convolution: Convolution | undefined, fusion: Fusion): tf.TensorInfo | undefined {
  const bias = call.inputs.bias
  const activation = activationOf(fusion)
  if (!convolution || !activation || (bias && tf.util.sizeFromShape(bias.shape) !== convolution.options.y[4])) return undefined
  const options: LayerOptions = { ...convolution.options, function: activation.fused, bias: !!bias }
  const weights = [call.values('filter'), bias ? call.valuesOf(bias) : null]
  const y = call.output(convolution.outShape, (values) =>
    call.layers.forward(options, [call.values('x')], weights, call.input('filter').dataId, values, call.isAlive),
  )
  return y && activation.after(call, y)
}
