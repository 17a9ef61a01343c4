import { writeFileAtomic } from '../atomic.js'
import type { Quarantined } from '../data/dataset.js'
import type { Device } from '../device.js'
import type { Machine } from '../latency/machine.js'
import type { LatencyReport } from '../latency/measure.js'
import type { Metrics } from '../train/metrics.js'
import { paretoFront } from './pareto.js'
import type { StudyState } from './state.js'
import { isComplete, type Trial, type TrialState } from './trial.js'

/** What report.json holds. */
export interface Report {
  readonly study: string
  readonly version: string
  readonly seed: number
  readonly sampler: string
  readonly space: string
  readonly data: string
  readonly limits: readonly string[]
  readonly maxParams: number
  readonly workers: number
  /** Where networks were trained and evaluated. */
  readonly device: Device
  readonly machine: Pick<Machine, 'id' | 'cpu' | 'isa' | 'gpu'>
  readonly elapsedSeconds: number
  readonly trials: readonly Trial[]
  /** Trials that no other dominates in fitness and latency, fittest first. */
  readonly front: readonly number[]
  /** Null when no network met the limits and was trained. */
  readonly best: {
    readonly trial: number
    readonly fitness: number
    readonly test: Metrics | null
    readonly latency: LatencyReport
    /** Relative to the run directory. */
    readonly model: string
    readonly iterations: number
    readonly skipped?: number
    readonly weightsHash: string
  } | null
  readonly counts: Readonly<Record<Extract<TrialState, 'complete' | 'rejected' | 'pruned' | 'failed'>, number>>
  /** Trials fitter than the best network that did not become it. */
  readonly passedOver: readonly { readonly trial: number; readonly reason: string }[]
  readonly quarantined: readonly Quarantined[]
}

export function makeReport({ record, trials, passedOver, delivery, elapsed }: StudyState, quarantined: readonly Quarantined[]): Report {
  const { study, version, seed, sampler, space, data, limits, maxParams, workers, device, machine } = record
  const count = (state: TrialState) => trials.filter((trial) => trial.state === state).length
  return {
    study,
    version,
    seed,
    sampler,
    space: space.name,
    data,
    limits,
    maxParams,
    workers,
    device,
    machine: { id: machine.id, cpu: machine.cpu, isa: machine.isa, ...(machine.gpu !== undefined && { gpu: machine.gpu }) },
    elapsedSeconds: Math.round(elapsed * 10) / 10,
    trials,
    front: paretoFront(trials.filter(isComplete)).map(({ id }) => id),
    best: delivery && {
      trial: delivery.trial,
      fitness: delivery.fitness,
      test: delivery.test,
      latency: delivery.latency,
      model: 'best.safetensors',
      iterations: delivery.iterations,
      ...(delivery.skipped !== undefined && { skipped: delivery.skipped }),
      weightsHash: delivery.weightsHash,
    },
    counts: { complete: count('complete'), rejected: count('rejected'), pruned: count('pruned'), failed: count('failed') },
    passedOver: [...passedOver].map(([trial, reason]) => ({ trial, reason })),
    quarantined,
  }
}

/** Writes report.json; a reader sees the old one or the whole new one. */
export async function writeReport(file: string, report: Report): Promise<void> {
  await writeFileAtomic(file, [`${JSON.stringify(report, null, 2)}\n`])
}
