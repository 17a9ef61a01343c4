import type { Model } from '../../model/model.js'
import { registerNativeBackend } from '../backend/register.js'
import { toLayersModel } from './index.js'
import { saveLayersModel } from './save.js'

/** Writes a model as a TensorFlow.js LayersModel of stock layers. Its labels, task and preprocessing are in its metadata. Gives the bytes written. */
export async function exportLayersModel({ network, weights, labels, task, preprocessing }: Model, folder: string): Promise<number> {
  registerNativeBackend() // the cpu backend would advise to install another one
  const model = toLayersModel(network, weights)
  model.setUserDefinedMetadata({ network: network.toJSON(), labels: [...labels], task, preprocessing })
  const bytes = await saveLayersModel(model, folder)
  model.dispose()
  return bytes
}
