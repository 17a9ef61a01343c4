import { TvnError } from '../errors.js'
import { learningRateAt } from './schedule.js'
import type { Trainer, TrainingStep } from './trainer.js'

export interface TrainingBatch {
  /** u8 RGB [N, T, H, W, 3]. */
  readonly clips: Uint8Array
  readonly shape: readonly number[]
  readonly labels: Int32Array
}

/** Mean loss over some iterations that end with `iteration` (counted from 1), and the learning rate of the last. */
export interface HistoryEntry {
  readonly iteration: number
  /** Losses that are not finite, of skipped steps, are left out; NaN where there was no other. */
  readonly loss: number
  readonly learningRate: number
  /** How many of these steps were skipped, because a gradient was not finite in half precision; none on the CPU. */
  readonly skipped: number
}

/** `loss` is that of the last step where it was finite, `skipped` counts all steps so far. */
export interface TrainingProgress extends HistoryEntry {
  readonly iterations: number
}

/** What the loop needs of a Trainer. */
export interface Stepper {
  step(...args: Parameters<Trainer['step']>): Promise<Pick<TrainingStep, 'loss'> & Partial<TrainingStep>>
}

export interface LoopOptions {
  readonly iterations: number
  /** Highest learning rate; see `learningRateAt`. */
  readonly learningRate: number
  /** Ends the training between two iterations. */
  readonly signal?: AbortSignal | undefined
  /** Called after every iteration, with the loss of this one. */
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined
  /** Awaited before every iteration; holds the training while the machine has to be quiet. */
  readonly gate?: (() => Promise<void>) | undefined
  /** Awaited whenever the history got longer: the moment to keep the weights, on a device that may be lost. */
  readonly onEntry?: ((entry: HistoryEntry) => Promise<void>) | undefined
}

const historyEntries = 100
/** The loss scale is halved with every skipped step: after 24 in a row it is at its lowest, and what is not finite then never will be. */
const mostSkipped = 32

/**
 * Trains for some iterations. While one batch is computed, the next is loaded.
 * When the signal fires, the last entry of the history tells how far it got. Throws ERR_DIVERGED when a loss is not finite, or when 32 steps in a
 * row are skipped.
 */
export async function trainingLoop(trainer: Stepper, nextBatch: () => Promise<TrainingBatch>, options: LoopOptions): Promise<HistoryEntry[]> {
  const { iterations, learningRate: peak, signal, onProgress, gate, onEntry } = options
  const perEntry = Math.ceil(iterations / historyEntries)
  const history: HistoryEntry[] = []
  let [sum, counted, entryBegin, skippedBefore] = [0, 0, 0, 0]
  let [skipped, inARow, last] = [0, 0, Number.NaN]
  let loading = load(nextBatch)
  for (let i = 0; i < iterations; i++) {
    if (signal?.aborted) break
    await gate?.()
    const { clips, shape, labels } = await loading
    if (i + 1 < iterations) loading = load(nextBatch)
    const learningRate = learningRateAt(i, iterations, peak)
    const step = await trainer.step(clips, shape, labels, { learningRate })
    const { loss } = step
    inARow = step.skipped ? inARow + 1 : 0
    if (step.skipped) skipped++
    else if (!Number.isFinite(loss)) throw diverged(`loss ${loss} at iteration ${i + 1} of ${iterations}`)
    if (inARow === mostSkipped) throw diverged(`the gradients of ${inARow} steps in a row were not finite, up to iteration ${i + 1} of ${iterations}`)
    if (Number.isFinite(loss)) {
      last = loss
      sum += loss
      counted++
    }
    onProgress?.({ iteration: i + 1, iterations, loss: last, learningRate, skipped })
    if (i + 1 - entryBegin === perEntry || i + 1 === iterations || signal?.aborted) {
      const entry = { iteration: i + 1, loss: sum / counted, learningRate, skipped: skipped - skippedBefore }
      history.push(entry)
      ;[sum, counted, entryBegin, skippedBefore] = [0, 0, i + 1, skipped]
      await onEntry?.(entry)
    }
  }
  return history
}

function diverged(how: string): TvnError {
  return new TvnError('ERR_DIVERGED', `the training diverged: ${how}`)
}

/** A batch on its way; when the training ends for another reason, its failure is nobody's. */
function load(nextBatch: () => Promise<TrainingBatch>): Promise<TrainingBatch> {
  const batch = nextBatch()
  batch.catch(() => {})
  return batch
}
