import { abortError } from '../abort.js'
import { checkWritable } from '../atomic.js'
import { checkCount, checkOptions, checkText, wrong } from '../check.js'
import type { PreparedDataset, Quarantined, Split } from '../data/dataset.js'
import { openDataset } from '../data/open.js'
import { prepareDataset } from '../data/prepare.js'
import { checkDevice, type Device, requireDevice } from '../device.js'
import { type ErrorCode, TvnError } from '../errors.js'
import { Model } from '../model/model.js'
import { type ModelFile, readModel, writeModel } from '../model/model-file.js'
import { openNetwork } from '../model/source.js'
import { Network } from '../network/network.js'
import { trainingPrecisionOn } from '../precision.js'
import { Random } from '../random.js'
import { defaultPreprocessing } from '../task.js'
import { version } from '../version.js'
import { type EvaluateOptions, evaluateWeights } from './evaluate.js'
import { type FitResult, fit } from './fit.js'
import { inheritWeights } from './inherit.js'
import { initialize } from './initialize.js'
import type { HistoryEntry } from './loop.js'
import type { Metrics } from './metrics.js'
import { completeRecipe, type Recipe } from './recipe.js'

export interface TrainOptions {
  /** A network, the name of a preset, or a file with Network JSON, released JSON or a model. */
  readonly network: Network | string
  /** Folder or manifest of labelled videos, or `demo`. */
  readonly data: string
  /** Length of the training: passes over the training split, or batches. Default 2,000 iterations. */
  readonly epochs?: number | undefined
  readonly iterations?: number | undefined
  /** Where to write the model file. Default: nowhere. */
  readonly out?: string | undefined
  /** A model file whose weights are the start wherever name and shape agree. */
  readonly initFrom?: string | undefined
  /** Default: see `defaultRecipe`. */
  readonly recipe?: Partial<Recipe> | undefined
  /** That of the device: `f32` on the CPU, `f16` on a GPU, whose weights and sums are f32. */
  readonly precision?: 'f32' | 'f16' | undefined
  /** Default 1. The result has the same bits for any number. On a GPU they load its clips. */
  readonly threads?: number | undefined
  /** Default `cpu`; `cuda` is the first GPU, `cuda:1` the second. */
  readonly device?: Device | undefined
  /** Default 0. */
  readonly seed?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: TrainProgress) => void) | undefined
}

export type TrainProgress =
  | { readonly phase: 'hash' | 'render' | 'decode' | 'evaluate'; readonly done: number; readonly total: number }
  /** `skipped` counts the steps so far that changed nothing: on a GPU, those whose gradients were not finite in half precision. */
  | { readonly phase: 'train'; readonly done: number; readonly total: number; readonly loss: number; readonly skipped: number }

export interface TrainResult {
  /** Ready to run; the caller disposes of it. */
  readonly model: Model
  readonly history: readonly HistoryEntry[]
  /** How many steps changed nothing, because a gradient was not finite in half precision; 0 on the CPU. */
  readonly skipped: number
  /** On the validation split or, where that is empty, the test split; undefined where both are. */
  readonly metrics: (Metrics & { readonly split: Split }) | undefined
  /** Videos that were left out, with reasons. */
  readonly quarantined: readonly Quarantined[]
}

const defaultIterations = 2000

/**
 * Trains one network on labelled videos.
 * Throws ERR_ARGUMENT, ERR_NETWORK_INVALID, ERR_MODEL_FILE, ERR_DATASET, ERR_PRECISION or ERR_DEVICE before any work, ERR_DIVERGED, ERR_ABORTED,
 * ERR_MEMORY or ERR_DEVICE_LOST later; the file is written at the end, whole or not at all. When the signal fires, or a GPU fails, during the training
 * or its evaluation, the file gets the weights as they are by then (of a lost GPU: as they were not long before), without metrics and with how far
 * they are in its note `interrupted`.
 *
 * @example
 * const { model, metrics } = await train({ network: 'tvn-1', data: 'videos', epochs: 30, out: 'mine.safetensors' })
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkOptions('options', options, {
    network: true,
    data: true,
    epochs: true,
    iterations: true,
    out: true,
    initFrom: true,
    recipe: true,
    precision: true,
    threads: true,
    device: true,
    seed: true,
    signal: true,
    onProgress: true,
  })
  const { out, initFrom, signal, onProgress } = options
  const source = options.network instanceof Network ? options.network : checkNetworkName(options.network)
  const data = checkText('data', options.data)
  if (out !== undefined) checkText('out', out)
  if (initFrom !== undefined) checkText('initFrom', initFrom)
  const threads = checkCount('threads', options.threads ?? 1, 1, 256)
  const seed = checkCount('seed', options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER)
  const device = checkDevice('device', options.device ?? 'cpu')
  const precision = trainingPrecisionOn(device, options.precision)
  const recipe = completeRecipe(options.recipe)
  if (options.epochs !== undefined && options.iterations !== undefined)
    throw new TvnError('ERR_ARGUMENT', 'epochs and iterations exclude each other, expected one of them')
  if (options.epochs !== undefined) checkCount('epochs', options.epochs, 1, 1e6)
  if (options.iterations !== undefined) checkCount('iterations', options.iterations, 1, 1e9)
  const network = typeof source === 'string' ? (await openNetwork(source)).network : source
  const start = initFrom === undefined ? undefined : await readModel(initFrom)
  await requireDevice(device)
  if (out !== undefined) await checkWritable(out)

  const dataset = await prepareDataset(await openDataset(data, { signal, onProgress }), { signal, onProgress })
  const { labels, task, flip } = dataset
  const samples = dataset.splits.train
  if (samples.length === 0) throw new TvnError('ERR_DATASET', `${data}: no usable videos in the training split`)
  const iterations = options.iterations ?? (options.epochs === undefined ? defaultIterations : Math.ceil((options.epochs * samples.length) / recipe.batch))
  const initial = start && (await startingWeights(network, labels.length, seed, start, initFrom as string))
  const save = async ({ weights, history }: FitResult, more: Readonly<Record<string, string>>): Promise<ModelFile> => {
    const notes = {
      recipe: JSON.stringify({ ...recipe, iterations, seed }),
      created: new Date().toISOString(),
      engine: `tiny-video-nets ${version}`,
      ...more,
    }
    const file: ModelFile = { network, labels, task, preprocessing: defaultPreprocessing, weights, notes }
    if (out !== undefined && history.length > 0) await writeModel(out, file)
    return file
  }
  /** Saves what there is of an unfinished training and throws why it is unfinished. */
  const giveUp = async (unfinished: FitResult, code: ErrorCode, message: string, cause: unknown): Promise<never> => {
    const done = unfinished.history.at(-1)?.iteration ?? 0
    const interrupted = `after ${done} of ${iterations} iterations`
    await save(unfinished, { interrupted })
    const hint = out !== undefined && done > 0 ? { hint: `the model as trained so far, ${interrupted}, is in ${out}` } : {}
    throw new TvnError(code, message, { ...hint, cause })
  }
  let result: FitResult | undefined
  const onFailure = (error: unknown): Promise<never> => {
    if (signal?.aborted && result) return giveUp(result, 'ERR_ABORTED', abortError(signal).message, signal.reason)
    const lost = device !== 'cpu' && error instanceof TvnError && deviceFailures.has(error.code)
    if (lost && result && out !== undefined) return giveUp(result, error.code, error.message, error)
    if (lost && out !== undefined) {
      const advice = error.code === 'ERR_MEMORY' ? error.hint : 'train again, or on cpu'
      throw new TvnError(error.code, error.message, {
        hint: `nothing is saved, it failed before the weights were kept for the first time; ${advice}`,
        cause: error,
      })
    }
    throw error
  }
  const trained = await fit({
    network,
    labels,
    task,
    samples,
    recipe,
    iterations,
    seed,
    device,
    threads,
    flip,
    initial,
    signal,
    onProgress: ({ iteration, loss, skipped }) => onProgress?.({ phase: 'train', done: iteration, total: iterations, loss, skipped }),
    onCheckpoint: (checkpoint) => {
      result = checkpoint
    },
  }).catch(onFailure)
  result = trained
  const evaluation = { network, weights: trained.weights, device, threads, signal, onProgress }
  const metrics = await evaluateOn(dataset, ['val', 'test'], evaluation).catch(onFailure)
  if (metrics === undefined && signal?.aborted) return onFailure(signal.reason)
  const file = await save(trained, metrics ? { metrics: JSON.stringify(metrics) } : {})
  const skipped = trained.history.reduce((sum, entry) => sum + entry.skipped, 0)
  return { model: new Model(file, { device, threads, precision }), history: trained.history, skipped, metrics, quarantined: dataset.quarantined }
}

/** What a GPU ends a training with; the weights so far are as good as those of one that was interrupted. */
const deviceFailures: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['ERR_DEVICE', 'ERR_DEVICE_LOST', 'ERR_MEMORY'])

function checkNetworkName(value: unknown): string {
  if (typeof value !== 'string' || value === '')
    throw new TvnError('ERR_ARGUMENT', wrong('network', 'a Network, the name of a preset or a file', value).message, {
      hint: 'Network.parse(json) makes a Network',
    })
  return value
}

async function startingWeights(network: Network, classes: number, seed: number, start: ModelFile, name: string): Promise<Map<string, Float32Array>> {
  const graph = network.graph({ classes })
  const fresh = await initialize(graph, Random.seeded(seed).fork('weights'))
  const { weights, inherited } = inheritWeights(graph, fresh, { graph: start.network.graph({ classes: start.labels.length }), weights: start.weights })
  if (inherited === 0) throw new TvnError('ERR_ARGUMENT', `${name}: none of its tensors has the name and shape of one of network ${network.name}`)
  return weights
}

/** Metrics on the first of some splits that has samples. */
async function evaluateOn(
  { splits, labels, task }: PreparedDataset,
  order: readonly Split[],
  { onProgress, ...how }: Pick<EvaluateOptions, 'network' | 'weights' | 'device' | 'threads' | 'signal'> & Pick<TrainOptions, 'onProgress'>,
): Promise<(Metrics & { readonly split: Split }) | undefined> {
  const split = order.find((name) => splits[name].length > 0)
  if (split === undefined) return undefined
  const metrics = await evaluateWeights({
    ...how,
    labels,
    task,
    samples: splits[split],
    preprocessing: defaultPreprocessing,
    onProgress: ({ done, total }) => onProgress?.({ phase: 'evaluate', done, total }),
  })
  return { split, ...metrics }
}
