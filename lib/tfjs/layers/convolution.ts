import { inspect } from 'node:util'
import * as tf from '@tensorflow/tfjs'
import type { Int3, Padding } from '../../network/ops.generated.js'
import { conv, depthwise, type FusedFunction } from '../kernels/convolution.js'
import { activation as activate } from '../kernels/pointwise.js'
import { windowed } from '../kernels/window.js'
import { type InitializerIdentifier, initializer, type RegularizerIdentifier, regularizer, serialize } from './serializable.js'
import { type Kwargs, type LayerArgs, type LayerVariable, type Norm, type NormArgs, positiveInteger, shapeOf, tensorOf, VideoLayer } from './video-layer.js'

interface ConvolutionArgs extends LayerArgs, NormArgs {
  /** Of the spatial kernel, one number or height and width. Default 3. */
  readonly spatialKernelSize?: number | readonly [height: number, width: number]
  /** In frames. Default 3. */
  readonly temporalKernelSize?: number
  /** Default 1. */
  readonly spatialStrides?: number | readonly [height: number, width: number]
  /** Default 1. */
  readonly temporalStrides?: number
  /** Default 'valid'. */
  readonly padding?: Padding
  /** Of what the layer computes, and of what lies between its convolutions. Default: none ('linear'). */
  readonly activation?: string
  /** Between the convolutions, before the activation. Default false. */
  readonly batchNormalization?: boolean
  /** Default true. With batch normalisation the spatial convolution has none: it would be taken out again. */
  readonly useBias?: boolean
  /** Default 'glorotNormal'. */
  readonly kernelInitializer?: InitializerIdentifier
  /** Default 'zeros'. */
  readonly biasInitializer?: InitializerIdentifier
  readonly kernelRegularizer?: RegularizerIdentifier
}

export interface Conv2Plus1dArgs extends ConvolutionArgs {
  /** Channels of the result. */
  readonly filters: number
  /** Channels between the convolutions. Default: `filters`. */
  readonly intermediateFilters?: number
}

export interface DepthwiseConv2Plus1dArgs extends ConvolutionArgs {
  /** Channels of the result. Default: as many as the input has. */
  readonly filters?: number
}

/** A spatial convolution of every frame, then a temporal one of every position. */
abstract class Factorised extends VideoLayer {
  protected readonly spatialKernel: readonly [number, number]
  protected readonly temporalKernel: number
  protected readonly spatialStrides: readonly [number, number]
  protected readonly temporalStrides: number
  protected readonly padding: Padding
  protected readonly useBias: boolean
  readonly #batchNormalization: boolean
  readonly #kernelInitializer: ReturnType<typeof initializer>
  readonly #biasInitializer: ReturnType<typeof initializer>
  readonly #kernelRegularizer: ReturnType<typeof regularizer>
  readonly #activation: string
  readonly #activate: (x: tf.Tensor) => tf.Tensor
  #spatial: Weights | undefined
  #temporal: Weights | undefined
  #norm: Norm | undefined

  constructor(args: ConvolutionArgs) {
    super(args)
    const pair = (value: number | readonly number[], name: string): [number, number] => {
      const list = Array.isArray(value) ? value : [value, value]
      if (list.length !== 2) throw new Error(`${this.getClassName()}: ${name} must be a number or two of them, but got ${inspect(value)}.`)
      return list.map((n) => positiveInteger(n, name, this, 64)) as [number, number]
    }
    this.spatialKernel = pair(args.spatialKernelSize ?? 3, 'spatialKernelSize')
    this.temporalKernel = positiveInteger(args.temporalKernelSize ?? 3, 'temporalKernelSize', this, 64)
    this.spatialStrides = pair(args.spatialStrides ?? 1, 'spatialStrides')
    this.temporalStrides = positiveInteger(args.temporalStrides ?? 1, 'temporalStrides', this, 64)
    this.padding = args.padding ?? 'valid'
    if (this.padding !== 'valid' && this.padding !== 'same')
      throw new Error(`${this.getClassName()}: padding must be 'valid' or 'same', but got ${inspect(args.padding)}.`)
    this.useBias = args.useBias ?? true
    this.#batchNormalization = args.batchNormalization ?? false
    for (const [name, value] of Object.entries({ useBias: this.useBias, batchNormalization: this.#batchNormalization }))
      if (typeof value !== 'boolean') throw new Error(`${this.getClassName()}: ${name} must be true or false, but got ${inspect(value)}.`)
    this.#kernelInitializer = initializer(args.kernelInitializer ?? 'glorotNormal')
    this.#biasInitializer = initializer(args.biasInitializer ?? 'zeros')
    this.#kernelRegularizer = regularizer(args.kernelRegularizer)
    this.#activation = args.activation ?? 'linear'
    if (typeof this.#activation !== 'string') throw new Error(`${this.getClassName()}: activation must be a name, but got ${inspect(args.activation)}.`)
    this.#activate = activationOf(this.#activation)
  }

  /** Of the spatial kernel, for an input with so many channels, and the channels that it makes. */
  protected abstract spatialShape(channels: number): { shape: number[]; channels: number }
  protected abstract filtersFor(channels: number): number
  protected abstract spatialConvolution(x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor | undefined, f: FusedFunction): tf.Tensor

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const channels = shapeOf(inputShape)[4]
    if (channels === null || channels === undefined) throw new Error('The channel dimension of the input should be defined. Found None')
    const { shape, channels: between } = this.spatialShape(channels)
    this.#spatial = this.#addWeights('spatial', shape, between, this.useBias && !this.#batchNormalization)
    if (this.#batchNormalization) this.#norm = this.addNorm('', between)
    const filters = this.filtersFor(channels)
    this.#temporal = this.#addWeights('temporal', [this.temporalKernel, 1, 1, between, filters], filters, this.useBias)
    this.buildFor(channels)
  }

  #addWeights(name: string, shape: number[], channels: number, useBias: boolean): Weights {
    const kernel = this.addWeight(`${name}_kernel`, shape, 'float32', this.#kernelInitializer, this.#kernelRegularizer, true)
    return { kernel, bias: useBias ? this.addWeight(`${name}_bias`, [channels], 'float32', this.#biasInitializer, undefined, true) : undefined }
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: Kwargs): tf.Tensor {
    return tf.tidy(() => {
      const x = tensorOf(inputs)
      this.invokeCallHook(inputs, kwargs)
      const [spatial, temporal] = [this.#spatial as Weights, this.#temporal as Weights]
      const fused = this.#activation === 'relu' ? 'relu' : 'none' // our kernels apply it on the way
      const activate = fused === 'relu' ? (y: tf.Tensor) => y : this.#activate
      let y = this.spatialConvolution(x, spatial.kernel.read(), spatial.bias?.read(), this.#norm ? 'none' : fused)
      if (this.#norm) y = this.normalize(y, this.#norm, kwargs?.training ?? false, fused)
      const strides: Int3 = [this.temporalStrides, 1, 1]
      return activate(conv(activate(y), temporal.kernel.read(), temporal.bias?.read(), { strides, padding: this.padding }, fused))
    })
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [n, t, h, w, c] = shapeOf(inputShape) as [number | null, number | null, number | null, number | null, number]
    const length = (extent: number | null, kernel: number, stride: number) => {
      if (extent === null) return null
      return windowed([1, extent, 1, 1, 1], [kernel, 1, 1], [stride, 1, 1], this.padding, 1).y[1] as number
    }
    return [
      n,
      length(t, this.temporalKernel, this.temporalStrides),
      length(h, this.spatialKernel[0], this.spatialStrides[0]),
      length(w, this.spatialKernel[1], this.spatialStrides[1]),
      this.filtersFor(c),
    ] as tf.Shape
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      spatialKernelSize: [...this.spatialKernel],
      temporalKernelSize: this.temporalKernel,
      spatialStrides: [...this.spatialStrides],
      temporalStrides: this.temporalStrides,
      padding: this.padding,
      activation: this.#activation,
      batchNormalization: this.#batchNormalization,
      useBias: this.useBias,
      kernelInitializer: serialize(this.#kernelInitializer),
      biasInitializer: serialize(this.#biasInitializer),
      kernelRegularizer: serialize(this.#kernelRegularizer),
    }
  }
}

interface Weights {
  readonly kernel: LayerVariable
  readonly bias: LayerVariable | undefined
}

export class Conv2Plus1d extends Factorised {
  /** @nocollapse */
  static className = 'Conv2Plus1d'
  readonly #filters: number
  readonly #intermediate: number

  constructor(args: Conv2Plus1dArgs) {
    super(args)
    this.#filters = positiveInteger(args.filters, 'filters', this)
    this.#intermediate = positiveInteger(args.intermediateFilters ?? args.filters, 'intermediateFilters', this)
  }

  protected override spatialShape(channels: number) {
    return { shape: [1, ...this.spatialKernel, channels, this.#intermediate], channels: this.#intermediate }
  }
  protected override filtersFor(): number {
    return this.#filters
  }
  protected override spatialConvolution(x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor | undefined, f: FusedFunction): tf.Tensor {
    return conv(x, filter, bias, { strides: [1, ...this.spatialStrides], padding: this.padding }, f)
  }
  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), filters: this.#filters, intermediateFilters: this.#intermediate }
  }
}

export class DepthwiseConv2Plus1d extends Factorised {
  /** @nocollapse */
  static className = 'DepthwiseConv2Plus1d'
  readonly #filters: number | undefined

  constructor(args: DepthwiseConv2Plus1dArgs = {}) {
    super(args)
    this.#filters = args.filters === undefined ? undefined : positiveInteger(args.filters, 'filters', this)
  }

  protected override spatialShape(channels: number) {
    return { shape: [...this.spatialKernel, channels], channels }
  }
  protected override filtersFor(channels: number): number {
    return this.#filters ?? channels
  }
  protected override spatialConvolution(x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor | undefined, f: FusedFunction): tf.Tensor {
    return depthwise(x, filter, bias, { strides: [1, ...this.spatialStrides], padding: this.padding }, f)
  }
  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...(this.#filters !== undefined && { filters: this.#filters }) }
  }
}

/** Ours where there is one, else the stock layer's; that one knows which names there are. */
function activationOf(name: string): (x: tf.Tensor) => tf.Tensor {
  if (name === 'linear') return (x) => x
  if (name === 'relu' || name === 'sigmoid') return (x) => activate(x, name)
  if (name === 'hardSwish') return (x) => activate(x, 'hswish')
  const layer = tf.layers.activation({ activation: name as 'relu' })
  return (x) => layer.call(x, {}) as tf.Tensor
}
