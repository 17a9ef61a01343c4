import type * as tf from '@tensorflow/tfjs'
import type { Function } from '../../network/ops.generated.js'
import type { Call } from './kernel.js'

/** What a fused kernel does behind its bias. */
export interface Fusion {
  readonly activation: tf.backend_util.Activation
  readonly leakyreluAlpha?: number
}

interface Activation {
  /** What our kernels apply before they store. */
  readonly fused: Function
  /** The rest, by another kernel, in place of y, which nothing else needs. */
  readonly after: <A>(call: Call<A>, y: tf.TensorInfo) => tf.TensorInfo
}

/** Ours or the backend's; undefined for those with inputs of their own. */
export function activationOf({ activation, leakyreluAlpha }: Fusion): Activation | undefined {
  const apply = (kernelName: string, attrs: tf.NamedAttrMap = {}): Activation => ({
    fused: 'none',
    after: (call, y) => call.replace(y, kernelName, { x: y }, attrs),
  })
  switch (activation) {
    case 'linear':
      return { fused: 'none', after: (_, y) => y }
    case 'relu':
    case 'sigmoid':
      return { fused: activation, after: (_, y) => y }
    case 'relu6':
      return apply('Relu6')
    case 'elu':
      return apply('Elu')
    case 'leakyrelu':
      return apply('LeakyRelu', { alpha: leakyreluAlpha as number })
    case 'prelu':
      return undefined
  }
}
