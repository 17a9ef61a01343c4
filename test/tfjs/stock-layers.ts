import * as tf from '@tensorflow/tfjs'

type Shape5 = [number, number, number, number, number]
type Padding = 'same' | 'valid'

interface Config {
  readonly spatialStrides: [number, number]
  readonly temporalStrides: number
  readonly padding: Padding
  readonly activation: string
  readonly batchNormalization: boolean
  readonly useBias: boolean
  readonly epsilon: number
}

/** What a layer of ours computes, made of stock ops, from its configuration and weights. */
export function stockLayer(layer: tf.layers.Layer, x: tf.Tensor, training: boolean): tf.Tensor {
  const config = layer.getConfig() as unknown as Config
  const read = (name: string): tf.Tensor => {
    const found = layer.weights.find(({ originalName }) => originalName.slice(originalName.lastIndexOf('/') + 1) === name)
    if (!found) throw new Error(`${layer.name} has no weight ${name}`)
    return found.read()
  }
  const norm = (y: tf.Tensor, prefix: string, names: readonly [string, string]) => {
    const { mean, variance } = training ? tf.moments(y, [0, 1, 2, 3]) : { mean: read(`${prefix}${names[0]}`), variance: read(`${prefix}${names[1]}`) }
    const normal = y.sub(mean).div(variance.add(config.epsilon).sqrt())
    return normal.mul(read(`${prefix}gamma`)).add(read(`${prefix}beta`))
  }
  switch (layer.getClassName()) {
    case 'Conv2Plus1d':
    case 'DepthwiseConv2Plus1d': {
      const { padding, batchNormalization, useBias, temporalStrides, activation } = config
      const filter = read('spatial_kernel')
      // one filter a channel is a convolution that mixes none
      const dense = filter.rank === 5 ? filter.squeeze([0]) : filter.expandDims(3).mul(tf.eye(filter.shape[2] as number))
      let y = conv2d(x, dense, config.spatialStrides, padding)
      if (useBias && !batchNormalization) y = y.add(read('spatial_bias'))
      if (batchNormalization) y = norm(y, '', ['moving_mean', 'moving_variance'])
      y = overTime(activated(y, activation), read('temporal_kernel'), temporalStrides, padding)
      return activated(useBias ? y.add(read('temporal_bias')) : y, activation)
    }
    case 'SqueezeExcite': {
      const reduced = dense(x.mean([1, 2, 3]), read('squeeze.reduce.weight'), read('squeeze.reduce.bias')).relu()
      return gated(x, dense(reduced, read('squeeze.expand.weight'), read('squeeze.expand.bias')))
    }
    case 'ContextGating':
      return gated(x, dense(x.mean([1, 2, 3]), read('gate.weight'), read('gate.bias')))
    case 'NonLocal': {
      const part = (name: string) =>
        tf.conv3d(x as tf.Tensor5D, read(`nonLocal.${name}.weight`) as tf.Tensor5D, 1, 'same').add(read(`nonLocal.${name}.bias`)) as tf.Tensor
      const rows = (y: tf.Tensor) => y.reshape([x.shape[0] as number, -1, y.shape[4] as number])
      const small = (x.shape[2] as number) < 2 || (x.shape[3] as number) < 2
      const pooled = (y: tf.Tensor) => (small ? y : tf.maxPool3d(y as tf.Tensor5D, [1, 2, 2], [1, 2, 2], 'valid'))
      const theta = part('theta')
      const depth = theta.shape[4] as number
      const scores = tf.matMul(rows(theta), rows(pooled(part('phi'))), false, true).div(Math.sqrt(depth))
      const attention = tf.matMul(scores.softmax(), rows(pooled(part('g')))).reshape(theta.shape)
      const out = tf.conv3d(attention as tf.Tensor5D, read('nonLocal.out.weight') as tf.Tensor5D, 1, 'same').add(read('nonLocal.out.bias'))
      return x.add(norm(out, 'nonLocal.out.norm.', ['mean', 'variance']))
    }
    default:
      throw new Error(`no stock ops for ${layer.getClassName()}`)
  }
}

/** Of every frame. (A stock conv3d places strides that are larger than its kernel otherwise than TensorFlow.) */
function conv2d(x: tf.Tensor, filter: tf.Tensor, strides: [number, number], padding: Padding): tf.Tensor {
  const [n, t, h, w, c] = x.shape as Shape5
  const y = tf.conv2d(x.reshape([n * t, h, w, c]) as tf.Tensor4D, filter as tf.Tensor4D, strides, padding)
  return y.reshape([n, t, ...y.shape.slice(1)])
}

/** Of every position. */
function overTime(x: tf.Tensor, filter: tf.Tensor, stride: number, padding: Padding): tf.Tensor {
  const [n, t, h, w, c] = x.shape as Shape5
  const y = tf.conv2d(x.reshape([n, t, h * w, c]) as tf.Tensor4D, filter.squeeze([1]) as tf.Tensor4D, [stride, 1], padding)
  return y.reshape([n, y.shape[1], h, w, y.shape[3]])
}

const dense = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => x.matMul(w.reshape(w.shape.slice(-2))).add(b) as tf.Tensor
const gated = (x: tf.Tensor, z: tf.Tensor) => x.mul(z.reshape([x.shape[0] as number, 1, 1, 1, x.shape[4] as number]).sigmoid()) as tf.Tensor

function activated(x: tf.Tensor, name: string): tf.Tensor {
  if (name === 'hardSwish') return x.mul(x.add(3).clipByValue(0, 6)).div(6)
  return tf.layers.activation({ activation: name as 'relu' }).call(x, {}) as tf.Tensor
}

/** Weights that are no round numbers, the same for a shape. */
export function fillWeights(layer: tf.layers.Layer): void {
  const values = layer.weights.map(({ originalName, shape }, i) => {
    const variance = originalName.endsWith('variance')
    return tf.randomUniform(shape as number[], variance ? 0.5 : -0.8, variance ? 2 : 0.8, 'float32', i + 1)
  })
  layer.setWeights(values)
  tf.dispose(values)
}

const largest = (x: tf.Tensor) => tf.tidy(() => (x.size === 0 ? 0 : (x.abs().max().dataSync()[0] as number)))

/** Largest difference as a share of the largest value, or of `least`. */
export function difference(a: tf.Tensor, b: tf.Tensor, least = 1e-3): number {
  if (!tf.util.arraysEqual(a.shape, b.shape)) throw new Error(`[${a.shape.join()}] is not [${b.shape.join()}]`)
  return tf.tidy(() => largest(a.sub(b))) / Math.max(largest(b), least)
}

/** Of several tensors. */
export const largestOf = (tensors: readonly tf.Tensor[]): number => Math.max(...tensors.map(largest))
