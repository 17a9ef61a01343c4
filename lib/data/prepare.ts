import { rename } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { abortError, throwIfAborted } from '../abort.js'
import { cacheFolder, diskFull } from '../cache.js'
import { TvnError } from '../errors.js'
import { temporaryFile } from '../temporary.js'
import { hashFiles, sha256 } from './content-hash.js'
import {
  type DataOptions,
  type Dataset,
  type PreparedDataset,
  type PreparedSample,
  progressOf,
  type Quarantined,
  type Sample,
  type Split,
  type StoredVideo,
  splits,
} from './dataset.js'
import { type DecodeLimits, frameFilters } from './decoder/decoder.js'
import { maxRate } from './decoder/frame-grid.js'
import { DecoderPool } from './decoder/pool.js'
import { readFrameFile, storeVersion } from './frame-store.js'
import { requireUsable } from './open.js'
import { keepTrainable } from './split.js'

export interface PrepareOptions extends DataOptions {
  /** What one file may cost; the rest as in `defaultLimits`. */
  readonly limits?: Partial<DecodeLimits> | undefined
}

/**
 * Decodes every video of a dataset into the frame store, `<cache>/frames`, unless its content is there already. Files that cannot
 * be decoded are added to `quarantined`, each with its reason. What was decoded stays when the call is killed, aborted or
 * finds the disk full; the next call goes on from there; several at once share the store.
 * Throws ERR_DATASET when a class or split has nothing left, ERR_FILE (cache not writable, disk full), ERR_NO_DECODER, ERR_ABORTED.
 */
export async function prepareDataset(dataset: Dataset, options: PrepareOptions = {}): Promise<PreparedDataset> {
  const { name, root, task, flip } = dataset
  throwIfAborted(options.signal)
  const quarantined = [...dataset.quarantined]
  const videos = await decodeAll(dataset, options, quarantined)
  const decoded = dataset.samples.filter((sample) => {
    const video = videos.get(sample.path)
    if (video === undefined) return false
    const seconds = video.frames / video.fps
    if ((sample.start ?? 0) < seconds) return true
    quarantined.push({ path: sample.path, reason: `its part starts at ${sample.start} s, but the video ends at ${seconds.toFixed(2)} s` })
    return false
  })
  const { labels, samples, quarantined: untrainable } = keepTrainable(decoded, task)
  quarantined.push(...untrainable)
  const given = splits.filter((split) => dataset.samples.some((sample) => sample.split === split))
  requireUsable(root, labels, task, samples, quarantined, given)
  const indexOf = new Map(labels.map((label, i) => [label, i]))
  const prepare = (sample: Sample): PreparedSample => ({
    id: sample.id,
    path: sample.path,
    labels: sample.labels.map((label) => indexOf.get(label) as number).sort((a, b) => a - b),
    video: videos.get(sample.path) as StoredVideo,
    ...(sample.start !== undefined && { start: sample.start }),
    ...(sample.end !== undefined && { end: sample.end }),
  })
  const bySplit = (split: Split): PreparedSample[] => samples.filter((sample) => sample.split === split).map(prepare)
  return { name, labels, task, flip, splits: { train: bySplit('train'), val: bySplit('val'), test: bySplit('test') }, quarantined }
}

/** Stored files depend on these and on the content alone. */
const decodeSettings = JSON.stringify([storeVersion, frameFilters, maxRate])

/** The stored video of each file that can be decoded; the others are quarantined. */
async function decodeAll(dataset: Dataset, options: PrepareOptions, quarantined: Quarantined[]): Promise<Map<string, StoredVideo>> {
  const { cacheDir, onProgress } = options
  const contents = await hashFiles(
    dataset.root,
    dataset.samples.map((sample) => sample.path),
    { ...options, onProgress: undefined },
  )
  const folder = await cacheFolder(cacheDir, 'frames')
  const filesOf = new Map<string, string[]>()
  for (const [file, content] of contents) {
    if ('reason' in content) quarantined.push({ path: file, reason: content.reason })
    else filesOf.set(content.hash, [...(filesOf.get(content.hash) ?? []), file])
  }
  const videos = new Map<string, StoredVideo>()
  const missing: StoreJob[] = []
  for (const [hash, files] of filesOf) {
    const stored = path.join(folder, `${sha256(hash + decodeSettings).slice(0, 32)}.frames`)
    const video = readFrameFile(stored)
    if ((videos.size + missing.length) % 64 === 0) await setImmediate()
    if (video === undefined) missing.push({ stored, files })
    else for (const file of files) videos.set(file, video)
  }
  const report = progressOf('decode', filesOf.size, onProgress, filesOf.size - missing.length)
  let done = filesOf.size - missing.length
  report(done)
  await storeMissing(missing, options, folder, ({ files }, result) => {
    for (const file of files) {
      if (typeof result === 'string') quarantined.push({ path: file, reason: result })
      else videos.set(file, result)
    }
    report(++done)
  })
  return videos
}

interface StoreJob {
  readonly stored: string
  /** Files with this content. */
  readonly files: readonly string[]
}

/** Decodes with a pool of processes; each job's result is its video or the reason why there is none. */
async function storeMissing(
  jobs: readonly StoreJob[],
  options: PrepareOptions,
  folder: string,
  onResult: (job: StoreJob, result: StoredVideo | string) => void,
): Promise<void> {
  const { signal, limits } = options
  const pool = new DecoderPool({ limits })
  const failure = new AbortController()
  const stop = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal
  const pending = jobs.values()
  const work = async (): Promise<void> => {
    for (const job of pending) {
      if (stop.aborted) return
      const result = await store(job, pool, folder, stop)
      if (stop.aborted) return
      onResult(job, result)
    }
  }
  const attempts = Array.from({ length: pool.processes }, async () => {
    try {
      await work()
    } catch (error) {
      failure.abort()
      throw error
    }
  })
  const results = await Promise.allSettled(attempts)
  pool.close()
  if (signal?.aborted) throw abortError(signal)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function store({ stored, files }: StoreJob, pool: DecoderPool, folder: string, signal: AbortSignal): Promise<StoredVideo | string> {
  const temporary = temporaryFile(stored)
  const outcome = await pool.decode(files[0] as string, temporary, signal)
  if (outcome.kind === 'failed') return outcome.reason
  if (outcome.kind === 'unwritable')
    throw outcome.code === 'ENOSPC' ? diskFull(folder) : new TvnError('ERR_FILE', `${folder}: the frame store cannot be written, ${outcome.message}`)
  await rename(temporary, stored)
  const video = readFrameFile(stored)
  if (video === undefined) throw new TvnError('ERR_FILE', `${stored}: the decoded frames cannot be read back`)
  return video
}
