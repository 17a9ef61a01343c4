import { checkClips, checkCount, checkOneOf } from '../check.js'
import { TvnError } from '../errors.js'
import { type LatencyLimit, parseLimit } from '../latency/limit.js'
import { type LatencyReport, type MeasureOptions, measureLatency } from '../latency/measure.js'
import type { Precision } from '../native.js'
import type { Network } from '../network/network.js'
import type { Preprocessing, Task } from '../task.js'
import { Inference } from './inference.js'
import { type ModelFile, readModel } from './model-file.js'

export interface LoadOptions {
  /** Default `f32`. */
  precision?: Precision
  /** Default 1. The results have the same bits for any number. */
  threads?: number
  /** Default `cpu`. */
  device?: 'cpu'
}

/**
 * A trained network that is ready to run. Calls may overlap: they run one after the other, off the event loop.
 * Every method rejects with ERR_DISPOSED after `dispose`.
 */
export class Model {
  readonly network: Network
  /** One label a class, in the order of the logits. */
  readonly labels: readonly string[]
  readonly task: Task
  readonly preprocessing: Preprocessing
  /** Further metadata of the file, e.g. `metrics`, `recipe`, `created`. */
  readonly notes: Readonly<Record<string, string>>
  readonly threads: number
  readonly precision: Precision
  readonly #inference: Inference
  #weights: ReadonlyMap<string, Float32Array> | undefined

  /** Use `loadModel`. */
  constructor(file: ModelFile, { threads = 1, precision = 'f32', device = 'cpu' }: LoadOptions = {}) {
    checkOneOf('device', device, ['cpu'])
    this.threads = checkCount('threads', threads, 1, 256)
    this.precision = checkOneOf('precision', precision, ['f32'])
    this.network = file.network
    this.labels = file.labels
    this.task = file.task
    this.preprocessing = file.preprocessing
    this.notes = file.notes
    this.#weights = file.weights
    this.#inference = new Inference(file.network.graph({ classes: file.labels.length }), file.weights, { threads, precision })
  }

  /** Weights and running statistics by tensor name; not to be changed. */
  get weights(): ReadonlyMap<string, Float32Array> {
    return this.#alive()
  }

  /**
   * Logits of clips: [N × classes].
   *
   * @param clips u8 RGB, not to be changed until the promise settles
   * @param shape [N, T, H, W, 3]: N at least 1, the rest as the network's stream says
   */
  async logits(clips: Uint8Array, shape: readonly number[], { signal }: { signal?: AbortSignal } = {}): Promise<Float32Array> {
    this.#alive()
    const { frames, size } = this.network.streams[0]
    const count = checkClips(clips, shape, [frames, size])
    return this.#inference.logits(clips, count, signal)
  }

  /**
   * Measures the latency of one clip on this machine; with a limit (e.g. `p90<5ms@99%`), also says whether it is met.
   * Throws ERR_LIMIT_INVALID.
   */
  async measure({ limit, ...options }: Omit<MeasureOptions, 'limits'> & { limit?: string | LatencyLimit } = {}): Promise<LatencyReport> {
    this.#alive()
    const limits = limit === undefined ? [] : [typeof limit === 'string' ? parseLimit(limit) : limit]
    const { frames, size } = this.network.streams[0]
    return this.#inference.withPlan((plan) => measureLatency(plan, [frames, size, size, 3], { ...options, limits }))
  }

  /** Frees the native memory when the running call has ended. */
  dispose(): void {
    this.#weights = undefined
    this.#inference.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #alive(): ReadonlyMap<string, Float32Array> {
    if (this.#weights === undefined) throw new TvnError('ERR_DISPOSED', 'the model was disposed of')
    return this.#weights
  }
}

/**
 * Reads a model file and makes it ready to run.
 * Throws ERR_MODEL_FILE, ERR_MODEL_TENSOR or ERR_NETWORK_INVALID with the file's name, ERR_ARGUMENT for an invalid option.
 *
 * @example
 * using model = await loadModel('best.safetensors')
 * const [best] = await model.predict('clip.mp4', { top: 1 })
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  if (typeof path !== 'string') throw new TvnError('ERR_ARGUMENT', `path must be a text, got ${typeof path}`)
  return new Model(await readModel(path), options)
}
