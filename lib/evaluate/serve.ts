import { TvnError } from '../errors.js'
import { Gate } from './gate.js'
import type { FromWorker, StageProgress, ToWorker } from './messages.js'

export interface TaskContext {
  /** Awaited between two steps of long work; holds it while another worker measures. */
  readonly gate: () => Promise<void>
  readonly onProgress: (progress: StageProgress) => void
}

/** What a worker can do, by task name; typed where it is made. */
export type Handlers = Readonly<Record<string, (task: never, context: TaskContext) => Promise<unknown>>>

/** Progress is sent at most so often. */
const progressMilliseconds = 200

/**
 * The life of a worker process: says `ready`, receives its setup, then does one task after the other. It ends with its coordinator, however
 * that ended, and leaves signals to it: Ctrl-C reaches the whole process group, and what becomes of a running trial is not the worker's to decide.
 */
export function serve<S>(createHandlers: (setup: S) => Handlers): void {
  const end = () => process.kill(process.pid, 'SIGKILL')
  const send = (message: FromWorker) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }
  process.on('disconnect', end)
  if (!process.connected) end()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

  let handlers: Handlers = {}
  let busy = false
  let pause = 0
  const paused = () => send({ type: 'paused', id: pause })
  const gate = new Gate(paused)
  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'setup':
        handlers = createHandlers(message.setup as S)
        return
      case 'pause':
        pause = message.id
        gate.close()
        if (!busy) paused()
        return
      case 'resume':
        gate.open()
        return
      case 'task': {
        busy = true
        const context: TaskContext = { gate: gate.pass, onProgress: throttled((progress) => send({ type: 'progress', progress })) }
        void perform(handlers, message.name, message.task, context).then((answer) => {
          busy = false
          send(answer)
        })
        return
      }
      default:
        message satisfies never
    }
  })
  send({ type: 'ready' })
}

async function perform(handlers: Handlers, name: string, task: unknown, context: TaskContext): Promise<FromWorker> {
  try {
    await context.gate()
    const handler = handlers[name]
    if (!handler) throw new Error(`this worker has no task ${name}`)
    return { type: 'done', result: await handler(task as never, context) }
  } catch (error) {
    if (process.env.TVN_VERBOSE) process.stderr.write(`${(error as Error).stack}\n`)
    if (error instanceof TvnError) return { type: 'failed', reason: error.message, code: error.code }
    if (error instanceof RangeError && /allocation|array length|buffer/i.test(error.message))
      return { type: 'failed', reason: error.message, code: 'ERR_MEMORY' }
    return { type: 'failed', reason: error instanceof Error ? error.message : String(error) }
  }
}

/** Lets a report through when the last one is old enough, or when the stage changes. */
function throttled(report: (progress: StageProgress) => void): (progress: StageProgress) => void {
  let last = Number.NEGATIVE_INFINITY
  let stage: string | undefined
  return (progress) => {
    const now = performance.now()
    if (progress.stage === stage && now - last < progressMilliseconds) return
    last = now
    stage = progress.stage
    report(progress)
  }
}
