/** How well probabilities match the labels of a split; the shapes of `tvn eval --json`. */

export interface SingleLabelMetrics {
  readonly samples: number
  /** Part of the samples whose class has the highest probability. */
  readonly top1: number
  /** Part whose class is among the five highest (all classes where there are fewer). */
  readonly top5: number
  readonly perClass: readonly { readonly label: string; readonly samples: number; readonly top1: number | null }[]
  /** `confusion[true][predicted]`: counts. */
  readonly confusion: readonly (readonly number[])[]
}

export interface MultiLabelMetrics {
  readonly samples: number
  /** Mean of the classes' average precisions; classes without a positive sample are left out. Null when there is none. */
  readonly map: number | null
  /** `ap` is null for a class without a positive sample. */
  readonly perClass: readonly { readonly label: string; readonly samples: number; readonly ap: number | null }[]
}

export type Metrics = SingleLabelMetrics | MultiLabelMetrics

/**
 * Metrics of a single-label task.
 *
 * @param probabilities [samples × classes]
 * @param truth class of each sample
 */
export function singleLabelMetrics(probabilities: Float64Array, truth: Int32Array, labels: readonly string[]): SingleLabelMetrics {
  const classes = labels.length
  const confusion = Array.from({ length: classes }, () => Array.from({ length: classes }, () => 0))
  let [first, firstFive] = [0, 0]
  for (let i = 0; i < truth.length; i++) {
    const row = probabilities.subarray(i * classes, (i + 1) * classes)
    const actual = truth[i] as number
    const rank = rankOf(row, actual)
    if (rank === 0) first++
    if (rank < 5) firstFive++
    const counts = confusion[actual] as number[]
    const predicted = row.indexOf(Math.max(...row))
    counts[predicted] = (counts[predicted] as number) + 1
  }
  const perClass = labels.map((label, c) => {
    const row = confusion[c] as number[]
    const samples = row.reduce((sum, n) => sum + n, 0)
    return { label, samples, top1: samples === 0 ? null : (row[c] as number) / samples }
  })
  return { samples: truth.length, top1: share(first, truth.length), top5: share(firstFive, truth.length), perClass, confusion }
}

/**
 * Metrics of a multi-label task: average precision by class, and its mean.
 *
 * @param probabilities [samples × classes]
 * @param truth 1 where a class applies, else 0; [samples × classes]
 */
export function multiLabelMetrics(probabilities: Float64Array, truth: Int32Array, labels: readonly string[]): MultiLabelMetrics {
  const classes = labels.length
  const samples = truth.length / classes
  const perClass = labels.map((label, c) => {
    const scored = Array.from({ length: samples }, (_, i) => ({ score: probabilities[i * classes + c] as number, positive: truth[i * classes + c] === 1 }))
    return { label, samples: scored.filter(({ positive }) => positive).length, ap: averagePrecision(scored) }
  })
  const known = perClass.flatMap(({ ap }) => (ap === null ? [] : [ap]))
  return { samples, map: known.length === 0 ? null : known.reduce((sum, ap) => sum + ap, 0) / known.length, perClass }
}

/** The number that a search compares and a report shows: top-1, or mean average precision (0 where no class has a positive). */
export function fitnessOf(metrics: Metrics): number {
  return 'top1' in metrics ? metrics.top1 : (metrics.map ?? 0)
}

/** Classes in front of `index`; among equals the lower index is in front. */
function rankOf(row: Float64Array, index: number): number {
  const own = row[index] as number
  let rank = 0
  for (let c = 0; c < row.length; c++) {
    const other = row[c] as number
    if (other > own || (other === own && c < index)) rank++
  }
  return rank
}

/**
 * Mean over the positives of the precision at each one's score. Equal scores are one threshold, so the order of the samples has
 * no influence. Null without a positive.
 */
function averagePrecision(scored: readonly { readonly score: number; readonly positive: boolean }[]): number | null {
  const sorted = [...scored].sort((a, b) => b.score - a.score)
  let [found, sum] = [0, 0]
  for (let from = 0; from < sorted.length; ) {
    let to = from
    let hits = 0
    while (to < sorted.length && sorted[to]?.score === sorted[from]?.score) {
      if (sorted[to]?.positive) hits++
      to++
    }
    found += hits
    sum += hits * (found / to)
    from = to
  }
  return found === 0 ? null : sum / found
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
