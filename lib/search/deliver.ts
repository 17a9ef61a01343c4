import { latencyReason } from '../evaluate/constraints.js'
import type { StageProgress } from '../evaluate/messages.js'
import { type Pool, threadsPerWorker } from '../evaluate/pool.js'
import type { RunFolder } from './run-folder.js'
import { measureSeconds } from './run-trials.js'
import { type Study, trainingSeed } from './study.js'
import { byFitness, type CompleteTrial, isComplete } from './trial.js'

export interface DeliverOptions {
  readonly study: Study
  readonly pool: Pick<Pool, 'run'>
  readonly folder: RunFolder
  readonly classes: number
  readonly onProgress: (trial: number, progress: StageProgress) => void
}

/**
 * Makes the best trial the study's result: its latency is measured once more, then it is trained on from its weights, evaluated and saved. One that does not meet the limits
 * this time, or fails in training, is passed over for the next best. Without any, nothing is delivered.
 */
export async function deliver({ study, pool, folder, classes, onProgress }: DeliverOptions): Promise<void> {
  const { record } = study.state
  for (const trial of study.state.trials.filter(isComplete).sort(byFitness)) {
    if (study.state.delivery !== null) return
    if (study.state.passedOver.has(trial.id)) continue
    const reason = (await confirm(trial)) ?? (await finish(trial))
    if (reason !== undefined) study.tell({ kind: 'passed-over', trial: trial.id, reason })
  }

  async function confirm({ id, network }: CompleteTrial): Promise<string | undefined> {
    if (!study.state.confirmed.has(id)) {
      const measured = await pool.run('measure', { network, classes, limits: record.limits, maxSeconds: measureSeconds }, (progress) =>
        onProgress(id, progress),
      )
      if (!measured.ok) return measured.reason
      study.tell({ kind: 'confirmed', trial: id, latency: measured.result })
    }
    const latency = study.state.confirmed.get(id)
    return latency && latencyReason(latency)
  }

  async function finish({ id, network, weightsHash, iterations }: CompleteTrial): Promise<string | undefined> {
    const task = {
      network,
      seed: trainingSeed(record.seed, id, 'final'),
      iterations: record.finalIterations,
      threads: threadsPerWorker(1), // nothing else is under way
      from: { file: folder.trial(id), weightsHash },
      file: folder.best,
      notes: { latency: JSON.stringify(study.state.confirmed.get(id)) },
    }
    const finished = await pool.run('finish', task, (progress) => onProgress(id, progress))
    if (!finished.ok) return finished.reason
    study.tell({ kind: 'delivered', trial: id, iterations: iterations + record.finalIterations, ...finished.result })
    return undefined
  }
}
