import type { StageProgress } from '../evaluate/messages.js'
import { type Pool, threadsPerWorker } from '../evaluate/pool.js'
import { evaluateTrial } from '../evaluate/trial.js'
import { type LatencyReport, reportsOf } from '../latency/measure.js'
import type { RunFolder } from './run-folder.js'
import { lag, type Study, trainingSeed } from './study.js'
import { isFinal, type Trial } from './trial.js'

export interface RunOptions {
  readonly study: Study
  readonly pool: Pick<Pool, 'run'>
  readonly folder: RunFolder
  readonly classes: number
  /** Ids of the machine that this runs on, as its devices see it. */
  readonly machines: ReadonlySet<string>
  readonly onProgress: (trial: number, progress: StageProgress) => void
}

export function measuredHere(latency: LatencyReport, machines: ReadonlySet<string>): boolean {
  return reportsOf(latency).every(({ machine }) => machines.has(machine))
}

/** Time for sampling a trial's latency; an uncertain verdict gets it twice. */
export const measureSeconds = 5

/**
 * Proposes and evaluates until the trials are used up or the time is over, as many at the same time as there are workers. Trial k begins when all trials
 * ≤ k − `lag` have ended: what k is made of does not depend on who was faster. Trials that an earlier run left unfinished are evaluated again from their
 * proposal.
 */
export async function runTrials({ study, pool, folder, classes, machines, onProgress }: RunOptions): Promise<void> {
  const { record } = study.state
  const threads = threadsPerWorker(record.workers)
  const running = new Map<number, Promise<void>>()
  const begin = (trial: Trial) => {
    const { id } = trial
    const latency = trial.latency && measuredHere(trial.latency, machines) ? trial.latency : null // a figure of another machine is measured again
    const steps = {
      measure: () =>
        pool.run('measure', { network: trial.network, classes, device: record.device, limits: record.limits, maxSeconds: measureSeconds }, (progress) =>
          onProgress(id, progress),
        ),
      train: () =>
        pool.run(
          'train',
          {
            network: trial.network,
            seed: trainingSeed(record.seed, id),
            iterations: record.iterations,
            device: record.device,
            threads,
            file: folder.trial(id),
          },
          (progress) => onProgress(id, progress),
        ),
    }
    const evaluation = evaluateTrial({ ...trial, latency }, record.maxParams, steps, (event) => study.tell(event)).finally(() => running.delete(id))
    evaluation.catch(() => {}) // awaited below; until then a failure is nobody's
    running.set(id, evaluation)
  }

  for (const trial of study.state.trials.filter((unfinished) => !isFinal(unfinished))) begin(trial)
  for (;;) {
    const k = study.state.trials.length
    if (k >= record.trials || study.state.stopped !== null) break
    if (record.time !== null && study.elapsed > record.time) {
      study.tell({ kind: 'stopped', reason: `the time of ${record.time} s is over` })
      break
    }
    if (running.size >= record.workers || [...running.keys()].some((id) => id <= k - lag(record.workers))) {
      // any of the running may fail for good, and then nothing goes on
      await Promise.race(running.values())
      continue
    }
    study.propose(classes)
    begin(study.state.trials[k] as Trial)
  }
  await Promise.all(running.values())
}
