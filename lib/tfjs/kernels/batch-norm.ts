import * as tf from '@tensorflow/tfjs'
import { native } from '../../native.js'
import type { Function } from '../../network/ops.generated.js'
import { nativeLayers } from '../threads.js'
import { defineKernel, type Inputs, runKernel } from './registry.js'

export interface BatchNormParameters {
  readonly gamma: tf.Tensor
  readonly beta: tf.Tensor
}

/** With the statistics of this batch: y = f(gamma · (x − mean) / sqrt(variance + epsilon) + beta), and both statistics [C]; variance is biased. */
export function batchNorm(
  x: tf.Tensor,
  { gamma, beta }: BatchNormParameters,
  epsilon: number,
  f: Function,
): [y: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor] {
  return runKernel('TvnBatchNorm', { x, gamma, beta }, { epsilon, f })
}

/** With running statistics; f is none or relu. */
export function applyBatchNorm(
  x: tf.Tensor,
  { gamma, beta, mean, variance }: BatchNormParameters & { readonly mean: tf.Tensor; readonly variance: tf.Tensor },
  epsilon: number,
  f: 'none' | 'relu',
): tf.Tensor {
  return runKernel('TvnBatchNormApply', { x, gamma, beta, mean, variance }, { epsilon, f })
}

const shape = (inputs: Inputs, name: string) => (inputs[name] as tf.TensorInfo).shape
type Values = readonly (Float32Array | null)[]

/** What remains of a norm: y = scale · x + shift. */
function fold(
  gamma: Float32Array,
  beta: Float32Array,
  mean: Float32Array,
  variance: Float32Array,
  epsilon: number,
): [scale: Float32Array, shift: Float32Array] {
  const scale = variance.map((v, c) => (gamma[c] as number) / Math.sqrt(v + epsilon))
  return [scale, scale.map((s, c) => (beta[c] as number) - (mean[c] as number) * s)]
}

defineKernel({
  kernelName: 'TvnBatchNorm',
  inputs: ['x', 'gamma', 'beta'],
  shapes: (inputs) => [shape(inputs, 'x'), shape(inputs, 'gamma'), shape(inputs, 'gamma')],
  run: (inputs, outputs, { attributes }) => {
    const [x, gamma, beta] = inputs as Float32Array[] as [Float32Array, Float32Array, Float32Array]
    const [y, mean, variance] = outputs as [Float32Array, Float32Array, Float32Array]
    const { threads } = nativeLayers()
    native().batchNormStatistics(x, mean, variance, threads)
    native().batchNormApply(x, ...fold(gamma, beta, mean, variance, attributes.epsilon as number), attributes.f as Function, y, threads)
  },
  gradient: {
    inputsToSave: ['x', 'gamma', 'beta'],
    outputsToSave: [false, true, true],
    gradFunc: (dys, [x, gamma, beta, mean, variance], attributes) => {
      const [dy] = dys as tf.Tensor[] // statistics have no gradient: they are for the running ones
      const [dx, dgamma, dbeta] = runKernel<[tf.Tensor, tf.Tensor, tf.Tensor]>('TvnBatchNormGrad', { x, dy, mean, variance, gamma, beta }, attributes)
      return { x: () => dx, gamma: () => dgamma, beta: () => dbeta }
    },
  },
})

defineKernel({
  kernelName: 'TvnBatchNormGrad',
  inputs: ['x', 'dy', 'mean', 'variance', 'gamma', 'beta'],
  shapes: (inputs) => [shape(inputs, 'x'), shape(inputs, 'gamma'), shape(inputs, 'beta')],
  run: (inputs: Values, outputs, { attributes }) => {
    const [x, dy, mean, variance, gamma, beta] = inputs as unknown as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array]
    const [dx, dgamma, dbeta] = outputs as [Float32Array, Float32Array, Float32Array]
    const { epsilon, f } = attributes as { epsilon: number; f: Function }
    native().batchNormBackward(x, dy, mean, variance, gamma, beta, epsilon, f, dgamma, dbeta, dx, nativeLayers().threads)
  },
})

defineKernel({
  kernelName: 'TvnBatchNormApply',
  inputs: ['x', 'gamma', 'beta', 'mean', 'variance'],
  shapes: (inputs) => [shape(inputs, 'x')],
  run: (inputs: Values, [y], { attributes }) => {
    const [x, ...rest] = inputs as unknown as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array]
    native().batchNormApply(x, ...fold(...rest, attributes.epsilon as number), attributes.f as Function, y as Float32Array, nativeLayers().threads)
  },
  gradient: {
    inputsToSave: ['x', 'gamma', 'beta', 'mean', 'variance'],
    gradFunc: (dy, saved, { epsilon, f }) => {
      const [x, gamma, beta, mean, variance] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]
      // seldom, so in TensorFlow.js's own words: a layer that is not trained, below one that is
      const deviation = variance.add(epsilon as number).sqrt()
      const normal = () => x.sub(mean).div(deviation)
      const before = () => normal().mul(gamma).add(beta)
      const d = f === 'relu' ? (dy as tf.Tensor).mul(before().step()) : (dy as tf.Tensor)
      const sum = (t: tf.Tensor) => t.reshape([-1, gamma.size]).sum(0)
      return {
        x: () => d.mul(gamma.div(deviation)),
        gamma: () => sum(d.mul(normal())),
        beta: () => sum(d),
        mean: () => sum(d.mul(gamma.div(deviation))).neg(),
        variance: () =>
          sum(d.mul(x.sub(mean)))
            .mul(gamma)
            .mul(-0.5)
            .div(deviation.pow(3)),
      }
    },
  },
})
