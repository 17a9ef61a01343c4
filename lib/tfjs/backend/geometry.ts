import type * as tf from '@tensorflow/tfjs'
import type { LayerOptions } from '../native-layers.js'

/** A layer that slides a window, and the shape that TensorFlow.js gives its result. */
export interface WindowedLayer {
  readonly options: LayerOptions
  readonly outShape: readonly number[]
}

type Kind = Pick<LayerOptions, 'op' | 'pooling'>

/** Of images, which are clips of one frame. */
export function windowedLayer2d(kind: Kind, info: tf.backend_util.Conv2DInfo, channels: number): WindowedLayer {
  const { batchSize: n, outShape } = info
  return {
    options: {
      ...kind,
      x: [[n, 1, info.inHeight, info.inWidth, info.inChannels]],
      y: [n, 1, info.outHeight, info.outWidth, channels],
      kernel: [1, info.filterHeight, info.filterWidth],
      stride: [1, info.strideHeight, info.strideWidth],
      pad: [0, info.padInfo.top, info.padInfo.left],
    },
    outShape,
  }
}

export function windowedLayer3d(kind: Kind, info: tf.backend_util.Conv3DInfo): WindowedLayer {
  const { batchSize: n, outShape } = info
  return {
    options: {
      ...kind,
      x: [[n, info.inDepth, info.inHeight, info.inWidth, info.inChannels]],
      y: [n, info.outDepth, info.outHeight, info.outWidth, info.outChannels],
      kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
      stride: [info.strideDepth, info.strideHeight, info.strideWidth],
      pad: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    },
    outShape,
  }
}
