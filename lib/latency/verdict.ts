import { lowerCritical, upperCritical } from './binomial.js'
import { firstShare, type LatencyLimit, samplesToProve } from './limit.js'

/** `uncertain`: too noisy, or too close to the limit, to say with the samples so far. */
export type Verdict = 'meets' | 'fails' | 'uncertain'

/** A moment at which the test may decide. */
export interface Look {
  /** Samples needed. */
  readonly samples: number
  /** The limit is met when at most so many of them missed it; −1: cannot be said yet. */
  readonly meetsUpTo: number
  /** The limit is failed when at least so many missed it. */
  readonly failsFrom: number
  /** Taken in passing: the next batch of runs need not end at it. */
  readonly early: boolean
}

/**
 * The sequential binomial test of a limit. A run that takes `milliseconds` or longer is a miss; the limit holds when a run
 * misses with probability at most q = 1 − percentile/100. The test looks at n/4, n/2, n, 2n, 4n, … samples, n being the
 * smallest number that proves the limit without a miss (44 for p90 at 99 %: 0.9^44 < 1 %). Early looks, at 2, 4, 8, … below
 * n/4, can only fail it: a network that takes seconds is known to be too slow after a few runs.
 *
 * Looking several times gives chance several goes, so the error probability α = 1 − confidence is spent over the looks
 * (Bonferroni): look n may spend 98 % of α, look 2n half of the rest, 4n half of what is then left, and so on.
 * However often it looks, a limit that does not hold is said to be met with probability at most α, provided that runs are
 * independent. "Fails" is bounded in the same way: α/4, α/8, … is spent by the early looks and as much by the others.
 */
export function look(limit: LatencyLimit, index: number): Look {
  const known = looks.get(limit) ?? []
  looks.set(limit, known)
  known[index] ??= computeLook(limit, index)
  return known[index]
}

/** Critical values take sums over thousands of terms, and a test asks for the same ones after every batch. */
const looks = new WeakMap<LatencyLimit, Look[]>()

function computeLook(limit: LatencyLimit, index: number): Look {
  const alpha = 1 - limit.confidence / 100
  const miss = 1 - limit.percentile / 100
  const proof = samplesToProve(limit)
  const earlyLooks = Math.max(0, Math.ceil(Math.log2(proof / 4)) - 1)
  const early = index < earlyLooks
  const place = early ? index : index - earlyLooks
  const samples = early ? 2 ** (place + 1) : Math.ceil(proof * 2 ** (place - 2))
  const spent = early || place < 2 ? 0 : place === 2 ? firstShare * alpha : ((1 - firstShare) * alpha) / 2 ** (place - 2)
  return {
    samples,
    meetsUpTo: spent > 0 ? lowerCritical(samples, miss, spent) : -1,
    failsFrom: upperCritical(samples, miss, alpha / 2 ** (place + 2)),
    early,
  }
}

export interface Decision {
  readonly verdict: Verdict
  /** Samples at which the next look that is not early is due, when it is still uncertain. */
  readonly next: number
}

/** What a test of `limit` says after these run times (milliseconds, in the order of measuring). */
export function decide(limit: LatencyLimit, times: readonly number[]): Decision {
  let misses = 0
  let counted = 0
  for (let index = 0; ; index++) {
    const { samples, meetsUpTo, failsFrom, early } = look(limit, index)
    if (samples > times.length) {
      if (early) continue
      return { verdict: 'uncertain', next: samples }
    }
    for (; counted < samples; counted++) if ((times[counted] as number) >= limit.milliseconds) misses++
    if (misses <= meetsUpTo) return { verdict: 'meets', next: samples }
    if (misses >= failsFrom) return { verdict: 'fails', next: samples }
  }
}

/** Several limits at once: met when all are, failed when one is; `next` is the first look that is due. */
export function decideAll(limits: readonly LatencyLimit[], times: readonly number[]): Decision {
  const decisions = limits.map((limit) => decide(limit, times))
  if (decisions.some(({ verdict }) => verdict === 'fails')) return { verdict: 'fails', next: times.length }
  const open = decisions.filter(({ verdict }) => verdict === 'uncertain')
  if (open.length === 0) return { verdict: 'meets', next: times.length }
  return { verdict: 'uncertain', next: Math.min(...open.map(({ next }) => next)) }
}
