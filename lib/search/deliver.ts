import { latencyReason } from '../evaluate/constraints.js'
import type { Outcome, StageProgress, TaskName, Tasks } from '../evaluate/messages.js'
import { type Pool, threadsPerWorker } from '../evaluate/pool.js'
import { hashWeights } from '../evaluate/tasks.js'
import type { LatencyReport } from '../latency/measure.js'
import { readModel } from '../model/model-file.js'
import type { RunFolder } from './run-folder.js'
import { measuredHere, measureSeconds } from './run-trials.js'
import { type Study, trainingSeed } from './study.js'
import { byFitness, type CompleteTrial, isComplete } from './trial.js'

export interface DeliverOptions {
  readonly study: Study
  readonly pool: Pick<Pool, 'run'>
  readonly folder: RunFolder
  readonly classes: number
  /** Ids of the machine that this runs on, as its devices see it. */
  readonly machines: ReadonlySet<string>
  readonly onProgress: (trial: number, progress: StageProgress) => void
}

/**
 * Makes the best trial the study's result: it is trained on from its weights, evaluated, measured once more with the weights it has then, and saved. One
 * that does not meet the limits this time, or fails in training, is passed over for the next best. Without any, nothing is delivered.
 */
export async function deliver({ study, pool, folder, classes, machines, onProgress }: DeliverOptions): Promise<void> {
  const { record, delivery, trials } = study.state
  if (delivery && (await holds(folder.best, delivery.weightsHash))) return
  for (const trial of trials.filter(isComplete).sort(byFitness)) {
    if (study.state.passedOver.has(trial.id)) continue
    study.tell({ kind: 'finishing', trial: trial.id })
    const reason = await finish(trial)
    if (reason === undefined) return
    study.tell({ kind: 'passed-over', trial: trial.id, reason })
  }

  /** Resolves to why this trial does not become the result. */
  async function finish(trial: CompleteTrial): Promise<string | undefined> {
    const { id, network, weightsHash, iterations } = trial
    const run = <K extends TaskName>(name: K, task: Tasks[K]['task']): Promise<Outcome<Tasks[K]['result']>> =>
      pool.run(name, task, (progress) => onProgress(id, progress))
    const { device, limits } = record
    const measure = (weights: string) => run('measure', { network, classes, device, limits, maxSeconds: measureSeconds, weights })
    const reasonOf = (measured: Outcome<LatencyReport>) => (measured.ok ? latencyReason(measured.result) : measured.reason)

    if (!measuredHere(trial.latency, machines)) {
      const reason = reasonOf(await measure(folder.trial(id)))
      if (reason !== undefined) return reason
    }
    const finished = await run('finish', {
      network,
      seed: trainingSeed(record.seed, id, 'final'),
      iterations: record.finalIterations,
      device,
      threads: threadsPerWorker(1), // nothing else is under way
      from: { file: folder.trial(id), weightsHash },
      file: folder.finished(id),
    })
    if (!finished.ok) return finished.reason
    const measured = await measure(folder.finished(id))
    const reason = reasonOf(measured)
    if (!measured.ok || reason !== undefined) return reason
    const latency = measured.result
    const sealed = await run('seal', { from: folder.finished(id), file: folder.best, notes: { latency: JSON.stringify(latency) } })
    if (!sealed.ok) return sealed.reason
    study.tell({ kind: 'delivered', trial: id, iterations: iterations + record.finalIterations, latency, ...finished.result })
    return undefined
  }
}

async function holds(file: string, weightsHash: string): Promise<boolean> {
  try {
    return hashWeights((await readModel(file)).weights) === weightsHash
  } catch {
    return false // it is made again
  }
}
