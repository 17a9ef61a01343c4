import type { LatencyReport } from '../latency/measure.js'
import type { NetworkJson } from '../network/schema.js'
import type { Metrics } from '../train/metrics.js'

/** `proposed`, `measured` and `running` are under way, the others final. */
export type TrialState = 'proposed' | 'measured' | 'running' | 'complete' | 'rejected' | 'pruned' | 'failed'

/** One network's life in a study. */
export interface Trial {
  /** 0, 1, 2, … in the order of the proposals. */
  readonly id: number
  /** The trial whose network was mutated; null for a random network. */
  readonly parent: number | null
  readonly mutations: readonly string[]
  readonly network: NetworkJson
  readonly params: number
  /** Multiply-accumulates of one clip. */
  readonly macs: number
  readonly state: TrialState
  /** Why it was rejected or failed: a category, a colon, the figures. */
  readonly reason: string | null
  readonly latency: LatencyReport | null
  /** Top-1 or mean average precision on the validation split. */
  readonly fitness: number | null
  readonly metrics: Metrics | null
  /** Training steps behind the fitness. */
  readonly iterations: number
  /** How many of them changed nothing, because a gradient was not finite in half precision; absent: none. */
  readonly skipped?: number
  /** SHA-256 over the trained tensors in the order of their names. */
  readonly weightsHash: string | null
}

const finalStates: ReadonlySet<TrialState> = new Set<TrialState>(['complete', 'rejected', 'pruned', 'failed'])

export function isFinal(trial: Trial): boolean {
  return finalStates.has(trial.state)
}

/** A trial that was trained to its end, so that it has a fitness and weights. */
export type CompleteTrial = Trial & { readonly state: 'complete'; readonly fitness: number; readonly latency: LatencyReport; readonly weightsHash: string }

export function isComplete(trial: Trial): trial is CompleteTrial {
  return trial.state === 'complete'
}

/** Best first; among equals the earlier, which does not depend on how noisy the machine was. */
export function byFitness(a: CompleteTrial, b: CompleteTrial): number {
  return b.fitness - a.fitness || a.id - b.id
}
