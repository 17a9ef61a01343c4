import type { ChildProcess } from 'node:child_process'
import { forkModule, residentBytes } from '../child-process.js'
import type { ErrorCode } from '../errors.js'
import type { FromWorker, StageProgress, ToWorker } from './messages.js'

export interface WorkerProcessOptions {
  /** The worker's entry, a module that calls `serve`; a .ts file runs under tsx. */
  readonly script: URL
  /** Sent to it once. */
  readonly setup: unknown
  /** It is killed when it holds more bytes than this. */
  readonly memoryLimit: number
}

/** How a task ended. */
export type End =
  | { readonly kind: 'done'; readonly result: unknown }
  /** The task threw. */
  | { readonly kind: 'failed'; readonly reason: string; readonly code?: ErrorCode }
  /** The process broke down: a crash in native code, an exit, too much memory, or silence. */
  | { readonly kind: 'broken'; readonly reason: string; readonly code?: ErrorCode }
  /** Someone else ended the process. */
  | { readonly kind: 'killed'; readonly reason: string }
  /** `close` ended it. */
  | { readonly kind: 'closed' }

export interface PerformOptions {
  /** The process is killed when nothing is heard of it for so long; pauses do not count. */
  readonly silenceSeconds: number
  readonly onProgress: (progress: StageProgress) => void
}

/** Signals that only come from outside; whatever else ends a process is its own fault. */
const foreign: ReadonlySet<string> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'])
const memoryCheckMilliseconds = 500
const keptOutput = 2000

/** One worker process and its task, one at a time. It is started with the first task and again after it broke down. */
export class WorkerProcess {
  readonly #options: WorkerProcessOptions
  #child: ChildProcess | undefined
  #output = ''
  #finish: ((end: End) => void) | undefined
  #onProgress: (progress: StageProgress) => void = () => {}
  #silenceSeconds = 0
  #silence: NodeJS.Timeout | undefined
  #memory: NodeJS.Timeout | undefined
  /** Why this side killed it. */
  #killed: End | undefined
  #pause: { readonly id: number; readonly resolve: () => void } | undefined
  #pauses = 0

  constructor(options: WorkerProcessOptions) {
    this.#options = options
  }

  get busy(): boolean {
    return this.#finish !== undefined
  }

  async perform(name: string, task: unknown, { silenceSeconds, onProgress }: PerformOptions): Promise<End> {
    const end = new Promise<End>((resolve) => {
      this.#finish = resolve
    })
    this.#onProgress = onProgress
    this.#silenceSeconds = silenceSeconds
    this.#child ??= this.#start()
    this.#listen()
    this.#send({ type: 'task', name, task })
    return end
  }

  /** Resolves when the task has stopped at a gate, or has ended. */
  async pause(): Promise<void> {
    if (!this.#child || !this.busy) return
    await new Promise<void>((resolve) => {
      this.#pause = { id: ++this.#pauses, resolve }
      this.#send({ type: 'pause', id: this.#pauses })
    })
  }

  resume(): void {
    this.#send({ type: 'resume' })
    if (this.busy) this.#listen()
  }

  /** Kills the process; resolves when it is gone. */
  async close(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    this.#kill({ kind: 'closed' })
    await gone
  }

  #start(): ChildProcess {
    const { script, setup, memoryLimit } = this.#options
    const child = forkModule(script, 'pipe')
    this.#output = ''
    this.#killed = undefined
    child.stderr?.on('data', (text: Buffer) => {
      this.#output = (this.#output + text.toString()).slice(-keptOutput)
      if (process.env.TVN_VERBOSE) process.stderr.write(text)
    })
    child.on('message', (message: FromWorker) => this.#receive(message))
    // A process that cannot be started, or whose channel broke: `exit` follows in the second case only.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#gone({ kind: 'broken', reason: `worker: ${error.message}` })
    })
    child.on('exit', (code, signal) => this.#gone(this.#killed ?? this.#explain(code, signal)))
    this.#memory = setInterval(() => {
      if (residentBytes(child.pid) > memoryLimit)
        this.#kill({ kind: 'broken', reason: `out of memory: it took more than ${Math.round(memoryLimit / 2 ** 20)} MiB`, code: 'ERR_MEMORY' })
    }, memoryCheckMilliseconds)
    this.#child = child
    this.#send({ type: 'setup', setup })
    return child
  }

  #receive(message: FromWorker): void {
    if (this.busy) this.#listen()
    switch (message.type) {
      case 'ready':
        return
      case 'progress':
        return this.#onProgress(message.progress)
      case 'paused':
        clearTimeout(this.#silence)
        if (message.id === this.#pause?.id) this.#paused()
        return
      case 'done':
        return this.#end({ kind: 'done', result: message.result })
      case 'failed':
        return this.#end({ kind: 'failed', reason: message.reason, ...(message.code && { code: message.code }) })
      default:
        message satisfies never
    }
  }

  /** Starts waiting for a sign of life anew. */
  #listen(): void {
    clearTimeout(this.#silence)
    const seconds = this.#silenceSeconds
    this.#silence = setTimeout(() => this.#kill({ kind: 'broken', reason: `timeout: nothing heard of it for ${seconds} s` }), seconds * 1000)
  }

  #gone(end: End): void {
    clearInterval(this.#memory)
    this.#child = undefined
    this.#end(end)
  }

  #end(end: End): void {
    clearTimeout(this.#silence)
    const finish = this.#finish
    this.#finish = undefined
    finish?.(end)
    this.#paused()
  }

  #paused(): void {
    this.#pause?.resolve()
    this.#pause = undefined
  }

  #kill(reason: End): void {
    this.#killed ??= reason
    this.#child?.kill('SIGKILL')
  }

  #send(message: ToWorker): void {
    // A process that is just ending is dealt with when its `exit` arrives.
    this.#child?.send(message, () => {})
  }

  #explain(code: number | null, signal: string | null): End {
    const said = lastLine(this.#output)
    if (signal !== null)
      return foreign.has(signal) ? { kind: 'killed', reason: `killed: by ${signal}` } : { kind: 'broken', reason: `crashed: ${signal}${said}` }
    return { kind: 'broken', reason: `crashed: exit code ${code}${said}` }
  }
}

function lastLine(output: string): string {
  const line = output
    .trimEnd()
    .split('\n')
    .findLast((text) => /\S/.test(text) && !/^\s+at |^Node\.js v/.test(text))
  return line ? `, ${line.trim().slice(0, 200)}` : ''
}
