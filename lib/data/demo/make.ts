import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { abortError, throwIfAborted } from '../../abort.js'
import { describeFileError, writeFileAtomic } from '../../atomic.js'
import { cacheFolder, diskFull } from '../../cache.js'
import { TvnError } from '../../errors.js'
import { exists, makeFolder } from '../../folder.js'
import { removeStaleFiles } from '../../temporary.js'
import { Child, ChildEnded } from '../child.js'
import { type DataOptions, progressOf, type Split, splits } from '../dataset.js'
import { ffmpegOnPath } from '../decoder/find.js'
import type { EncoderChoice } from './encoder.js'
import { classes, planClip } from './task.js'
import type { ClipJob, Question, Result } from './worker.js'

export interface DemoOptions {
  /** Default 1. The same seed gives the same frames. */
  readonly seed?: number
  /** Default 100, 20 and 20. */
  readonly clipsPerClass?: Readonly<Record<Split, number>>
  /** A clip's, at 24 a second; default 48. */
  readonly frames?: number
}

/** Part of the folder's name: raised whenever the clips change. */
const version = 1

const mostProcesses = 8

type DemoProcess = Child<Question, Result>

/**
 * Makes the demo clips as H.264 files, `<cache>/demo-<hash>/{train,val,test}/<class>/NNN.mp4`, and returns the folder; when they
 * are there already, at once. The hash is that of the generator's version and the options. A call that was killed is gone on with by
 * the next; two at once do no harm. Throws ERR_FILE (cache not writable, disk full), ERR_NO_DECODER (nothing here encodes H.264),
 * ERR_ABORTED.
 */
export async function makeDemo(
  { seed = 1, clipsPerClass = { train: 100, val: 20, test: 20 }, frames = 48 }: DemoOptions = {},
  options: DataOptions = {},
): Promise<string> {
  const { signal, onProgress } = options
  throwIfAborted(signal)
  const settings = JSON.stringify({ version, seed, clipsPerClass: splits.map((split) => clipsPerClass[split]), frames })
  const name = `demo-${createHash('sha256').update(settings).digest('hex').slice(0, 12)}`
  const folder = await cacheFolder(options.cacheDir, name)
  const marker = path.join(folder, 'complete.json')
  if (await exists(marker)) return folder

  const jobs = await planJobs(folder, seed, clipsPerClass, frames)
  const report = progressOf('render', jobs.length, onProgress)
  let done = 0
  report(done)
  await runJobs(jobs, signal, () => report(++done))
  await writeFileAtomic(marker, [settings])
  return folder
}

async function planJobs(folder: string, seed: number, clipsPerClass: Readonly<Record<Split, number>>, frames: number): Promise<ClipJob[]> {
  const jobs: ClipJob[] = []
  for (const split of splits) {
    for (const kind of classes) {
      const classFolder = path.join(folder, split, kind)
      await makeFolder(classFolder).catch((cause) => {
        throw cause.code === 'ENOSPC' ? diskFull(folder) : new TvnError('ERR_FILE', `${classFolder}: ${describeFileError(cause)}`, { cause })
      })
      await removeStaleFiles(classFolder)
      for (let index = 0; index < clipsPerClass[split]; index++) {
        jobs.push({ file: path.join(classFolder, `${String(index).padStart(3, '0')}.mp4`), plan: planClip(seed, split, kind, index), frames })
      }
    }
  }
  return jobs
}

async function runJobs(jobs: readonly ClipJob[], signal: AbortSignal | undefined, onDone: () => void): Promise<void> {
  const first = await startProcess()
  const count = Math.max(1, Math.min(mostProcesses, availableParallelism(), jobs.length))
  const pending = jobs.values()
  const others = new AbortController()
  const stop = signal ? AbortSignal.any([signal, others.signal]) : others.signal
  const work = async (given?: DemoProcess): Promise<void> => {
    let child = given
    try {
      for (const job of pending) {
        if (stop.aborted) return
        if (!(await exists(job.file))) {
          if (!child?.isUsable) child = await startProcess()
          await makeClip(child, job, stop)
        }
        onDone()
      }
    } catch (error) {
      others.abort()
      throw error
    } finally {
      child?.end()
    }
  }
  const results = await Promise.allSettled(Array.from({ length: count }, (_, i) => (i === 0 ? work(first) : work())))
  if (signal?.aborted) throw abortError(signal)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function makeClip(child: DemoProcess, job: ClipJob, signal: AbortSignal): Promise<void> {
  const result = await child.ask(job, { signal, seconds: 120 })
  if (result instanceof ChildEnded) {
    if (result.cause === 'abort') return
    throw new TvnError('ERR_DATASET', `the demo clip ${job.file} cannot be made: its process ended (${result.cause} ${result.detail})`)
  }
  if (result.ok) return
  if (result.code === 'ENOSPC') throw diskFull(path.dirname(job.file))
  throw new TvnError('ERR_DATASET', `the demo clip ${job.file} cannot be made: ${result.reason}`)
}

/** A process that encodes with node-av or, where that is missing, with the `ffmpeg` program. */
async function startProcess(): Promise<DemoProcess> {
  const nodeAv = await tryEncoder({ kind: 'node-av' })
  if (typeof nodeAv !== 'string') return nodeAv
  const program = process.env.FFMPEG_PATH || (await ffmpegOnPath())
  const ffmpeg = program === undefined ? 'there is none on the PATH' : await tryEncoder({ kind: 'ffmpeg', program })
  if (typeof ffmpeg !== 'string') return ffmpeg
  throw new TvnError('ERR_NO_DECODER', `the demo clips need an H.264 encoder: node-av cannot be used (${nodeAv}), nor ffmpeg (${ffmpeg})`, {
    hint: 'run npm install with optional dependencies, or install ffmpeg',
  })
}

async function tryEncoder(choice: EncoderChoice): Promise<DemoProcess | string> {
  const child: DemoProcess = new Child(import.meta.url, './worker')
  const result = await child.ask(choice)
  if (!(result instanceof ChildEnded) && result.ok) return child
  child.end()
  return result instanceof ChildEnded ? `its process ended with ${result.detail}` : result.ok ? '' : result.reason
}
