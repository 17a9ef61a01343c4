import { checkClips, checkCount, checkFlag, checkNumber, checkOptions, checkText, wrong } from '../check.js'
import { decodeVideo } from '../data/decode.js'
import { evaluationBatches } from '../data/sampler.js'
import { checkDevice, type Device, requireDevice } from '../device.js'
import { TvnError } from '../errors.js'
import { checkLimit, type LatencyLimit, parseLimit } from '../latency/limit.js'
import type { LatencyReport, MeasureOptions } from '../latency/measure.js'
import type { Precision } from '../native.js'
import type { Graph } from '../network/graph.js'
import type { Network } from '../network/network.js'
import { type OnnxOptions, toOnnx } from '../onnx/export.js'
import type { Preprocessing, Task } from '../task.js'
import { precisionOn } from '../precision.js'
import { Inference } from './inference.js'
import { type ModelFile, metadataOf, readModel } from './model-file.js'
import { meanProbabilities, type Prediction, topPredictions } from './probabilities.js'

export interface LoadOptions {
  /**
   * On the CPU `f32`, the default, or `bf16`, which rounds what convolutions multiply to two digits and takes about half the time; it needs
   * AVX512_BF16. On a GPU `f16`.
   */
  precision?: Precision | undefined
  /** Default 1. The results have the same bits for any number. On a GPU they prepare the clips of videos. */
  threads?: number | undefined
  /** Default `cpu`; `cuda` is the first GPU, `cuda:1` the second. */
  device?: Device | undefined
}

export interface PredictOptions {
  /** How many classes to give, default 5. */
  top?: number | undefined
  signal?: AbortSignal | undefined
}

export interface Classification {
  readonly predictions: Prediction[]
  /** Decoding, cropping and resizing, from the file to the clips. */
  readonly decodeMs: number
  /** All views. */
  readonly inferenceMs: number
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
  readonly device: Device
  readonly #graph: Graph
  readonly #inference: Inference
  #weights: ReadonlyMap<string, Float32Array> | undefined

  /** Use `loadModel`. */
  constructor(file: ModelFile, options: LoadOptions = {}) {
    const { threads, precision, device } = completeLoadOptions(options)
    this.threads = threads
    this.precision = precision
    this.device = device
    this.network = file.network
    this.labels = file.labels
    this.task = file.task
    this.preprocessing = file.preprocessing
    this.notes = file.notes
    this.#weights = file.weights
    this.#graph = file.network.graph({ classes: file.labels.length })
    this.#inference = new Inference(this.#graph, file.weights, { device, threads, precision, search: true })
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
  async logits(clips: Uint8Array, shape: readonly number[], options: { signal?: AbortSignal } = {}): Promise<Float32Array> {
    this.#alive()
    checkOptions('options', options, { signal: true })
    const { frames, size } = this.network.streams[0]
    const count = checkClips(clips, shape, [frames, size])
    return this.#inference.logits(clips, count, options.signal)
  }

  /**
   * Classifies a video file: `preprocessing.views` clips spread over it, their probabilities averaged. Best first.
   * Throws ERR_DECODE with the file's name and the reason, ERR_NO_DECODER, ERR_ABORTED.
   */
  async predict(file: string, options: PredictOptions = {}): Promise<Prediction[]> {
    return (await this.classify(file, options)).predictions
  }

  /** `predict`, with how long its parts took. */
  async classify(file: string, options: PredictOptions = {}): Promise<Classification> {
    this.#alive()
    if (typeof file !== 'string' || file === '') throw wrong('file', 'the path of a video', file)
    checkOptions('options', options, { top: true, signal: true })
    const { top = 5, signal } = options
    checkCount('top', top, 1, Number.MAX_SAFE_INTEGER)
    const begun = performance.now()
    const { clips, views } = await this.#readViews(file, signal)
    const decoded = performance.now()
    await this.#inference.prepare(views)
    const ready = performance.now()
    const logits = await this.#inference.logits(clips, views, signal)
    const predictions = topPredictions(meanProbabilities(logits, this.labels.length, this.task), this.labels, top)
    return { predictions, decodeMs: decoded - begun, inferenceMs: performance.now() - ready }
  }

  /**
   * Measures how long `logits` of one clip takes on the model's device; with a limit (e.g. `p90<5ms@99%`), also says whether it is met.
   * Throws ERR_LIMIT_INVALID, also for a limit that names another device.
   */
  async measure(options: Omit<MeasureOptions, 'limits'> & { limit?: string | LatencyLimit } = {}): Promise<LatencyReport> {
    this.#alive()
    checkOptions('options', options, { limit: true, core: true, maxSeconds: true, coldRuns: true, signal: true, onProgress: true })
    const { limit, ...rest } = options
    if (rest.core !== undefined) checkCount('core', rest.core, -1, 1023)
    if (rest.maxSeconds !== undefined) checkNumber('maxSeconds', rest.maxSeconds, 0, 1e6)
    if (rest.coldRuns !== undefined) checkCount('coldRuns', rest.coldRuns, 0, 1e6)
    if (this.device !== 'cpu' && (rest.coldRuns ?? 0) > 0) throw wrong('coldRuns', `0 on ${this.device}`, rest.coldRuns)
    const limits = limit === undefined ? [] : [typeof limit === 'string' ? parseLimit(limit, this.device) : checkLimit(limit, this.device)]
    for (const { device } of limits)
      if (device !== this.device) throw new TvnError('ERR_LIMIT_INVALID', `the limit is about ${device}, but the model runs on ${this.device}`)
    const { frames, size } = this.network.streams[0]
    return this.#inference.measure([frames, size, size, 3], { ...rest, limits })
  }

  /**
   * The model as the bytes of an ONNX file (opset 17): input `clips`, u8 [N, T, H, W, 3] with any N; output `logits`, f32 [N, classes]. Its metadata
   * are those of the model file. Throws ERR_ARGUMENT where 2 GiB, ONNX's limit, do not hold it.
   */
  toOnnx(options: OnnxOptions = {}): Uint8Array<ArrayBuffer> {
    const weights = this.#alive()
    checkOptions('options', options, { foldBatchNorm: true })
    const { foldBatchNorm = true } = options
    return toOnnx(this.#graph, weights, { name: this.network.name, metadata: metadataOf(this), foldBatchNorm: checkFlag('foldBatchNorm', foldBatchNorm) })
  }

  /** Frees the native memory when the running call has ended. */
  dispose(): void {
    this.#weights = undefined
    this.#inference.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** The clips of a video that its prediction is made of: u8 [views, T, H, W, 3]. */
  async #readViews(file: string, signal: AbortSignal | undefined): Promise<{ clips: Uint8Array; views: number }> {
    const video = await decodeVideo(file, { signal })
    try {
      const { preprocessing, task, threads } = this
      const sample = { id: file, path: file, labels: [], video }
      const options = { stream: this.network.streams[0], preprocessing, batch: preprocessing.views, classes: this.labels.length, task, threads }
      for await (const { clips, shape } of evaluationBatches([sample], options)) return { clips, views: shape[0] }
      throw new TvnError('ERR_DECODE', `${file}: it has no frames`)
    } finally {
      await video.remove()
    }
  }

  #alive(): ReadonlyMap<string, Float32Array> {
    if (this.#weights === undefined) throw new TvnError('ERR_DISPOSED', 'the model was disposed of')
    return this.#weights
  }
}

function completeLoadOptions(options: LoadOptions): Required<{ readonly [K in keyof LoadOptions]: Exclude<LoadOptions[K], undefined> }> {
  checkOptions('options', options, { threads: true, precision: true, device: true })
  const { threads = 1, precision, device = 'cpu' } = options
  const checked = checkDevice('device', device)
  return { threads: checkCount('threads', threads, 1, 256), precision: precisionOn(checked, precision), device: checked }
}

/**
 * Reads a model file and makes it ready to run.
 * Throws ERR_MODEL_FILE, ERR_MODEL_TENSOR or ERR_NETWORK_INVALID with the file's name, ERR_ARGUMENT for an invalid option, ERR_PRECISION, and
 * ERR_DEVICE with the reason when the device cannot be used.
 *
 * @example
 * using model = await loadModel('best.safetensors')
 * const [best] = await model.predict('clip.mp4', { top: 1 })
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  checkText('path', path)
  const complete = completeLoadOptions(options)
  await requireDevice(complete.device)
  return new Model(await readModel(path), complete)
}
