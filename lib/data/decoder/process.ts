import type { ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import { forkBeside, residentBytes } from '../child.js'
import { type DecoderChoice, reasons } from './decoder.js'
import type { Job, Outcome, Ready } from './worker.js'

/** The worker also watches its own time; this is for one that does not come back. */
const memoryCheckMs = 200

/** A forked process that decodes one file at a time. It ends when told to, with its parent, or when a file breaks it. */
export class DecoderProcess {
  readonly choice: DecoderChoice
  readonly detail: string
  readonly #child: ChildProcess
  #hasEnded = false

  private constructor(choice: DecoderChoice, detail: string, child: ChildProcess) {
    this.choice = choice
    this.detail = detail
    this.#child = child
    child.once('exit', () => (this.#hasEnded = true))
  }

  /** A process that is ready to decode, or the reason why this decoder cannot be used here. */
  static async start(choice: DecoderChoice): Promise<DecoderProcess | string> {
    const child = forkBeside(import.meta.url, './worker')
    const ready = await new Promise<Ready>((resolve) => {
      child.once('error', ({ message }) => resolve({ ready: false, reason: message }))
      child.once('exit', (code, signal) => resolve({ ready: false, reason: `its process ended with ${signal ?? code}` }))
      child.once('message', (message) => resolve(message as Ready))
      child.send(choice, () => {})
    })
    if (ready.ready) return new DecoderProcess(choice, ready.detail, child)
    child.kill('SIGKILL')
    return ready.reason
  }

  /** False once a file has broken it or `end` was called. */
  get isUsable(): boolean {
    return !this.#hasEnded && this.#child.connected
  }

  /** Never rejects: what goes wrong with a file is its outcome. An abort kills the process; the outcome then means nothing. */
  async decode(job: Job, signal?: AbortSignal): Promise<Outcome> {
    const child = this.#child
    child.ref()
    child.channel?.ref()
    const outcome = await new Promise<Outcome>((resolve) => {
      const fail = (reason: string): void => {
        this.end()
        done({ kind: 'failed', reason })
      }
      const onMessage = (message: unknown): void => done(message as Outcome)
      const onExit = (code: number | null, killed: string | null): void => fail(`the decoder crashed (${killed ?? `exit code ${code}`})`)
      const onAbort = (): void => fail('interrupted')
      const timeout = setTimeout(() => fail(reasons.time(job.limits)), job.limits.seconds * 1000)
      const memory = setInterval(() => {
        if ((residentBytes(child.pid ?? 0) ?? 0) > job.limits.memoryBytes) fail(reasons.memory(job.limits))
      }, memoryCheckMs)
      const done = (result: Outcome): void => {
        clearTimeout(timeout)
        clearInterval(memory)
        child.off('message', onMessage).off('exit', onExit)
        signal?.removeEventListener('abort', onAbort)
        resolve(result)
      }
      child.on('message', onMessage).on('exit', onExit)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
      else child.send(job, (error) => error && fail(`the decoder crashed (${error.message})`))
    })
    child.unref()
    child.channel?.unref()
    // a process that was killed leaves its file half written
    if (!this.isUsable) rmSync(job.target, { force: true })
    return outcome
  }

  end(): void {
    this.#hasEnded = true
    this.#child.kill('SIGKILL')
  }
}
