import { totalmem } from 'node:os'
import { TvnError } from '../lib/errors.js'
import { WorkerProcess } from '../lib/evaluate/worker-process.js'
import type { CpuPrecision } from '../lib/native.js'
import { type Contender, nameOf } from './contenders.js'
import type { First, Questions, Turn } from './serve.js'
import { summarize } from './statistics.js'

/** A contender, or the measuring of the peak, is given up when its process is silent for so many seconds. */
export interface Patience {
  readonly load: number
  readonly turn: number
}

export const defaultPatience: Patience = { load: 300, turn: 120 }

/** The entry of contenders' processes. */
export const defaultScript = new URL('./engines/entry.ts', import.meta.url)

/** A fresh process that loads one contender and then runs it when it is its turn. What breaks it is its own `failure`, nobody else's. */
export class ContenderProcess {
  readonly contender: Contender
  /** Milliseconds of all timed runs. */
  readonly times: number[] = []
  first: First | undefined
  /** How far its output is away from the others', as a share of the largest; 0 where it is the one they are compared with. */
  difference = 0
  /** Why it is out. */
  failure: string | undefined
  /** Milliseconds that its turns took in all. */
  spent = 0
  /** Seconds of all cores that they used. */
  cpuSeconds = 0
  readonly #process: WorkerProcess
  readonly #patience: Patience

  constructor(contender: Contender, { script = defaultScript, patience = defaultPatience }: { readonly script?: URL; readonly patience?: Patience } = {}) {
    this.contender = contender
    this.#process = new WorkerProcess({ script, setup: null, memoryLimit: 0.8 * totalmem() })
    this.#patience = patience
  }

  get name(): string {
    return nameOf(this.contender)
  }

  async load(): Promise<void> {
    await this.#ask('load', this.contender, this.#patience.load)
  }

  async run(): Promise<void> {
    this.first = await this.#ask('first', null, this.#patience.turn)
  }

  async turn(milliseconds: number): Promise<void> {
    const begin = performance.now()
    const turn = await this.#ask('turn', { milliseconds }, this.#patience.turn)
    this.times.push(...(turn?.figures ?? []))
    this.cpuSeconds += turn?.cpuSeconds ?? 0
    this.spent += performance.now() - begin
  }

  close(): Promise<void> {
    return this.#process.close()
  }

  async #ask<K extends 'load' | 'first' | 'turn'>(
    question: K,
    task: Questions[K]['task'],
    silenceSeconds: number,
  ): Promise<Questions[K]['result'] | undefined> {
    const end = await this.#process.perform(question, task, { silenceSeconds, onProgress: () => {} })
    if (end.kind === 'done') return end.result as Questions[K]['result']
    this.failure = end.kind === 'closed' ? 'interrupted' : end.reason
    await this.close()
    return undefined
  }
}

/** A process that measures the peak of one core, a turn like the others'. */
export class PeakProcess {
  cpuSeconds = 0
  readonly #figures: ReadonlyMap<CpuPrecision, number[]>
  readonly #process = new WorkerProcess({ script: defaultScript, setup: null, memoryLimit: 0.8 * totalmem() })

  constructor(precisions: readonly CpuPrecision[]) {
    this.#figures = new Map(precisions.map((precision) => [precision, []]))
  }

  /** Measures the peak of every precision. Throws when the process fails: without a peak there is no floor. */
  async measure(milliseconds: number): Promise<void> {
    for (const [precision, figures] of this.#figures) {
      const end = await this.#process.perform('peak', { milliseconds, precision }, { silenceSeconds: defaultPatience.turn, onProgress: () => {} })
      if (end.kind === 'closed') throw new TvnError('ERR_ABORTED', 'interrupted')
      if (end.kind !== 'done') throw new TvnError('ERR_NATIVE', `the peak cannot be measured: ${end.reason}`)
      const turn = end.result as Turn
      figures.push(...turn.figures)
      this.cpuSeconds += turn.cpuSeconds
    }
  }

  /** Medians so far, GFLOP/s. */
  medians(): Partial<Record<CpuPrecision, number>> {
    return Object.fromEntries([...this.#figures].map(([precision, figures]) => [precision, summarize(figures).median]))
  }

  close(): Promise<void> {
    return this.#process.close()
  }
}
