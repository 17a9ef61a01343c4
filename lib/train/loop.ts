import { TvnError } from '../errors.js'
import { learningRateAt } from './schedule.js'
import type { Trainer } from './trainer.js'

export interface TrainingBatch {
  /** u8 RGB [N, T, H, W, 3]. */
  readonly clips: Uint8Array
  readonly shape: readonly number[]
  readonly labels: Int32Array
}

/** Mean loss over some iterations that end with `iteration` (counted from 1), and the learning rate of the last. */
export interface HistoryEntry {
  readonly iteration: number
  readonly loss: number
  readonly learningRate: number
}

export interface TrainingProgress extends HistoryEntry {
  readonly iterations: number
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
}

const historyEntries = 100

/**
 * Trains for some iterations. While one batch is computed, the next is loaded.
 * When the signal fires, the last entry of the history tells how far it got. Throws ERR_DIVERGED when a loss is not finite.
 */
export async function trainingLoop(trainer: Pick<Trainer, 'step'>, nextBatch: () => Promise<TrainingBatch>, options: LoopOptions): Promise<HistoryEntry[]> {
  const { iterations, learningRate: peak, signal, onProgress, gate } = options
  const perEntry = Math.ceil(iterations / historyEntries)
  const history: HistoryEntry[] = []
  let [sum, counted] = [0, 0]
  let loading = load(nextBatch)
  for (let i = 0; i < iterations; i++) {
    if (signal?.aborted) break
    await gate?.()
    const { clips, shape, labels } = await loading
    if (i + 1 < iterations) loading = load(nextBatch)
    const learningRate = learningRateAt(i, iterations, peak)
    const { loss } = await trainer.step(clips, shape, labels, { learningRate })
    if (!Number.isFinite(loss)) throw new TvnError('ERR_DIVERGED', `the training diverged: loss ${loss} at iteration ${i + 1} of ${iterations}`)
    sum += loss
    counted++
    onProgress?.({ iteration: i + 1, iterations, loss, learningRate })
    if (counted === perEntry || i + 1 === iterations || signal?.aborted) {
      history.push({ iteration: i + 1, loss: sum / counted, learningRate })
      ;[sum, counted] = [0, 0]
    }
  }
  return history
}

/** A batch on its way; when the training ends for another reason, its failure is nobody's. */
function load(nextBatch: () => Promise<TrainingBatch>): Promise<TrainingBatch> {
  const batch = nextBatch()
  batch.catch(() => {})
  return batch
}
