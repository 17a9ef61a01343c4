import { readFileSync } from 'node:fs'

/** Clock ticks a second in what Linux tells: 100 on every platform that Node runs on. */
const ticksPerSecond = 100

/**
 * How many cores others keep busy while we measure, on average: all work of the machine, and what its hypervisor gave to other machines, less our own.
 */
export class LoadAverage {
  #seconds = 0
  #others = 0
  #start = { at: 0, busy: 0, ours: 0 }

  /** Starts a period. `ours`: seconds of cores that we have used so far. */
  begin(ours: number): void {
    this.#start = { at: performance.now(), busy: busySeconds(), ours }
  }

  /** Ends the period. */
  end(ours: number): void {
    this.#seconds += (performance.now() - this.#start.at) / 1000
    this.#others += Math.max(0, busySeconds() - this.#start.busy - (ours - this.#start.ours))
  }

  /** Over all periods; NaN where the system does not tell. */
  get average(): number {
    return this.#others / this.#seconds
  }
}

/** Seconds that all cores have worked since they started: user, nice, system, interrupts, stolen. */
function busySeconds(): number {
  try {
    const [user, nice, system, , , irq, softirq, steal] = (/^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '').split(' ').map(Number)
    return [user, nice, system, irq, softirq, steal].reduce((sum: number, ticks) => sum + (ticks ?? Number.NaN), 0) / ticksPerSecond
  } catch {
    return Number.NaN
  }
}
