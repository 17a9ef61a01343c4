import type { PreparedSample } from '../data/dataset.js'
import { TrainingSampler } from '../data/sampler.js'
import type { Device } from '../device.js'
import type { Network } from '../network/network.js'
import { Random } from '../random.js'
import type { Task } from '../task.js'
import { initialize } from './initialize.js'
import { type HistoryEntry, type TrainingProgress, trainingLoop } from './loop.js'
import type { Recipe } from './recipe.js'
import { createTrainer } from './trainer.js'

/** One thread that loads clips keeps up with so many that train; more of them would only take cores from the training. */
const coresPerLoader = 4

export interface FitOptions {
  readonly network: Network
  readonly labels: readonly string[]
  readonly task: Task
  readonly samples: readonly PreparedSample[]
  readonly recipe: Recipe
  readonly iterations: number
  /** Seeds the initial weights, dropout and the clips that are drawn. */
  readonly seed: number
  /** Default: the CPU. */
  readonly device?: Device | undefined
  /** Of the CPU: they train and load clips, or only load clips for a GPU. */
  readonly threads: number
  /** Whether clips may be mirrored. */
  readonly flip: boolean
  /** Weights to start from. Default: fresh ones. */
  readonly initial?: ReadonlyMap<string, Float32Array> | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined
  /** Awaited before every iteration. */
  readonly gate?: (() => Promise<void>) | undefined
  /** On a GPU: what there is about every hundredth part of the way. It is all that is left when the GPU fails. */
  readonly onCheckpoint?: ((checkpoint: FitResult) => void) | undefined
}

export interface FitResult {
  readonly weights: Map<string, Float32Array>
  readonly history: HistoryEntry[]
}

/**
 * Trains a network on prepared samples. The result is a function of the options: the same bits for any number of threads, in every run.
 * When the signal fires it is what there is by then, and the history tells how far that is. Throws ERR_DIVERGED when the loss leaves the finite
 * numbers, ERR_DEVICE_LOST when a GPU fails.
 */
export async function fit(options: FitOptions): Promise<FitResult> {
  const { network, labels, task, samples, recipe, iterations, seed, device = 'cpu', threads, flip, signal, onProgress, gate, onCheckpoint } = options
  const { batch, ...settings } = recipe
  const random = Random.seeded(seed)
  const weights = options.initial ?? (await initialize(network.graph({ classes: labels.length }), random.fork('weights')))
  const sampler = new TrainingSampler(samples, {
    stream: network.streams[0],
    batch,
    classes: labels.length,
    task,
    flip,
    threads: device === 'cpu' ? Math.ceil(threads / coresPerLoader) : threads,
    random: random.fork('clips'),
  })
  using trainer = await createTrainer({ network, labels, task, weights }, { ...settings, device, threads, seed, task })
  const entries: HistoryEntry[] = []
  const onEntry = async (entry: HistoryEntry) => {
    entries.push(entry)
    onCheckpoint?.({ weights: await trainer.weights(), history: [...entries] })
  }
  const history = await trainingLoop(trainer, () => sampler.next(), {
    iterations,
    learningRate: recipe.learningRate,
    signal,
    onProgress,
    gate,
    ...(onCheckpoint && device !== 'cpu' && { onEntry }),
  })
  return { weights: await trainer.weights(), history }
}
