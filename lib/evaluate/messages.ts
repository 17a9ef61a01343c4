import type { PreparedDataset } from '../data/dataset.js'
import type { Device } from '../device.js'
import type { ErrorCode } from '../errors.js'
import type { LatencyReport } from '../latency/measure.js'
import type { NetworkJson } from '../network/schema.js'
import type { Metrics } from '../train/metrics.js'
import type { TrainResult } from './trial.js'

/** What every task of a worker needs; sent once to each worker process. */
export interface Setup {
  readonly dataset: PreparedDataset
}

/** How a network is trained, and where and with how many threads it is trained and evaluated. */
export interface TrainingTask {
  readonly seed: number
  readonly iterations: number
  readonly device: Device
  readonly threads: number
}

/** The tasks of a worker: what is asked and what comes back. */
export interface Tasks {
  /**
   * Measures a network on the devices that the limits name, one after the other until it fails on one; without limits on the given device. With the
   * weights of a model file or random ones; the machine should be quiet.
   */
  measure: {
    readonly task: {
      readonly network: NetworkJson
      readonly classes: number
      readonly device: Device
      readonly limits: readonly string[]
      readonly maxSeconds: number
      readonly weights?: string
    }
    readonly result: LatencyReport
  }
  /** Peak of one core in GFLOP/s. */
  peak: { readonly task: Record<string, never>; readonly result: number }
  /** Trains, validates and saves to `file`. */
  train: {
    readonly task: TrainingTask & { readonly network: NetworkJson; readonly file: string }
    readonly result: TrainResult
  }
  /** Trains the weights in `from` further, evaluates on val and test and saves to `file`. */
  finish: {
    readonly task: TrainingTask & {
      readonly network: NetworkJson
      readonly from: { readonly file: string; readonly weightsHash: string }
      readonly file: string
    }
    readonly result: {
      readonly fitness: number
      readonly validation: Metrics
      readonly test: Metrics | null
      readonly weightsHash: string
      /** Training steps that were skipped; absent: none. */
      readonly skipped?: number
    }
  }
  /** Copies a model file, with further metadata. */
  seal: {
    readonly task: { readonly from: string; readonly file: string; readonly notes: Readonly<Record<string, string>> }
    readonly result: null
  }
}

export type TaskName = keyof Tasks

/** Where a task is. */
export interface StageProgress {
  readonly stage: 'warm-up' | 'measure' | 'cold' | 'train' | 'validate' | 'test' | 'save'
  /** Of the stage, 0 to 1, where it can be told. */
  readonly fraction?: number
  readonly loss?: number
  /** Training steps so far that were skipped. */
  readonly skipped?: number
}

/** A task's end: its result, or why it has none. The work of others goes on in both cases. */
export type Outcome<T> = { readonly ok: true; readonly result: T } | { readonly ok: false; readonly reason: string; readonly code?: ErrorCode }

/** From the coordinator to a worker. */
export type ToWorker =
  | { readonly type: 'setup'; readonly setup: unknown }
  | { readonly type: 'task'; readonly name: string; readonly task: unknown }
  /** Stop at the next gate, say `paused` with the same id, and wait. */
  | { readonly type: 'pause'; readonly id: number }
  | { readonly type: 'resume' }

/** From a worker to the coordinator. */
export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly progress: StageProgress }
  /** Answers the pause with this id. */
  | { readonly type: 'paused'; readonly id: number }
  | { readonly type: 'done'; readonly result: unknown }
  | { readonly type: 'failed'; readonly reason: string; readonly code?: ErrorCode }
