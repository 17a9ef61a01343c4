import { checkClips, checkCount, checkFlag, checkNumber, checkOneOf, checkOptions, wrong } from '../check.js'
import { checkDevice, type Device, nativeDevice, requireDevice } from '../device.js'
import { TvnError } from '../errors.js'
import { type NativeTrainer, native } from '../native.js'
import { callNative } from '../native-error.js'
import { Network } from '../network/network.js'
import { trainingPrecisionOn } from '../precision.js'
import { Random } from '../random.js'
import { type Task, tasks } from '../task.js'
import { initialize } from './initialize.js'
import { defaultRecipe } from './recipe.js'

/** A network with weights to start from; a `Model` is one. */
export interface WeightedNetwork {
  readonly network: Network
  readonly labels: readonly string[]
  readonly task: Task
  readonly weights: ReadonlyMap<string, Float32Array>
}

export interface TrainerOptions {
  /** Default 0.2; `step` may be given another. */
  learningRate?: number
  /** Default 0.9. */
  momentum?: number
  /** Default true. */
  nesterov?: boolean
  /** Default 1e-4, on tensors named `.weight` only. */
  weightDecay?: number
  /** Default 0.1; 0 for multi-label. */
  labelSmoothing?: number
  /** Default 0.2. */
  dropout?: number
  /** That of the device: `f32` on the CPU, `f16` on a GPU, whose weights and sums are f32. */
  precision?: 'f32' | 'f16' | undefined
  /** Of the CPU, default 1. The results have the same bits for any number. */
  threads?: number
  /** Default `cpu`; `cuda` is the first GPU, `cuda:1` the second. */
  device?: Device | undefined
  /** Seeds fresh weights and dropout. Default 0. */
  seed?: number
  /** Default: the model's, or `single-label`. */
  task?: Task
  /** For a Network: how many classes its head tells apart. */
  classes?: number
  /** For a Network: instead of `classes`. */
  labels?: readonly string[]
}

export interface TrainingStep {
  /** Before the update. */
  readonly loss: number
  readonly skipped: boolean
  /** What the loss was multiplied by in this step; 1 on the CPU. */
  readonly lossScale: number
}

/** Trains one network, batch by batch. Calls may overlap: they run one after the other. */
export class Trainer {
  readonly network: Network
  readonly task: Task
  readonly classes: number
  readonly device: Device
  readonly #native: NativeTrainer
  readonly #learningRate: number
  #queue: Promise<unknown> = Promise.resolve()
  #disposed = false

  /** Use `createTrainer`. */
  constructor(network: Network, task: Task, classes: number, device: Device, learningRate: number, trainer: NativeTrainer) {
    this.network = network
    this.task = task
    this.classes = classes
    this.device = device
    this.#learningRate = learningRate
    this.#native = trainer
  }

  /**
   * One step: forward, loss, backward, update. Resolves to the mean loss over the batch, before the update, and whether the step was skipped: on
   * a GPU a gradient that is not finite in half precision changes nothing but the loss scale, which is halved. On the CPU no step is skipped.
   * Throws ERR_DEVICE_LOST when a GPU fails in the middle of it.
   *
   * @param clips u8 RGB, not to be changed until the promise settles
   * @param shape [N, T, H, W, 3]; the batch may differ from step to step
   * @param labels [N] classes or, multi-label, [N × classes] of 0 and 1
   */
  async step(
    clips: Uint8Array,
    shape: readonly number[],
    labels: Int32Array | readonly number[],
    options: { learningRate?: number } = {},
  ): Promise<TrainingStep> {
    checkOptions('options', options, { learningRate: true })
    const { learningRate = this.#learningRate } = options
    const { frames, size } = this.network.streams[0]
    const batch = checkClips(clips, shape, [frames, size])
    const targets = this.#checkLabels(labels, batch)
    checkNumber('learningRate', learningRate, 0, 1e6)
    const { loss, skipped, lossScale } = await this.#enqueue(() => this.#native.step(clips, batch, targets, learningRate))
    return { loss, skipped, lossScale }
  }

  /** Gradients of the last step's loss alone, without weight decay, by tensor name. */
  gradients(): Promise<Map<string, Float32Array>> {
    return this.#enqueue(async () => new Map(Object.entries(await this.#native.gradients())))
  }

  /** Weights and running statistics as they are now, by tensor name. */
  weights(): Promise<Map<string, Float32Array>> {
    return this.#enqueue(async () => new Map(Object.entries(await this.#native.weights())))
  }

  /** Frees the native memory when the running call has ended. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    void this.#queue.then(() => this.#native.dispose())
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #enqueue<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#disposed) throw new TvnError('ERR_DISPOSED', 'the trainer was disposed of')
      return callNative(call)
    })
    this.#queue = result.catch(() => {})
    return result
  }

  #checkLabels(labels: Int32Array | readonly number[], batch: number): Int32Array {
    const multiLabel = this.task === 'multi-label'
    const length = multiLabel ? batch * this.classes : batch
    const limit = multiLabel ? 2 : this.classes
    if (!(labels instanceof Int32Array || Array.isArray(labels))) throw wrong('labels', 'an Int32Array', labels)
    if (labels.length !== length)
      throw new TvnError('ERR_ARGUMENT', `labels must be an Int32Array of ${length} values for this batch, got ${labels.length} values`)
    for (let i = 0; i < length; i++) {
      const label = labels[i] as number
      if (!Number.isInteger(label) || label < 0 || label >= limit) throw wrong(`labels[${i}]`, `a whole number from 0 to ${limit - 1}`, label)
    }
    return Int32Array.from(labels)
  }
}

/**
 * A trainer that starts from a copy of a model's weights, which stay as they are, or from fresh ones for a network.
 * Throws ERR_ARGUMENT for an invalid option, ERR_DEVICE with the reason when the device cannot be used, ERR_MEMORY when the network is too
 * large for it.
 *
 * @example
 * const trainer = await createTrainer(Network.preset('tvn-1'), { classes: 10, seed: 1 })
 * const { loss } = await trainer.step(clips, [16, 2, 224, 224, 3], labels)
 */
export async function createTrainer(source: Network | WeightedNetwork, options: TrainerOptions = {}): Promise<Trainer> {
  checkOptions('options', options, {
    learningRate: true,
    momentum: true,
    nesterov: true,
    weightDecay: true,
    labelSmoothing: true,
    dropout: true,
    precision: true,
    threads: true,
    device: true,
    seed: true,
    task: true,
    classes: true,
    labels: true,
  })
  const fresh = source instanceof Network
  if (!fresh) checkWeighted(source)
  if (options.labels !== undefined && !Array.isArray(options.labels)) throw wrong('labels', 'an array of texts', options.labels)
  const network = fresh ? source : source.network
  const task = checkOneOf('task', options.task ?? (fresh ? 'single-label' : source.task), tasks)
  const classes = checkCount('classes', fresh ? (options.classes ?? options.labels?.length) : source.labels.length, 1, 100_000)
  const device = checkDevice('device', options.device ?? 'cpu')
  trainingPrecisionOn(device, options.precision)
  const seed = checkCount('seed', options.seed ?? 0, 0, Number.MAX_SAFE_INTEGER)
  const learningRate = checkNumber('learningRate', options.learningRate ?? defaultRecipe.learningRate, 0, 1e6)
  const settings = {
    task,
    seed,
    threads: checkCount('threads', options.threads ?? 1, 1, 256),
    momentum: checkNumber('momentum', options.momentum ?? defaultRecipe.momentum, 0, 1),
    nesterov: checkFlag('nesterov', options.nesterov ?? defaultRecipe.nesterov),
    weightDecay: checkNumber('weightDecay', options.weightDecay ?? defaultRecipe.weightDecay, 0, 1),
    labelSmoothing: checkNumber('labelSmoothing', options.labelSmoothing ?? (task === 'multi-label' ? 0 : defaultRecipe.labelSmoothing), 0, 1),
    dropout: checkNumber('dropout', options.dropout ?? defaultRecipe.dropout, 0, 0.99),
  }
  await requireDevice(device)
  const graph = network.graph({ classes })
  const weights = fresh ? await initialize(graph, Random.seeded(seed).fork('weights')) : source.weights
  const trainer = await callNative(() => native().createTrainer(graph, Object.fromEntries(weights), { ...settings, ...nativeDevice(device) }))
  return new Trainer(network, task, classes, device, learningRate, trainer)
}

function checkWeighted(source: WeightedNetwork): void {
  const { network, labels, weights } = source ?? {}
  if (!(network instanceof Network)) throw wrong('source', 'a Network or a Model', source)
  if (!Array.isArray(labels)) throw wrong('labels', 'an array of texts', labels)
  if (!(weights instanceof Map)) throw wrong('weights', 'a Map of Float32Arrays by tensor name', weights)
}
