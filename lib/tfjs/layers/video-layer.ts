import { inspect } from 'node:util'
import * as tf from '@tensorflow/tfjs'
import type { Function } from '../../network/ops.generated.js'
import { applyBatchNorm, batchNorm } from '../kernels/batch-norm.js'
import { activation as activate } from '../kernels/pointwise.js'

export type LayerArgs = NonNullable<ConstructorParameters<typeof tf.layers.Layer>[0]>
export type LayerVariable = tf.LayerVariable
export type Kwargs = { readonly training?: boolean }

/** What layers with batch normalisation take. */
export interface NormArgs {
  /** Of running statistics; default 0.99. */
  readonly momentum?: number
  /** Added to variances; default 1e-3. */
  readonly epsilon?: number
}

/** Four weights of a batch normalisation. */
export interface Norm {
  readonly gamma: LayerVariable
  readonly beta: LayerVariable
  readonly mean: LayerVariable
  readonly variance: LayerVariable
}

/** Layers over clips [N, T, H, W, C], channels last. */
export abstract class VideoLayer extends tf.layers.Layer {
  protected readonly momentum: number
  protected readonly epsilon: number

  constructor({ momentum = 0.99, epsilon = 1e-3, ...args }: LayerArgs & NormArgs) {
    super(args)
    this.inputSpec = [{ ndim: 5 }]
    this.supportsMasking = false
    this.momentum = number(momentum, 'momentum', this)
    this.epsilon = number(epsilon, 'epsilon', this)
  }

  /** Says so where the layer is built for other inputs than it is called with. */
  protected buildFor(channels: number): void {
    this.inputSpec = [{ ndim: 5, axes: { 4: channels } }]
    this.built = true
  }

  protected addNorm(name: string, channels: number): Norm {
    const add = (leaf: string, initializer: ReturnType<typeof tf.initializers.zeros>, trainable: boolean) =>
      this.addWeight(`${name}${leaf}`, [channels], 'float32', initializer, undefined, trainable)
    return {
      gamma: add('gamma', tf.initializers.ones(), true),
      beta: add('beta', tf.initializers.zeros(), true),
      mean: add('moving_mean', tf.initializers.zeros(), false),
      variance: add('moving_variance', tf.initializers.ones(), false),
    }
  }

  /** In training with the statistics of the batch, which the running ones follow. */
  protected normalize(x: tf.Tensor, norm: Norm, training: boolean, f: Function = 'none'): tf.Tensor {
    const parameters = { gamma: norm.gamma.read(), beta: norm.beta.read() }
    if (training) {
      const [y, mean, variance] = batchNorm(x, parameters, this.epsilon, f)
      const rows = x.size / mean.size
      this.follow(norm.mean, mean)
      // as TensorFlow.js's own layer corrects the variance of a sample
      this.follow(norm.variance, variance.mul(rows / (rows - (1 + this.epsilon))))
      return y
    }
    const running = { ...parameters, mean: norm.mean.read(), variance: norm.variance.read() }
    return f === 'none' || f === 'relu' ? applyBatchNorm(x, running, this.epsilon, f) : activate(applyBatchNorm(x, running, this.epsilon, 'none'), f)
  }

  private follow(running: LayerVariable, value: tf.Tensor): void {
    running.write(
      tf.tidy(() =>
        running
          .read()
          .mul(this.momentum)
          .add(value.mul(1 - this.momentum)),
      ),
    )
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), momentum: this.momentum, epsilon: this.epsilon }
  }
}

/** Errors name the layer, as TensorFlow.js's do. */
export function number(value: unknown, name: string, layer: tf.layers.Layer): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > 1)
    throw new Error(`${layer.getClassName()}: ${name} must be a number from 0 to 1, but got ${inspect(value)}.`)
  return value
}

export function positiveInteger(value: unknown, name: string, layer: tf.layers.Layer, most = 2 ** 20): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`${layer.getClassName()}: ${name} must be a whole number from 1 to ${most}, but got ${inspect(value)}.`)
  return value
}

/** The one shape of a layer with one input. */
export function shapeOf(shape: tf.Shape | tf.Shape[]): tf.Shape {
  return (Array.isArray(shape[0]) ? shape[0] : shape) as tf.Shape
}
export function tensorOf(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  const x = Array.isArray(inputs) ? inputs[0] : inputs
  return x as tf.Tensor
}
