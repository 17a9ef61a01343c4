import type { LatencyReport } from '../latency/measure.js'
import type { NetworkJson } from '../network/schema.js'
import type { Metrics } from '../train/metrics.js'
import { latencyReason, parametersReason } from './constraints.js'
import type { Outcome } from './messages.js'

/** What happens to a trial after it was proposed. */
export type TrialEvent =
  | { readonly kind: 'measured'; readonly trial: number; readonly latency: LatencyReport }
  | { readonly kind: 'running'; readonly trial: number }
  | {
      readonly kind: 'complete'
      readonly trial: number
      /** On the validation split. */
      readonly fitness: number
      readonly metrics: Metrics
      /** Training steps. */
      readonly iterations: number
      /** SHA-256 over the trained tensors in the order of their names. */
      readonly weightsHash: string
      /** How many of these steps changed nothing, because a gradient was not finite in half precision; absent: none. */
      readonly skipped?: number
    }
  | { readonly kind: 'rejected'; readonly trial: number; readonly reason: string }
  | { readonly kind: 'failed'; readonly trial: number; readonly reason: string }

/** A trial as evaluation needs it; with a latency when an interrupted one was already measured on this machine. */
export interface TrialToEvaluate {
  readonly id: number
  readonly network: NetworkJson
  readonly params: number
  readonly latency: LatencyReport | null
}

export interface TrainResult {
  readonly fitness: number
  readonly metrics: Metrics
  readonly iterations: number
  readonly weightsHash: string
  readonly skipped?: number
}

/** The costly steps; each resolves to its result or to why the network failed in it, and rejects only when the search cannot go on. */
export interface TrialSteps {
  measure(trial: TrialToEvaluate): Promise<Outcome<LatencyReport>>
  /** Trains, validates and saves the weights. */
  train(trial: TrialToEvaluate): Promise<Outcome<TrainResult>>
}

/**
 * One trial: the limit on parameters, which costs nothing to check, then the latency, then training and validation. Every event is told, and so is durable,
 * before the next step begins; the last one is `complete`, `rejected` or `failed`.
 */
export async function evaluateTrial(trial: TrialToEvaluate, maxParams: number, steps: TrialSteps, tell: (event: TrialEvent) => void): Promise<void> {
  const { id } = trial
  const tooMany = parametersReason(trial.params, maxParams)
  if (tooMany !== undefined) return tell({ kind: 'rejected', trial: id, reason: tooMany })

  let { latency } = trial
  if (latency === null) {
    const measured = await steps.measure(trial)
    if (!measured.ok) return tell({ kind: 'failed', trial: id, reason: measured.reason })
    latency = measured.result
    tell({ kind: 'measured', trial: id, latency })
  }
  const tooSlow = latencyReason(latency)
  if (tooSlow !== undefined) return tell({ kind: 'rejected', trial: id, reason: tooSlow })

  tell({ kind: 'running', trial: id })
  const trained = await steps.train(trial)
  tell(trained.ok ? { kind: 'complete', trial: id, ...trained.result } : { kind: 'failed', trial: id, reason: trained.reason })
}
