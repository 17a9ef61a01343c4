import type { Task } from '../task.js'

/**
 * Probabilities of one clip's logits: a softmax over the classes or, multi-label, a sigmoid each; added to `out`.
 * The sums are f64, so that the mean over views does not depend on how clips were batched.
 */
export function addProbabilities(logits: Float32Array, task: Task, out: Float64Array): void {
  if (task === 'multi-label') {
    for (let c = 0; c < logits.length; c++) out[c] = (out[c] as number) + 1 / (1 + Math.exp(-(logits[c] as number)))
    return
  }
  let largest = Number.NEGATIVE_INFINITY
  for (const z of logits) largest = Math.max(largest, z)
  let sum = 0
  for (const z of logits) sum += Math.exp(z - largest)
  for (let c = 0; c < logits.length; c++) out[c] = (out[c] as number) + Math.exp((logits[c] as number) - largest) / sum
}

/** Mean of the probabilities of several views of one video: logits [views × classes] → [classes]. */
export function meanProbabilities(logits: Float32Array, classes: number, task: Task): Float64Array {
  const mean = new Float64Array(classes)
  const views = logits.length / classes
  for (let v = 0; v < views; v++) addProbabilities(logits.subarray(v * classes, (v + 1) * classes), task, mean)
  return mean.map((sum) => sum / views)
}

export interface Prediction {
  readonly label: string
  /** 0 to 1; single-label probabilities sum to 1 over all classes. */
  readonly probability: number
}

/** The `top` most probable classes, best first; among equals the first of the labels. */
export function topPredictions(probabilities: Float64Array, labels: readonly string[], top: number): Prediction[] {
  const all = labels.map((label, c) => ({ label, probability: probabilities[c] as number }))
  return all.sort((a, b) => b.probability - a.probability).slice(0, top)
}
