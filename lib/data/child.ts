import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { forkModule, residentBytes } from '../child-process.js'
import { isVerbose } from '../verbose.js'

/** A child that answers no more: it crashed, or was ended because it took too long, too much memory, or was not wanted any more. */
export class ChildEnded {
  readonly cause: 'crash' | 'time' | 'memory' | 'abort'
  /** For people: the signal or exit code of a crash. */
  readonly detail: string

  constructor(cause: ChildEnded['cause'], detail = '') {
    this.cause = cause
    this.detail = detail
  }
}

export interface AskLimits {
  /** By the clock on the wall; default: no limit. */
  readonly seconds?: number
  /** Resident memory of the child; default: no limit. */
  readonly memoryBytes?: number
  /** Ends the child. */
  readonly signal?: AbortSignal | undefined
}

const memoryCheckMs = 200

/**
 * A forked process that answers one question at a time, so that code which may crash, hang or bloat does so elsewhere.
 * While nothing is asked it does not keep this process alive. It ends with this process (see `answer`).
 */
export class Child<Question extends object, Answer> {
  readonly #process: ChildProcess
  #hasEnded = false

  /**
   * Forks a module beside the caller's, e.g. `new Child(import.meta.url, './worker')`: the compiled one from compiled code, the
   * TypeScript one from sources. Its stderr is shown when TVN_VERBOSE asks for `decode`.
   */
  constructor(url: string, module: string) {
    const extension = path.extname(fileURLToPath(url))
    this.#process = forkModule(new URL(`${module}${extension}`, url), isVerbose('decode') ? 'inherit' : 'ignore')
    this.#process.once('exit', () => (this.#hasEnded = true))
    this.#process.on('error', () => this.end())
    this.#unref()
  }

  /** False once it crashed or was ended. */
  get isUsable(): boolean {
    return !this.#hasEnded && this.#process.connected
  }

  /** Never rejects. */
  async ask(question: Question, { seconds, memoryBytes, signal }: AskLimits = {}): Promise<Answer | ChildEnded> {
    const child = this.#process
    child.ref()
    child.channel?.ref()
    const answer = await new Promise<Answer | ChildEnded>((resolve) => {
      const fail = (cause: ChildEnded['cause'], detail?: string): void => {
        this.end()
        done(new ChildEnded(cause, detail))
      }
      const onMessage = (message: unknown): void => done(message as Answer)
      const onExit = (code: number | null, killed: string | null): void => fail('crash', killed ?? `exit code ${code}`)
      const onAbort = (): void => fail('abort')
      const timeout = seconds === undefined ? undefined : setTimeout(() => fail('time'), seconds * 1000)
      const checkMemory = (): void => {
        if (memoryBytes !== undefined && residentBytes(child.pid) > memoryBytes) fail('memory')
      }
      const memory = memoryBytes === undefined ? undefined : setInterval(checkMemory, memoryCheckMs)
      const done = (result: Answer | ChildEnded): void => {
        clearTimeout(timeout)
        clearInterval(memory)
        child.off('message', onMessage).off('exit', onExit)
        signal?.removeEventListener('abort', onAbort)
        resolve(result)
      }
      child.on('message', onMessage).on('exit', onExit)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
      // a child that is gone tells its exit, with the signal, just after this fails
      else child.send(question, (error) => error && setTimeout(() => fail('crash', error.message), 100))
      checkMemory() // it may have grown before
    })
    this.#unref()
    return answer
  }

  end(): void {
    this.#hasEnded = true
    this.#process.kill('SIGKILL')
  }

  #unref(): void {
    this.#process.unref()
    this.#process.channel?.unref()
  }
}

/** In the forked process: answers each question in turn, leaves Ctrl-C (which a terminal sends to both) to the parent, and ends with it. */
export function answer(reply: (question: unknown) => Promise<unknown>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('SIGINT', () => {})
  process.on('message', (question) => void reply(question).then((given) => process.send?.(given)))
}

const parent = process.ppid

/** True once the process that forked this one is gone. For loops that do not return to the event loop. */
export function isOrphan(): boolean {
  return process.ppid !== parent
}
