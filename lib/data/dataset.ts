import type { Task } from '../task.js'

export type { Task }
export type Split = 'train' | 'val' | 'test'
export const splits = ['train', 'val', 'test'] as const satisfies readonly Split[]

/** One labelled video, or the part of one from `start` to `end`. */
export interface Sample {
  /** Unique in its dataset and stable between runs: the path below the root, and the part when there is one. */
  readonly id: string
  readonly path: string
  /** Seconds; absent: from the first frame. */
  readonly start?: number
  /** Seconds; absent: to the last frame. */
  readonly end?: number
  readonly labels: readonly string[]
  readonly split: Split
}

/** A file, sample or folder that is left out, and why, in one line. */
export interface Quarantined {
  readonly path: string
  readonly reason: string
}

export interface Dataset {
  readonly name: string
  readonly root: string
  /** Class names, sorted by code unit. The index of a class is its place here. */
  readonly labels: readonly string[]
  readonly task: Task
  /** Whether a mirrored video keeps its labels, so that training may mirror. */
  readonly flip: boolean
  readonly samples: readonly Sample[]
  readonly quarantined: readonly Quarantined[]
}

/** A video in the frame store: frame i is `width` · `height` · 3 bytes of RGB from `offset` + i · width · height · 3. */
export interface StoredVideo {
  readonly path: string
  readonly offset: number
  readonly frames: number
  /** Frames a second; constant over the video. */
  readonly fps: number
  readonly width: number
  readonly height: number
}

export interface PreparedSample {
  readonly id: string
  /** The source file. */
  readonly path: string
  /** Indices into the dataset's labels, ascending. */
  readonly labels: readonly number[]
  readonly video: StoredVideo
  readonly start?: number
  readonly end?: number
}

/** A dataset whose videos are decoded. Plain JSON, so that it can be sent to another process. */
export interface PreparedDataset {
  readonly name: string
  readonly labels: readonly string[]
  readonly task: Task
  readonly flip: boolean
  readonly splits: Readonly<Record<Split, readonly PreparedSample[]>>
  readonly quarantined: readonly Quarantined[]
}

export interface DataProgress {
  /** `hash`: files are read to know their content; `render`: demo clips are made; `decode`: videos are decoded into the frame store. */
  readonly phase: 'hash' | 'render' | 'decode'
  readonly done: number
  readonly total: number
  /** Seconds to the end of the phase, once it can be told. */
  readonly eta?: number
}

export interface DataOptions {
  /** Default: `cacheDirectory()`. */
  readonly cacheDir?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: DataProgress) => void) | undefined
}

/**
 * Tells progress and, from the speed so far, the time left. `already` pieces were done before and took no time now;
 * `clock` gives milliseconds.
 */
export function progressOf(
  phase: DataProgress['phase'],
  total: number,
  onProgress: DataOptions['onProgress'],
  already = 0,
  clock: () => number = () => performance.now(),
): (done: number) => void {
  const begun = clock()
  return (done) => {
    const eta = done > already ? ((clock() - begun) / (done - already) / 1000) * (total - done) : undefined
    onProgress?.({ phase, done, total, ...(eta !== undefined && { eta }) })
  }
}
