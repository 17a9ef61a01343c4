import * as tf from '@tensorflow/tfjs'
import type { LayerOptions, NativeLayers } from '../native-layers.js'
import { activationOf, type Fusion } from './fusion.js'
import { type WindowedLayer, windowedLayer2d, windowedLayer3d } from './geometry.js'
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
): WindowedLayer | undefined {
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
  return info.inChannels === info.filterShape[2] && !isDilated(info) ? windowedLayer2d({ op: 'conv' }, info, info.filterShape[3]) : undefined
}

/** Undefined also where a channel has several filters. */
function depthwise(x: readonly number[], filter: readonly number[], geometry: DepthwiseGeometry): WindowedLayer | undefined {
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
  return isDilated(info) ? undefined : windowedLayer2d({ op: 'depthwise' }, info, info.inChannels)
}

const isDilated = ({ dilationHeight, dilationWidth }: tf.backend_util.Conv2DInfo | tf.backend_util.Conv3DInfo) => dilationHeight !== 1 || dilationWidth !== 1

type Conv3DGeometry = Pick<tf.Conv3DAttrs, 'strides' | 'pad'> & Partial<Pick<tf.Conv3DAttrs, 'dataFormat' | 'dilations'>>
type Shape5 = [number, number, number, number, number]

function conv3d(x: readonly number[], filter: readonly number[], { strides, pad, dilations, dataFormat }: Conv3DGeometry): WindowedLayer | undefined {
  if ((dataFormat ?? 'NDHWC') !== 'NDHWC') return undefined
  const info = backend_util.computeConv3DInfo(x as Shape5, filter as Shape5, strides, dilations ?? 1, pad)
  return info.dilationDepth !== 1 || isDilated(info) ? undefined : windowedLayer3d({ op: 'conv' }, info)
}

function forward<A>(call: Call<A>, convolution: WindowedLayer | undefined): tf.TensorInfo | undefined {
  if (!convolution) return undefined
  const { dataId } = call.input('filter')
  return call.output(convolution.outShape, (y) =>
    call.layers.forward(convolution.options, [call.values('x')], [call.values('filter'), null], dataId, y, call.isAlive),
  )
}

function dataGradient<A>(call: Call<A>, convolution: WindowedLayer | undefined, inputShape: readonly number[]): tf.TensorInfo | undefined {
  const layer = convolution && call.layers.find({ ...convolution.options, training: true })
  if (!layer || call.values('dy').length !== tf.util.sizeFromShape([...convolution.options.y])) return undefined
  return call.output(inputShape, (dx) => layer.backward([null], null, call.values('dy'), [call.values('filter'), null], [dx], [null, null]))
}

function filterGradient<A>(call: Call<A>, convolution: WindowedLayer | undefined, filterShape: readonly number[]): tf.TensorInfo | undefined {
  const layer = convolution && call.layers.find({ ...convolution.options, training: true })
  if (!layer) return undefined
  return call.output(filterShape, (dw) => layer.backward([call.values('x')], null, call.values('dy'), [null, null], [null], [dw, null]))
}

/** Bias of one value a channel, and a function. */
function fused<A>(call: Call<A>, convolution: WindowedLayer | undefined, fusion: Fusion): tf.TensorInfo | undefined {
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
