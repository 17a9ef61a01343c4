import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { describeFileError } from '../../atomic.js'
import { log } from '../../verbose.js'
import { type DecodeLimits, defaultLimits } from './decoder.js'
import { startDecoder } from './find.js'
import type { DecoderProcess } from './process.js'
import type { Outcome } from './worker.js'

/** Decoding processes side by side: more would only compete for the disk. */
const mostProcesses = 2

/** Decodes files in forked processes: a file that crashes, hangs or bloats its process costs that process and gets a reason. */
export class DecoderPool {
  /** How many files are decoded at once. */
  readonly processes: number
  readonly #limits: DecodeLimits
  readonly #idle: DecoderProcess[] = []
  readonly #waiting: (() => void)[] = []
  #free: number
  #isClosed = false

  /** @param processes default: 2, or 1 on a single core */
  constructor({
    limits = {},
    processes = Math.min(mostProcesses, availableParallelism()),
  }: { limits?: Partial<DecodeLimits> | undefined; processes?: number } = {}) {
    this.#limits = { ...defaultLimits, ...limits }
    this.processes = processes
    this.#free = processes
  }

  /** Decodes `file` into `target` (frame store format). Rejects with ERR_NO_DECODER. After an abort the outcome means nothing. */
  async decode(file: string, target: string, signal?: AbortSignal): Promise<Outcome> {
    const reason = await refuseFile(file, this.#limits)
    if (reason !== undefined) return { kind: 'failed', reason }
    await this.#acquire()
    try {
      const decoder = this.#idle.pop() ?? (await startDecoder())
      const begun = performance.now()
      const outcome = await decoder.decode({ file, target, limits: this.#limits }, signal)
      if (decoder.isUsable && !this.#isClosed) this.#idle.push(decoder)
      else decoder.end()
      log('decode', `${file}: ${describe(outcome)}, ${Math.round(performance.now() - begun)} ms`)
      return outcome
    } finally {
      this.#release()
    }
  }

  close(): void {
    this.#isClosed = true
    for (const decoder of this.#idle.splice(0)) decoder.end()
  }

  async #acquire(): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #release(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}

/** What can be told without decoding. */
async function refuseFile(file: string, limits: DecodeLimits): Promise<string | undefined> {
  try {
    const status = await stat(file)
    if (status.isDirectory()) return 'is a folder, not a video'
    if (!status.isFile()) return 'is not a regular file'
    if (status.size === 0) return 'empty file'
    if (status.size > limits.fileBytes) return `larger than ${Math.round(limits.fileBytes / 2 ** 20)} MB`
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : describeFileError(error)
  }
}

function describe(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'decoded':
      return `${outcome.frames} frames of ${outcome.width}×${outcome.height}`
    case 'failed':
      return outcome.reason
    case 'unwritable':
      return outcome.message
  }
}
