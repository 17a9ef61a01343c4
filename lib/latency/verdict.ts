import { binomialAtMost } from './binomial.js'
import { firstShare, type LatencyLimit, samplesToProve } from './limit.js'

/** `uncertain`: too noisy, or too close to the limit, to say with the samples so far. */
export type Verdict = 'meets' | 'fails' | 'uncertain'

/**
 * What slows a call down (another program in the same time slice or cache, a clock that falls) slows its neighbours too, so calls are not
 * independent and counting them as if they were calls a limit met that is not: calls of 0.2 ms are over with the first look before the machine has
 * shown what it does. Calls are therefore counted in blocks of so many milliseconds, or of one call where that takes longer.
 */
export const blockMilliseconds = 20
/** Variances of longer blocks, twice as long each time, are looked at while there are so many of them. */
const fewestBlocks = 8

/** A moment at which the test may decide. */
export interface Look {
  /** Blocks needed. */
  readonly blocks: number
  /** Error probability that it may spend on `meets`, and on `fails`. */
  readonly meets: number
  readonly fails: number
}

/**
 * The sequential binomial test of a limit. A call that takes `milliseconds` or longer is a miss; the limit holds when a call
 * misses with probability at most q = 1 − percentile/100. The test looks at n/4, n/2, n, 2n, 4n, … blocks, n being the
 * smallest number of independent calls that proves the limit without a miss (44 for p90 at 99 %: 0.9^44 < 1 %). Early looks, at 2, 4, 8, … below
 * n/4, can only fail it: a network that takes seconds is known to be too slow after a few calls.
 *
 * Looking several times gives chance several goes, so the error probability α = 1 − confidence is spent over the looks
 * (Bonferroni): look n may spend 98 % of α, look 2n half of the rest, 4n half of what is then left, and so on.
 * However often it looks, a limit that does not hold is said to be met with probability at most α, provided that calls are as good as
 * independent after a block. "Fails" is bounded in the same way: α/4, α/8, … is spent by the early looks and as much by the others.
 */
export function look(limit: LatencyLimit, index: number): Look {
  const alpha = 1 - limit.confidence / 100
  const proof = samplesToProve(limit)
  const earlyLooks = Math.max(0, Math.ceil(Math.log2(proof / 4)) - 1)
  const early = index < earlyLooks
  const place = early ? index : index - earlyLooks
  return {
    blocks: early ? 2 ** (place + 1) : Math.ceil(proof * 2 ** (place - 2)),
    meets: early || place < 2 ? 0 : place === 2 ? firstShare * alpha : ((1 - firstShare) * alpha) / 2 ** (place - 2),
    fails: alpha / 2 ** (place + 2),
  }
}

/** Calls that follow each other, and how many of them are counted: misses or hits. */
interface Block {
  readonly calls: number
  readonly counted: number
}

/**
 * How many independent calls would know the share of the counted ones as well as these blocks do: share · (1 − share) ÷ variance, where the
 * variance is the largest that blocks of any length show. One more block with nothing but counted calls is imagined, for what has not been
 * seen yet: without a counted call the answer is the number of blocks.
 */
export function effectiveCalls(blocks: readonly Block[]): number {
  const calls = blocks.reduce((sum, block) => sum + block.calls, 0)
  const mean = calls / blocks.length
  let effective = Math.min(calls, equivalent([...blocks, { calls: mean, counted: mean }]))
  for (let longer = blocks; longer.length >= fewestBlocks; longer = pairs(longer)) effective = Math.min(effective, equivalent(longer))
  return effective
}

function equivalent(blocks: readonly Block[]): number {
  const calls = blocks.reduce((sum, block) => sum + block.calls, 0)
  const share = blocks.reduce((sum, { counted }) => sum + counted, 0) / calls
  const squares = blocks.reduce((sum, block) => sum + (block.counted - share * block.calls) ** 2, 0)
  // all alike: nothing is known about their variance
  return squares === 0 ? Number.POSITIVE_INFINITY : (share * (1 - share) * calls ** 2 * (blocks.length - 1)) / (squares * blocks.length)
}

function pairs(blocks: readonly Block[]): Block[] {
  const joined: Block[] = []
  for (let i = 0; i + 1 < blocks.length; i += 2) {
    const [a, b] = [blocks[i] as Block, blocks[i + 1] as Block]
    joined.push({ calls: a.calls + b.calls, counted: a.counted + b.counted })
  }
  return joined
}

/** P(X ≤ share · calls) for X ~ Binomial(calls, q), in whole numbers on the side of doubt; but a tenth of a call makes no difference. */
function atMost(calls: number, share: number, q: number): number {
  const n = Math.floor(calls + 0.1)
  return binomialAtMost(n, Math.ceil(share * n - 0.1), q)
}

/** The whole blocks of these times, with their misses. */
function cut(limit: LatencyLimit, times: readonly number[]): Block[] {
  const blocks: Block[] = []
  let [calls, counted, total] = [0, 0, 0]
  for (const time of times) {
    calls++
    total += time
    if (time >= limit.milliseconds) counted++
    if (total < blockMilliseconds) continue
    blocks.push({ calls, counted })
    calls = counted = total = 0
  }
  return blocks
}

/** What a test of `limit` says after these times of calls in a row (milliseconds). */
export function decide(limit: LatencyLimit, times: readonly number[]): Verdict {
  const all = cut(limit, times)
  const q = 1 - limit.percentile / 100
  for (let index = 0; ; index++) {
    const { blocks: needed, meets, fails } = look(limit, index)
    if (needed > all.length) return 'uncertain'
    const blocks = all.slice(0, needed)
    const hits = blocks.map(({ calls, counted }) => ({ calls, counted: calls - counted }))
    const sum = (of: readonly Block[]) => of.reduce((total, { counted }) => total + counted, 0)
    const share = sum(blocks) / (sum(blocks) + sum(hits))
    if (meets > 0 && atMost(effectiveCalls(blocks), share, q) <= meets) return 'meets'
    if (atMost(effectiveCalls(hits), 1 - share, 1 - q) <= fails) return 'fails'
  }
}

/** Several limits at once: met when all are, failed when one is. */
export function decideAll(limits: readonly LatencyLimit[], times: readonly number[]): Verdict {
  return worstVerdict(limits.map((limit) => decide(limit, times))) ?? 'meets'
}

/** `fails` before `uncertain` before `meets`; undefined where there is none. */
export function worstVerdict(verdicts: readonly Verdict[]): Verdict | undefined {
  return (['fails', 'uncertain', 'meets'] as const).find((verdict) => verdicts.includes(verdict))
}
