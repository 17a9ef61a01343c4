import { rmSync } from 'node:fs'
import { Child, ChildEnded } from '../child.js'
import { type DecodeLimits, type DecoderChoice, reasons } from './decoder.js'
import type { Job, Outcome, Question, Ready } from './worker.js'

/** A forked process that decodes one file at a time. It ends when told to, with its parent, or when a file breaks it. */
export class DecoderProcess {
  readonly choice: DecoderChoice
  readonly detail: string
  readonly #child: Child<Question, Ready | Outcome>

  private constructor(choice: DecoderChoice, detail: string, child: Child<Question, Ready | Outcome>) {
    this.choice = choice
    this.detail = detail
    this.#child = child
  }

  /** A process that is ready to decode, or the reason why this decoder cannot be used here. */
  static async start(choice: DecoderChoice): Promise<DecoderProcess | string> {
    const child = new Child<Question, Ready | Outcome>(import.meta.url, './worker')
    const ready = (await child.ask(choice)) as Ready | ChildEnded
    if (ready instanceof ChildEnded) return `its process ended with ${ready.detail}`
    if (ready.ready) return new DecoderProcess(choice, ready.detail, child)
    child.end()
    return ready.reason
  }

  /** False once a file has broken it or `end` was called. */
  get isUsable(): boolean {
    return this.#child.isUsable
  }

  /** Never rejects: what goes wrong with a file is its outcome. An abort ends the process; the outcome then means nothing. */
  async decode(job: Job, signal?: AbortSignal): Promise<Outcome> {
    const { seconds, memoryBytes } = job.limits
    const outcome = (await this.#child.ask(job, { seconds, memoryBytes, signal })) as Outcome | ChildEnded
    if (!(outcome instanceof ChildEnded)) return outcome
    rmSync(job.target, { force: true })
    return { kind: 'failed', reason: reasonOf(outcome, job.limits) }
  }

  end(): void {
    this.#child.end()
  }
}

function reasonOf({ cause, detail }: ChildEnded, limits: DecodeLimits): string {
  switch (cause) {
    case 'crash':
      return `the decoder crashed on it (${detail})`
    case 'time':
      return reasons.time(limits)
    case 'memory':
      return reasons.memory(limits)
    case 'abort':
      return 'interrupted'
  }
}
