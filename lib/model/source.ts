import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { describeFileError } from '../atomic.js'
import { inContext, TvnError } from '../errors.js'
import { Network } from '../network/network.js'
import { readReleased } from '../network/released.js'
import { type ModelFile, readModel } from './model-file.js'

/** A network that a user named. */
export interface NetworkSource {
  readonly network: Network
  /** Classes that it is meant for: a model's, a preset's, or none for Network JSON. */
  readonly classes?: number
  /** The model file that it came from. */
  readonly model?: ModelFile
}

const maxJsonBytes = 2 ** 20

/**
 * A network by the name of a preset or by file: a model (`.safetensors`), Network JSON or the released JSON.
 * Throws ERR_ARGUMENT for a name that is neither, and what reading the file throws.
 */
export async function openNetwork(nameOrFile: string): Promise<NetworkSource> {
  const presetClasses = Network.presetClasses(nameOrFile)
  if (presetClasses !== undefined) return { network: Network.preset(nameOrFile), classes: presetClasses }
  if (nameOrFile.endsWith('.safetensors')) {
    const model = await readModel(nameOrFile)
    return { network: model.network, classes: model.labels.length, model }
  }
  return { network: await readNetworkFile(nameOrFile) }
}

async function readNetworkFile(file: string): Promise<Network> {
  let text: string
  try {
    const { size } = await stat(file)
    if (size > maxJsonBytes) throw new TvnError('ERR_NETWORK_INVALID', `${file}: ${size} bytes are too many for a network, expected at most ${maxJsonBytes}`)
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if (cause instanceof TvnError) throw cause
    const isName = (cause as NodeJS.ErrnoException).code === 'ENOENT' && !/[./\\]/.test(file)
    if (isName) return Network.preset(file)
    throw new TvnError('ERR_ARGUMENT', `${file}: cannot be read, ${describeFileError(cause)}`, { cause })
  }
  try {
    return isReleased(text) ? readReleased(text, { name: path.parse(file).name }) : Network.parse(text)
  } catch (error) {
    throw inContext(file, error)
  }
}

/** The released JSON has no `format`, and its stream's key is in snake_case. */
function isReleased(text: string): boolean {
  return !/"format"\s*:/.test(text) && /"(num_frames|input_streams)"\s*:/.test(text)
}
