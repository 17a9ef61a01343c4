import { throwIfAborted } from '../abort.js'
import type { PreparedSample } from '../data/dataset.js'
import { evaluationBatches } from '../data/sampler.js'
import type { Device } from '../device.js'
import { TvnError } from '../errors.js'
import { Inference } from '../model/inference.js'
import { addProbabilities } from '../model/probabilities.js'
import type { Precision } from '../native.js'
import type { Network } from '../network/network.js'
import { precisionOn } from '../precision.js'
import type { Preprocessing, Task } from '../task.js'
import { type Metrics, multiLabelMetrics, singleLabelMetrics } from './metrics.js'

export interface EvaluateOptions {
  readonly network: Network
  readonly labels: readonly string[]
  readonly task: Task
  readonly weights: ReadonlyMap<string, Float32Array>
  readonly samples: readonly PreparedSample[]
  readonly preprocessing: Preprocessing
  /** Default: the CPU. */
  readonly device?: Device | undefined
  readonly threads: number
  /** Default: the device's usual one. */
  readonly precision?: Precision | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined
  /** Awaited before every batch. */
  readonly gate?: (() => Promise<void>) | undefined
}

const clipsPerBatch = 8

/**
 * Classifies samples as `Model.predict` does, the probabilities of a video's views averaged, and compares with their labels.
 * Throws ERR_DATASET without samples, ERR_DIVERGED when a logit is not finite.
 */
export async function evaluateWeights(options: EvaluateOptions): Promise<Metrics> {
  const { network, labels, task, weights, samples, preprocessing, device = 'cpu', threads, signal, onProgress, gate } = options
  if (samples.length === 0) throw new TvnError('ERR_DATASET', 'there is no sample to evaluate on')
  const classes = labels.length
  const sums = new Float64Array(samples.length * classes)
  const views = new Int32Array(samples.length)
  const precision = precisionOn(device, options.precision)
  using inference = new Inference(network.graph({ classes }), weights, { device, threads, precision })
  let done = 0
  for await (const { clips, shape, sampleIndex } of evaluationBatches(samples, {
    stream: network.streams[0],
    preprocessing,
    batch: clipsPerBatch,
    classes,
    task,
    threads,
  })) {
    throwIfAborted(signal)
    await gate?.()
    const logits = await inference.logits(clips, shape[0], signal)
    if (!logits.every(Number.isFinite)) throw new TvnError('ERR_DIVERGED', 'the network gives logits that are not finite')
    for (const [i, sample] of sampleIndex.entries()) {
      addProbabilities(logits.subarray(i * classes, (i + 1) * classes), task, sums.subarray(sample * classes, (sample + 1) * classes))
      views[sample] = (views[sample] as number) + 1
    }
    done += sampleIndex.length
    onProgress?.({ done, total: samples.length * preprocessing.views })
  }
  const probabilities = sums.map((sum, i) => sum / (views[Math.floor(i / classes)] as number))
  if (task === 'multi-label') return multiLabelMetrics(probabilities, indicators(samples, classes), labels)
  return singleLabelMetrics(
    probabilities,
    Int32Array.from(samples, ({ labels: [label] }) => label as number),
    labels,
  )
}

/** 1 where a label applies: [samples × classes]. */
function indicators(samples: readonly PreparedSample[], classes: number): Int32Array {
  const truth = new Int32Array(samples.length * classes)
  for (const [i, { labels }] of samples.entries()) for (const label of labels) truth[i * classes + label] = 1
  return truth
}
