import type * as tf from '@tensorflow/tfjs'
import { checkOneOf, checkOptions, wrong } from '../../check.js'
import { TvnError } from '../../errors.js'
import { Network } from '../../network/network.js'
import type { NetworkJson } from '../../network/schema.js'
import { type NetworkWithWeights, nativeModel, networkOfModel } from './native-model.js'
import { plainModel } from './plain.js'
import { checkWeights, type Weights } from './weights.js'

export interface LayersModelOptions {
  /**
   * `plain`: stock layers alone, batch norms folded, which any TensorFlow.js runs. `native`: our layers, with batch norms, to be trained on.
   * Default `plain`.
   */
  layers?: 'plain' | 'native'
}

/**
 * A network as a TensorFlow.js LayersModel: clips [N, T, H, W, 3] of numbers from 0 to 255 → logits [N, classes], the same as ours within
 * rounding. Throws ERR_MODEL_TENSOR for weights that are not the network's.
 *
 * @example
 * const { network, weights } = await loadModel('best.safetensors')
 * const model = toLayersModel(network, weights)
 */
export function toLayersModel(network: Network, weights: Weights, options: LayersModelOptions = {}): tf.LayersModel {
  if (!(network instanceof Network)) throw wrong('network', 'a Network', network)
  if (!(weights instanceof Map)) throw wrong('weights', 'a Map of Float32Arrays by tensor name', weights)
  checkOptions('options', options, { layers: true })
  const layers = checkOneOf('layers', options.layers ?? 'plain', ['plain', 'native'])
  const classes = weights.get('head.bias')?.length
  if (!classes) throw new TvnError('ERR_MODEL_TENSOR', 'weights: head.bias is missing')
  const graph = network.graph({ classes })
  checkWeights(graph, weights)
  const model = layers === 'plain' ? plainModel(graph, (name) => weights.get(name) as Float32Array, network.name) : nativeModel(network, weights, classes)
  model.setUserDefinedMetadata({ network: network.toJSON() })
  return model
}

export interface FromLayersModelOptions {
  /** Default: the network's that it was made of, else the model's. */
  name?: string
  /** Frames a second of the clips that it was trained on. Default: the network's that it was made of, else 12. */
  fps?: number
}

/**
 * The network and weights of a LayersModel of our layers, as toLayersModel makes it with layers `native`, trained on or not. Throws
 * ERR_ARGUMENT that names the layer which no network has.
 */
export function fromLayersModel(model: tf.LayersModel, options: FromLayersModelOptions = {}): NetworkWithWeights {
  if (!Array.isArray((model as Partial<tf.LayersModel> | null | undefined)?.layers)) throw wrong('model', 'a LayersModel', model)
  checkOptions('options', options, { name: true, fps: true })
  const { network } = (model.getUserDefinedMetadata() ?? {}) as { network?: Partial<NetworkJson> }
  return networkOfModel(model, { name: options.name ?? network?.name ?? model.name, fps: options.fps ?? network?.streams?.[0]?.fps ?? 12 })
}

export type { NetworkWithWeights } from './native-model.js'
export type { Weights } from './weights.js'
