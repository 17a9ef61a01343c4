import path from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { describeFileError, writeFileAtomic } from '../../atomic.js'
import { TvnError } from '../../errors.js'
import { makeFolder } from '../../folder.js'

/** What weights are called in the folder. */
const weightsFile = 'weights.bin'

/**
 * Writes a model as a folder that `tf.loadLayersModel('…/model.json')` loads: weights first, so that where model.json is there is a whole model.
 * Gives the bytes written. Throws ERR_FILE.
 */
export async function saveLayersModel(model: tf.LayersModel, folder: string): Promise<number> {
  let bytes = 0
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      const { modelTopology, weightSpecs, weightData, format, generatedBy, userDefinedMetadata } = artifacts
      const weights = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData))
      const manifest = [{ paths: [weightsFile], weights: weightSpecs }]
      const json = JSON.stringify({ format, generatedBy, convertedBy: 'tiny-video-nets', userDefinedMetadata, modelTopology, weightsManifest: manifest })
      try {
        await makeFolder(folder)
      } catch (cause) {
        throw new TvnError('ERR_FILE', `${folder}: cannot be made, ${describeFileError(cause)}`, { cause })
      }
      await writeFileAtomic(path.join(folder, weightsFile), [weights])
      await writeFileAtomic(path.join(folder, 'model.json'), [json])
      bytes = weights.length + Buffer.byteLength(json)
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } }
    }),
  )
  return bytes
}
