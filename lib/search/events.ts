import type { TrialEvent } from '../evaluate/trial.js'
import type { LatencyReport } from '../latency/measure.js'
import type { Machine } from '../latency/machine.js'
import type { NetworkJson } from '../network/schema.js'
import type { Metrics } from '../train/metrics.js'
import type { StudyOptions } from './options.js'

/** What a study writes down when it begins: all that a resume needs. */
export interface StudyRecord extends StudyOptions {
  /** Name of the study. */
  readonly study: string
  /** Version of this package. */
  readonly version: string
  readonly machine: Machine
  /** Identifies the prepared data; a resumed study refuses others. */
  readonly dataKey: string
}

/** The winner, trained on and saved. */
export interface Delivery {
  readonly trial: number
  /** On the validation split, after the continued training. */
  readonly fitness: number
  readonly validation: Metrics
  /** Null when there is no test split. */
  readonly test: Metrics | null
  /** Training steps in all. */
  readonly iterations: number
  /** How many of the further ones changed nothing, because a gradient was not finite in half precision; absent: none. */
  readonly skipped?: number
  readonly weightsHash: string
  /** With these weights. */
  readonly latency: LatencyReport
}

/** One line of a study's journal. Its state is what these lines, replayed in order, make of it. */
export type StudyEvent =
  | { readonly kind: 'created'; readonly record: StudyRecord }
  | {
      readonly kind: 'proposed'
      readonly trial: number
      readonly parent: number | null
      readonly mutations: readonly string[]
      readonly network: NetworkJson
      readonly params: number
      readonly macs: number
    }
  | TrialEvent
  /** No proposals after this. */
  | { readonly kind: 'stopped'; readonly reason: string }
  /** The best of the trials that were not passed over: it is trained on. */
  | { readonly kind: 'finishing'; readonly trial: number }
  /** It does not become the winner. */
  | { readonly kind: 'passed-over'; readonly trial: number; readonly reason: string }
  | ({ readonly kind: 'delivered' } & Delivery)
