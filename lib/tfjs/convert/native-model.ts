import * as tf from '@tensorflow/tfjs'
import { TvnError } from '../../errors.js'
import { Network } from '../../network/network.js'
import { type NetworkJson, networkFormat } from '../../network/schema.js'
import { epsilon } from '../../onnx/fold-batch-norm.js'
import { tinyBlock } from '../layers/index.js'
import { TinyBlock } from '../layers/tiny-block.js'
import { shapeOf } from '../layers/video-layer.js'
import { nameOf, temporalSoftmax } from './plain.js'
import { checkWeights, type Weights } from './weights.js'

/** As the trainer has it. */
const momentum = 0.9

/** A network as a model of tinyBlock layers, with batch norms, to be trained on: clips of numbers from 0 to 255 → logits [N, classes]. */
export function nativeModel(network: Network, weights: Weights, classes: number): tf.LayersModel {
  const { frames, size } = network.streams[0]
  const input = tf.input({ shape: [frames, size, size, 3], name: 'clip' })
  let x = tf.layers.rescaling({ scale: 1 / 127.5, offset: -1, name: 'normalize' }).apply(input) as tf.SymbolicTensor
  network.blocks.forEach((block, i) => {
    x = tinyBlock({ block, momentum, epsilon, name: `blocks.${i}` }).apply(x) as tf.SymbolicTensor
  })
  const [, t, h, w] = x.shape as [null, number, number, number, number]
  const poolSize: [number, number, number] = [network.head === 'mean' ? t : 1, h, w]
  const mean = tf.layers.averagePooling3d({ poolSize, strides: poolSize, name: 'head.mean' }).apply(x)
  const kept = tf.layers.dropout({ rate: 0.5, name: 'head.dropout' }).apply(mean)
  const scores = tf.layers.conv3d({ filters: classes, kernelSize: 1, name: 'head' }).apply(kept) as tf.SymbolicTensor
  const frame = network.head === 'mean' ? scores : temporalSoftmax(scores, [t, 1, 1, classes])
  const logits = tf.layers.reshape({ targetShape: [classes], name: 'logits' }).apply(frame) as tf.SymbolicTensor
  const model = tf.model({ inputs: input, outputs: logits, name: nameOf(network) })
  let block = -1
  for (const layer of model.layers) {
    if (layer instanceof TinyBlock) block++
    const names = tensorNames(layer, block)
    const values = names.map((name, i) => tf.tensor(weights.get(name) as Float32Array, (layer.weights[i] as tf.LayerVariable).shape as number[]))
    layer.setWeights(values)
    tf.dispose(values)
  }
  return model
}

/** Tensor names of the model file for the weights of a layer, in its order; blocks come in the order of their numbers. */
function tensorNames(layer: tf.layers.Layer, block: number): string[] {
  if (layer instanceof TinyBlock) return layer.parameterNames.map((name) => `blocks.${block}${name.slice(name.indexOf('.'))}`)
  return isHead(layer) ? ['head.weight', 'head.bias'] : []
}

const isHead = (layer: tf.layers.Layer) => ['Dense', 'Conv3D'].includes(layer.getClassName())
/** What stands between them has no weights. */
const others = ['InputLayer', 'Rescaling', 'AveragePooling3D', 'Dropout', 'Reshape', 'Flatten', 'Permute', 'Softmax', 'Multiply', 'GlobalAveragePooling1D']

export interface NetworkWithWeights {
  readonly network: Network
  readonly weights: Map<string, Float32Array>
}

/**
 * The network and weights of a model of our layers, as nativeModel makes it. What a layer is must fit, and whether they are connected in that
 * way and have those arguments is tried: the network must give the model's logits. Throws ERR_ARGUMENT.
 */
export function networkOfModel(model: tf.LayersModel, { name, fps }: { readonly name: string; readonly fps: number }): NetworkWithWeights {
  const fail = (layer: string, what: string): never => {
    throw new TvnError('ERR_ARGUMENT', `${layer}: ${what}`, {
      hint: 'expected what toLayersModel(network, weights, { layers: "native" }) makes: a clip, tinyBlocks, an average over it and a dense layer',
    })
  }
  const [, frames, height, width, channels] = model.inputs[0]?.shape ?? []
  if (model.inputs.length !== 1 || !frames || !height || height !== width || channels !== 3)
    fail('input', `has the shape [${model.inputs[0]?.shape.join(', ')}], expected [null, T, S, S, 3]`)
  const weights = new Map<string, Float32Array>()
  const blocks: TinyBlock[] = []
  let classes = 0
  let head: NetworkJson['head'] = 'mean'
  for (const layer of model.layers) {
    const className = layer.getClassName()
    if (layer instanceof TinyBlock) blocks.push(layer)
    else if (isHead(layer)) {
      if (classes > 0) fail(layer.name, 'is a second dense layer')
      classes = layer.weights[1]?.shape[0] ?? 0
    } else if (!others.includes(className)) fail(layer.name, `is a layer of the class ${className}`)
    const pool = className === 'AveragePooling3D' ? (layer.getConfig() as { poolSize: number[] }).poolSize[0] : undefined
    if (pool === 1 && shapeOf((layer.input as tf.SymbolicTensor).shape)[1] !== 1) head = 'temporal-softmax'
    const names = tensorNames(layer, blocks.length - 1)
    for (const [i, tensor] of layer.getWeights().entries()) weights.set(names[i] as string, (tensor.dataSync() as Float32Array).slice())
  }
  if (blocks.length === 0 || classes === 0) fail(model.name, 'has no tinyBlock or no dense layer')
  const json: NetworkJson = {
    format: networkFormat,
    name,
    streams: [{ frames: frames as number, size: height as number, fps }],
    blocks: blocks.map(({ block }) => block),
    head,
  }
  const network = Network.parse(json)
  for (const leaf of ['weight', 'bias']) if (!weights.has(`head.${leaf}`)) fail(model.name, `its dense layer has no ${leaf}`)
  checkWeights(network.graph({ classes }), weights)
  requireSameLogits(model, nativeModel(network, weights, classes))
  return { network, weights }
}

/** Tries one clip. Disposes of the second. */
function requireSameLogits(model: tf.LayersModel, ours: tf.LayersModel): void {
  const difference = tf.tidy(() => {
    const clip = tf.randomUniform((model.inputs[0] as tf.SymbolicTensor).shape.map((extent) => extent ?? 1) as number[], 0, 255, 'float32', 1)
    const [want, got] = [model, ours].map((of) => (of.predict(clip) as tf.Tensor).reshape([-1])) as [tf.Tensor, tf.Tensor]
    if (want.size !== got.size) return Number.POSITIVE_INFINITY
    return got.sub(want).abs().max().div(want.abs().max().maximum(1e-6)).dataSync()[0] as number
  })
  ours.dispose()
  if (!(difference < 1e-3))
    throw new TvnError(
      'ERR_ARGUMENT',
      `${model.name}: a network of its blocks gives other logits (up to ${(100 * difference).toPrecision(2)} % of the largest)`,
      {
        hint: `expected, in this order: rescaling({ scale: 1 / 127.5, offset: -1 }), tinyBlocks with epsilon ${epsilon}, an average over the clip, a dense layer without activation`,
      },
    )
}
