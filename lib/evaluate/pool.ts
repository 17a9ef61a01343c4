import { availableParallelism, totalmem } from 'node:os'
import { abortError } from '../abort.js'
import { type ErrorCode, TvnError } from '../errors.js'
import type { Outcome, StageProgress, TaskName, Tasks } from './messages.js'
import { type End, WorkerProcess } from './worker-process.js'

export interface PoolOptions {
  readonly workers: number
  /** Sent to every worker process once. */
  readonly setup: unknown
  /** The workers' entry; default worker.js beside this file. */
  readonly script?: URL
  /** Bytes that a worker may hold. Default: its share of four fifths of the memory. */
  readonly memoryLimit?: number
  /** Replaces the default silence of every task, for tests. */
  readonly silenceSeconds?: number
  /** Kills the workers; running tasks reject with ERR_ABORTED. */
  readonly signal?: AbortSignal
}

/** A task is given up when nothing is heard of it for so many seconds. One training step of a large network may take minutes. */
const silence: Record<TaskName, number> = { measure: 120, peak: 60, train: 600, finish: 600, seal: 60 }
/** These need a quiet machine: all others pause. */
const quiet: ReadonlySet<TaskName> = new Set<TaskName>(['measure', 'peak'])

const defaultScript = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/** Errors of what surrounds a network: nothing is held against it, the work itself cannot go on. */
const surroundings: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_FILE',
  'ERR_DATASET',
  'ERR_DECODE',
  'ERR_NO_DECODER',
  'ERR_STUDY',
  'ERR_DEVICE',
  'ERR_DEVICE_LOST',
])

/** A GPU that cannot be used any more was there when the work began. */
function surroundingCode(code: ErrorCode): ErrorCode {
  return code === 'ERR_DEVICE' ? 'ERR_DEVICE_LOST' : code
}

/** Cores that each of some workers trains with. */
export function threadsPerWorker(workers: number, cores = availableParallelism()): number {
  return Math.max(1, Math.floor(cores / workers))
}

/**
 * Worker processes for the tasks of trials. A task that throws, crashes, runs out of memory or falls silent has the outcome `ok: false` with a reason, and
 * its worker is replaced; one whose process was killed from outside is run once more, for that is not the network's fault. A full disk, data
 * that are gone, or a GPU that failed, reject.
 *
 * Measuring has the machine to itself: the pool holds back new tasks, the running ones stop at their next gate and say so, then the measurement
 * runs, then all go on.
 */
export class Pool {
  readonly #options: PoolOptions
  readonly #idle: WorkerProcess[] = []
  readonly #all: WorkerProcess[] = []
  readonly #waiting: ((worker: WorkerProcess) => void)[] = []
  /** Settled when nobody measures. */
  #silence: Promise<void> = Promise.resolve()
  #closed: TvnError | undefined
  readonly #abort = () => void this.#shut(abortError(this.#options.signal as AbortSignal))

  constructor(options: PoolOptions) {
    this.#options = options
    const { workers, setup, script = defaultScript, memoryLimit = (0.8 * memory()) / workers, signal } = options
    for (let i = 0; i < workers; i++) this.#all.push(new WorkerProcess({ script, setup, memoryLimit }))
    this.#idle.push(...this.#all)
    signal?.addEventListener('abort', this.#abort, { once: true })
    if (signal?.aborted) this.#closed = abortError(signal)
  }

  /**
   * Runs a task as soon as a worker is free. Rejects with ERR_ABORTED when the pool is closed first, and with the task's error (ERR_FILE, …) when that is
   * none of the network's; every other end is an outcome.
   */
  async run<K extends TaskName>(
    name: K,
    task: Tasks[K]['task'],
    onProgress: (progress: StageProgress) => void = () => {},
  ): Promise<Outcome<Tasks[K]['result']>> {
    this.#checkOpen()
    const worker = await this.#acquire()
    try {
      for (let attempt = 1; ; attempt++) {
        const end = quiet.has(name)
          ? await this.#measuring(worker, () => this.#perform(worker, name, task, onProgress))
          : await this.#sharing(() => this.#perform(worker, name, task, onProgress))
        if (end.kind === 'failed' && end.code && surroundings.has(end.code)) throw new TvnError(surroundingCode(end.code), end.reason)
        if (end.kind === 'closed') throw this.#closed ?? new TvnError('ERR_ABORTED', 'the worker was closed')
        if (end.kind !== 'killed' || attempt === 2) return outcome(end)
      }
    } finally {
      this.#release(worker)
    }
  }

  /** Kills the workers and waits until they are gone. */
  async close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#abort)
    await this.#shut(new TvnError('ERR_ABORTED', 'the workers were closed'))
  }

  #perform(worker: WorkerProcess, name: TaskName, task: unknown, onProgress: (progress: StageProgress) => void): Promise<End> {
    this.#checkOpen()
    return worker.perform(name, task, { silenceSeconds: this.#options.silenceSeconds ?? silence[name], onProgress })
  }

  async #sharing(perform: () => Promise<End>): Promise<End> {
    for (let current: unknown; current !== this.#silence; ) {
      current = this.#silence
      await current
    }
    return perform()
  }

  async #measuring(worker: WorkerProcess, perform: () => Promise<End>): Promise<End> {
    const before = this.#silence
    let leave = () => {}
    this.#silence = new Promise((resolve) => {
      leave = resolve
    })
    await before
    const others = this.#all.filter((other) => other !== worker)
    try {
      await Promise.all(others.map((other) => other.pause()))
      return await perform()
    } finally {
      for (const other of others) other.resume()
      leave()
    }
  }

  async #acquire(): Promise<WorkerProcess> {
    return this.#idle.pop() ?? new Promise((resolve) => this.#waiting.push(resolve))
  }

  #release(worker: WorkerProcess): void {
    const next = this.#waiting.shift()
    if (next) next(worker)
    else this.#idle.push(worker)
  }

  async #shut(reason: TvnError): Promise<void> {
    this.#closed ??= reason
    await Promise.all(this.#all.map((worker) => worker.close()))
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closed
  }
}

function outcome<T>(end: Exclude<End, { kind: 'closed' }>): Outcome<T> {
  switch (end.kind) {
    case 'done':
      return { ok: true, result: end.result as T }
    case 'failed':
      return { ok: false, reason: `${category(end.code)}: ${end.reason}`, ...(end.code && { code: end.code }) }
    case 'broken':
      return { ok: false, reason: end.reason, ...(end.code && { code: end.code }) }
    case 'killed':
      return { ok: false, reason: `${end.reason}, twice` }
    default:
      return end satisfies never
  }
}

function category(code: ErrorCode | undefined): string {
  if (code === 'ERR_DIVERGED') return 'diverged'
  return code === 'ERR_MEMORY' ? 'out of memory' : 'error'
}

/** Bytes of memory that this process and its children may use. */
function memory(): number {
  const limit = process.constrainedMemory()
  return limit !== undefined && limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}
