import { spawnSync } from 'node:child_process'
import { serve } from '../lib/evaluate/serve.js'
import { measuringCore } from '../lib/latency/machine.js'
import { type CpuPrecision, native } from '../lib/native.js'
import type { Contender } from './contenders.js'
import type { Load, Running } from './engines/engine.js'
import { collectGarbage } from './garbage.js'

/** What a contender's process is asked, and what it answers. It does nothing between two questions. */
export interface Questions {
  /** Loads the contender. */
  load: { readonly task: Contender; readonly result: null }
  /** Runs it for the first time. */
  first: { readonly task: null; readonly result: First }
  /** Runs it for so long, at least once; resolves to the milliseconds of each run. */
  turn: { readonly task: { readonly milliseconds: number }; readonly result: Turn }
  /** Peak of one core in GFLOP/s. */
  peak: { readonly task: { readonly milliseconds: number; readonly precision: CpuPrecision }; readonly result: Turn }
}

export interface Turn {
  /** Milliseconds of each run, or one figure of the peak. */
  readonly figures: readonly number[]
  /** Seconds of all cores that the process used for it. */
  readonly cpuSeconds: number
}

export interface First {
  readonly output: readonly number[]
  /** Caches are cold, and some engines prepare their kernels only now. */
  readonly ms: number
}

/** A shorter run is preceded by one that is not timed: it refills the caches that the contender before has emptied, and wakes the threads. */
const refillMilliseconds = 100

/** The life of a contender's process; `loaders` gives the engine's loader. */
export function serveContender(loaders: (engine: Contender['engine']) => Promise<Load>): void {
  let running: Running | undefined
  let last = 0
  const timed = async (): Promise<number> => {
    const begin = performance.now()
    await running?.run()
    last = performance.now() - begin
    return last
  }
  const load = async (contender: Contender): Promise<null> => {
    running = await (await loaders(contender.engine))(contender)
    collectGarbage() // what loading has left behind, copies of the weights above all
    if (contender.threads === 1) pin()
    return null
  }
  const first = async (): Promise<First> => {
    const begin = performance.now()
    const output = Array.from((await running?.output()) ?? [])
    last = performance.now() - begin
    return { output, ms: last }
  }
  const turn = ({ milliseconds }: Questions['turn']['task']): Promise<Turn> =>
    withCpu(async () => {
      if (last < refillMilliseconds) await timed()
      const ms: number[] = []
      for (let total = 0; total < milliseconds; total += last) ms.push(await timed())
      return ms
    })
  let pinned = false
  const peak = ({ milliseconds, precision }: Questions['peak']['task']): Promise<Turn> => {
    if (!pinned) pin()
    pinned = true
    return withCpu(async () => [await native().measurePeak(milliseconds, precision)])
  }
  serve(() => ({ load, first, turn, peak }))
}

async function withCpu(measure: () => Promise<readonly number[]>): Promise<Turn> {
  const before = process.cpuUsage()
  const figures = await measure()
  const { user, system } = process.cpuUsage(before)
  return { figures, cpuSeconds: (user + system) / 1e6 }
}

/** Keeps this process, all its threads, on the core that latencies are measured on; where the system has no `taskset`, the process stays free. */
function pin(): void {
  const core = measuringCore()
  if (core >= 0) spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(process.pid)], { stdio: 'ignore' })
}
