import type { PreparedDataset, PreparedSample, Split } from '../data/dataset.js'
import { TvnError } from '../errors.js'
import type { Model } from '../model/model.js'
import { evaluateWeights } from './evaluate.js'
import type { Metrics } from './metrics.js'

export interface EvaluateModelOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined
}

/**
 * Metrics of a model on one split of a dataset, on the model's device and in its precision. Classes are matched by their labels; the dataset may have fewer than the model.
 * Throws ERR_DATASET when the tasks differ, when the dataset has a class that the model does not know, or when the split is empty.
 */
export async function evaluateModel(model: Model, dataset: PreparedDataset, split: Split, { signal, onProgress }: EvaluateModelOptions = {}): Promise<Metrics> {
  const { network, labels, task, preprocessing, weights, device, threads, precision } = model
  if (dataset.task !== task) throw new TvnError('ERR_DATASET', `the model is ${task}, but the dataset ${dataset.name} is ${dataset.task}`)
  const samples = withModelLabels(dataset.splits[split], dataset.labels, labels)
  if (samples.length === 0) throw new TvnError('ERR_DATASET', `dataset ${dataset.name}: no usable videos in its ${split} split`)
  return evaluateWeights({ network, labels, task, weights, samples, preprocessing, device, threads, precision, signal, onProgress })
}

/** The samples with the model's class numbers instead of the dataset's. */
function withModelLabels(samples: readonly PreparedSample[], from: readonly string[], to: readonly string[]): PreparedSample[] {
  const index = from.map((label) => to.indexOf(label))
  const unknown = from.filter((_, i) => index[i] === -1)
  if (unknown.length > 0) {
    const named = unknown.slice(0, 5).join(', ') + (unknown.length > 5 ? ', …' : '')
    throw new TvnError('ERR_DATASET', `the model does not know ${unknown.length === 1 ? 'the class' : `${unknown.length} classes:`} ${named}`, {
      hint: `it knows ${to.slice(0, 10).join(', ')}${to.length > 10 ? ', …' : ''}`,
    })
  }
  return samples.map((sample) => ({ ...sample, labels: sample.labels.map((label) => index[label] as number).sort((a, b) => a - b) }))
}
