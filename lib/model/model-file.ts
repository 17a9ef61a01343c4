import { inContext, TvnError } from '../errors.js'
import { volume } from '../network/cost.js'
import { Network } from '../network/network.js'
import { defaultPreprocessing, type Preprocessing, type Task, tasks } from '../task.js'
import { readSafetensors, type Tensor, writeSafetensors } from './safetensors.js'

export const modelFormat = 'tiny-video-nets/model/1'

/** A trained network as it lies in a model file. */
export interface ModelFile {
  readonly network: Network
  /** One label a class, in the order of the logits; all different. */
  readonly labels: readonly string[]
  readonly task: Task
  readonly preprocessing: Preprocessing
  /** Weights and running statistics by tensor name, in the graph's order. */
  readonly weights: ReadonlyMap<string, Float32Array>
  /** Further metadata, e.g. `metrics`, `recipe`, `latency`, `created`, `engine`: texts, as a rule JSON. */
  readonly notes: Readonly<Record<string, string>>
}

const ownKeys = ['format', 'network', 'labels', 'task', 'preprocessing']
const maxClasses = 100_000

/**
 * Reads a model file. Tensors named `golden.…` are ignored; any other that the network does not have, lacks or shapes otherwise
 * is an error that names it, and so is a value that is not finite.
 * Throws ERR_MODEL_FILE (not a model file), ERR_NETWORK_INVALID or ERR_MODEL_TENSOR, each with the file's name.
 */
export async function readModel(file: string): Promise<ModelFile> {
  const { metadata, tensors } = await readSafetensors(file)
  const required = (key: string): string => {
    const text = metadata[key]
    if (text === undefined) throw new TvnError('ERR_MODEL_FILE', `${file}: not a model file, its metadata lacks "${key}"`)
    return text
  }
  const format = required('format')
  if (format !== modelFormat) throw new TvnError('ERR_MODEL_FILE', `${file}: its format is "${format}", expected "${modelFormat}"`)
  const network = readNetwork(file, required('network'))
  const labels = readLabels(file, required('labels'))
  const task = readTask(file, required('task'))
  const preprocessing = readPreprocessing(file, metadata.preprocessing)
  const weights = checkTensors(file, network.graph({ classes: labels.length }).parameters, tensors)
  const notes = Object.fromEntries(Object.entries(metadata).filter(([key]) => !ownKeys.includes(key)))
  return { network, labels, task, preprocessing, weights, notes }
}

/** Writes a model file whole or not at all. Throws ERR_MODEL_TENSOR when the weights are not the network's, ERR_FILE when the disk refuses. */
export async function writeModel(file: string, model: ModelFile): Promise<{ bytes: number }> {
  const { parameters } = model.network.graph({ classes: model.labels.length })
  const named = new Map<string, Tensor>()
  for (const [name, data] of model.weights) {
    const shape = parameters[name]
    named.set(name, { dtype: 'F32', shape: shape && volume(shape) === data.length ? shape : [data.length], data })
  }
  const tensors = new Map([...checkTensors(file, parameters, named).keys()].map((name) => [name, named.get(name) as Tensor]))
  return writeSafetensors(file, { metadata: { ...metadataOf(model), format: modelFormat }, tensors })
}

/** What a file tells of a model beside its weights. */
export function metadataOf({ notes, network, labels, task, preprocessing }: Omit<ModelFile, 'weights'>): Record<string, string> {
  return {
    ...notes,
    network: JSON.stringify(network),
    labels: JSON.stringify(labels),
    task,
    preprocessing: JSON.stringify(preprocessing),
  }
}

function readNetwork(file: string, text: string): Network {
  try {
    return Network.parse(text)
  } catch (error) {
    throw inContext(`${file}: its network`, error)
  }
}

function readLabels(file: string, text: string): string[] {
  const labels = parseJson(file, 'labels', text)
  const sound = Array.isArray(labels) && labels.length >= 1 && labels.length <= maxClasses && labels.every((label) => typeof label === 'string')
  if (!sound) throw new TvnError('ERR_MODEL_FILE', `${file}: its labels are not an array of 1 to ${maxClasses} texts`)
  if (new Set(labels).size !== labels.length) throw new TvnError('ERR_MODEL_FILE', `${file}: its labels are not all different`)
  return labels
}

function readTask(file: string, text: string): Task {
  const task = tasks.find((known) => known === text)
  if (task === undefined) throw new TvnError('ERR_MODEL_FILE', `${file}: its task is ${JSON.stringify(text)}, expected ${tasks.join(' or ')}`)
  return task
}

function readPreprocessing(file: string, text: string | undefined): Preprocessing {
  if (text === undefined) return defaultPreprocessing
  const value = parseJson(file, 'preprocessing', text) as Partial<Preprocessing> | null
  const cropFraction = value?.cropFraction ?? Number.NaN
  const views = value?.views ?? Number.NaN
  if (!(cropFraction > 0 && cropFraction <= 1) || !(Number.isInteger(views) && views >= 1 && views <= 100)) {
    throw new TvnError('ERR_MODEL_FILE', `${file}: its preprocessing is ${text.slice(0, 60)}, expected cropFraction in (0, 1] and 1 to 100 views`)
  }
  return { cropFraction, views }
}

function parseJson(file: string, key: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TvnError('ERR_MODEL_FILE', `${file}: its ${key} are not JSON`, { cause })
  }
}

/** The network's tensors in its order. Throws ERR_MODEL_TENSOR with every problem's tensor, as far as a line has room. */
function checkTensors(file: string, parameters: Readonly<Record<string, readonly number[]>>, tensors: ReadonlyMap<string, Tensor>): Map<string, Float32Array> {
  const problems: string[] = []
  const weights = new Map<string, Float32Array>()
  for (const [name, shape] of Object.entries(parameters)) {
    const tensor = tensors.get(name)
    if (tensor === undefined) problems.push(`${name} is missing`)
    else if (tensor.dtype !== 'F32') problems.push(`${name} is ${tensor.dtype}, expected F32`)
    else if (tensor.shape.join() !== shape.join()) problems.push(`${name} has shape [${tensor.shape.join(', ')}], expected [${shape.join(', ')}]`)
    else {
      const data = tensor.data as Float32Array
      const problem = valueProblem(name, data)
      if (problem) problems.push(problem)
      else weights.set(name, data)
    }
  }
  for (const name of tensors.keys()) {
    if (!Object.hasOwn(parameters, name) && !name.startsWith('golden.')) problems.push(`${name} belongs to no part of the network`)
  }
  if (problems.length > 0) {
    const more = problems.length > 4 ? `, and ${problems.length - 4} more` : ''
    throw new TvnError('ERR_MODEL_TENSOR', `${file}: ${problems.slice(0, 4).join('; ')}${more}`, {
      hint: 'the weights must be those of the network in the same file',
    })
  }
  return weights
}

function valueProblem(name: string, data: Float32Array): string | undefined {
  const least = name.endsWith('.variance') ? 0 : Number.NEGATIVE_INFINITY
  for (let i = 0; i < data.length; i++) {
    const x = data[i] as number
    if (!Number.isFinite(x)) return `${name} holds ${x} at ${i}`
    if (x < least) return `${name} holds a negative variance at ${i}`
  }
  return undefined
}
