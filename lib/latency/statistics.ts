import { lowerCritical, upperCritical } from './binomial.js'

/** The order statistic at a percentile (nearest rank): the smallest value that at least `p` % of them do not exceed. NaN when there is none. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  const rank = Math.ceil((p / 100) * sorted.length - 1e-9)
  return sorted[Math.min(Math.max(rank, 1), sorted.length) - 1] ?? Number.NaN
}

export function sort(values: Iterable<number>): Float64Array {
  return Float64Array.from(values).sort()
}

export function median(values: Iterable<number>): number {
  return percentile(sort(values), 50)
}

/**
 * Distribution-free confidence interval of a percentile: the order statistics whose ranks, by the binomial distribution, enclose
 * it with at least the given confidence (in per cent). With too few samples for the upper end it is Infinity.
 */
export function percentileInterval(sorted: ArrayLike<number>, p: number, confidence: number): readonly [low: number, high: number] {
  const n = sorted.length
  const tail = (1 - confidence / 100) / 2
  // The number of samples below the percentile is binomial.
  const low = lowerCritical(n, p / 100, tail) + 1
  const high = upperCritical(n, p / 100, tail)
  return [low === 0 ? 0 : (sorted[low - 1] as number), high > n ? Number.POSITIVE_INFINITY : (sorted[high - 1] as number)]
}

/** Relative spread of run times: 1.4826 · median absolute deviation ÷ median, which for normal noise is σ ÷ μ; outliers hardly move it. */
export function relativeSpread(sorted: Float64Array): number {
  const middle = percentile(sorted, 50)
  return (1.4826 * median(sorted.map((value) => Math.abs(value - middle)))) / middle
}
