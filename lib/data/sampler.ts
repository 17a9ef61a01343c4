import { TvnError } from '../errors.js'
import { type NativeClip, native } from '../native.js'
import type { Random } from '../random.js'
import type { Preprocessing, Task } from '../task.js'
import { type Augmentation, type ClipStream, defaultAugmentation, trainingClip, viewsOf } from './clips.js'
import type { PreparedSample } from './dataset.js'

/** [N, T, H, W, 3] */
export type ClipShape = readonly [number, number, number, number, number]

export interface ClipBatch {
  /** u8 RGB of `shape`. */
  readonly clips: Uint8Array
  readonly shape: ClipShape
  /** [N], the class of each clip; multi-label [N × classes], 1 where a class applies. */
  readonly labels: Int32Array
}

export interface EvaluationBatch extends ClipBatch {
  /** [N], the index of the sample that each clip is a view of. */
  readonly sampleIndex: Int32Array
}

/** Fills `out` with clips; the addon's `loadClips`. */
export type LoadClips = (clips: readonly NativeClip[], size: number, threads: number, out: Uint8Array) => Promise<void>

interface BatchOptions {
  readonly stream: ClipStream
  /** Clips a batch. */
  readonly batch: number
  readonly classes: number
  readonly task: Task
  /** That read and resize. */
  readonly threads: number
  /** Default: the addon. */
  readonly load?: LoadClips
}

export interface TrainingSamplerOptions extends BatchOptions {
  /** Whether clips are mirrored half of the time. */
  readonly flip: boolean
  /** Batch k is a function of this (as it is now) and k alone; nothing is drawn from it. */
  readonly random: Random
  /** Default `defaultAugmentation`. */
  readonly augment?: Augmentation
}

/**
 * Endless batches for training: samples in shuffled epochs, each once an epoch (a batch may span two), as augmented clips.
 * There are two buffers: a batch stays as it is while the next one is loaded, until the one after that is asked for.
 */
export class TrainingSampler {
  readonly #samples: readonly PreparedSample[]
  readonly #options: TrainingSamplerOptions
  readonly #buffers: readonly [Buffers, Buffers]
  #index = 0
  #epoch = -1
  #order: number[] = []

  constructor(samples: readonly PreparedSample[], options: TrainingSamplerOptions) {
    if (samples.length === 0) throw new TvnError('ERR_DATASET', 'there is no sample to train on')
    this.#samples = samples
    this.#options = options
    this.#buffers = [new Buffers(options), new Buffers(options)]
  }

  /** Rejects with ERR_FILE when a frame file was removed meanwhile. */
  async next(): Promise<ClipBatch> {
    const { stream, batch, threads, flip, random, augment = defaultAugmentation, load = loadNative } = this.#options
    const index = this.#index++
    const chosen = Array.from({ length: batch }, (_, i) => this.#sampleAt(index * batch + i))
    const clips = chosen.map((sample, i) => trainingClip(sample, stream, augment, flip, random.fork('clip', index * batch + i)))
    const buffers = this.#buffers[index % 2 === 0 ? 0 : 1]
    await load(clips, stream.size, threads, buffers.clips)
    return buffers.batchOf(chosen)
  }

  #sampleAt(position: number): PreparedSample {
    const count = this.#samples.length
    const epoch = Math.floor(position / count)
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#order = this.#options.random.fork('epoch', epoch).shuffle(Array.from({ length: count }, (_, i) => i))
    }
    return this.#samples[this.#order[position % count] as number] as PreparedSample
  }
}

export interface EvaluationOptions extends BatchOptions {
  readonly preprocessing: Preprocessing
}

/**
 * The views of every sample, in order, `batch` clips at a time (the last batch may have fewer). The next batch is loaded while one
 * is used; a batch stays as it is until the next one is asked for.
 */
export async function* evaluationBatches(samples: readonly PreparedSample[], options: EvaluationOptions): AsyncGenerator<EvaluationBatch, void, undefined> {
  const { stream, batch, preprocessing, threads, load = loadNative } = options
  const { views } = preprocessing
  const buffers = [new Buffers(options), new Buffers(options)] as const
  const count = Math.ceil((samples.length * views) / batch)
  const read = async (index: number): Promise<EvaluationBatch> => {
    const first = index * batch
    const length = Math.min(batch, samples.length * views - first)
    const sampleIndex = Int32Array.from({ length }, (_, i) => Math.floor((first + i) / views))
    const chosen = Array.from(sampleIndex, (i) => samples[i] as PreparedSample)
    const clips = chosen.map(({ video, start, end }, i) => viewsOf(video, stream, preprocessing, start, end)[(first + i) % views] as NativeClip)
    const target = buffers[index % 2 === 0 ? 0 : 1]
    await load(clips, stream.size, threads, target.clips.subarray(0, length * target.clipBytes))
    return { ...target.batchOf(chosen), sampleIndex }
  }
  let loading = count > 0 ? read(0) : undefined
  try {
    for (let index = 0; loading !== undefined; index++) {
      const loaded = await loading
      loading = index + 1 < count ? read(index + 1) : undefined
      loading?.catch(() => {}) // awaited in its turn
      yield loaded
    }
  } finally {
    // who stops early may delete the files next
    await loading?.catch(() => {})
  }
}

const loadNative: LoadClips = (clips, size, threads, out) => native().loadClips(clips, size, threads, out)

/** The memory of one batch. */
class Buffers {
  readonly clips: Uint8Array
  readonly clipBytes: number
  readonly #labels: Int32Array
  readonly #options: BatchOptions

  constructor(options: BatchOptions) {
    const { stream, batch, classes, task } = options
    this.clipBytes = stream.frames * stream.size * stream.size * 3
    this.clips = allocate(batch * this.clipBytes)
    this.#labels = new Int32Array(task === 'multi-label' ? batch * classes : batch)
    this.#options = options
  }

  /** The batch of these samples, whose clips are loaded. */
  batchOf(samples: readonly PreparedSample[]): ClipBatch {
    const { stream, classes, task } = this.#options
    const n = samples.length
    const labels = this.#labels.subarray(0, task === 'multi-label' ? n * classes : n).fill(0)
    for (const [i, sample] of samples.entries()) {
      if (task === 'single-label') labels[i] = sample.labels[0] ?? 0
      else for (const label of sample.labels) labels[i * classes + label] = 1
    }
    return { clips: this.clips.subarray(0, n * this.clipBytes), shape: [n, stream.frames, stream.size, stream.size, 3], labels }
  }
}

function allocate(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes)
  } catch (cause) {
    throw new TvnError('ERR_MEMORY', `a batch of clips takes ${bytes} bytes, more than can be had`, {
      cause,
      hint: 'a smaller batch or input takes less memory',
    })
  }
}
