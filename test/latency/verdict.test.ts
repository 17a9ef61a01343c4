import { expect } from 'chai'
import { binomialAtLeast, binomialAtMost, lowerCritical, upperCritical } from '../../lib/latency/binomial.js'
import { parseLimit } from '../../lib/latency/limit.js'
import { blockMilliseconds, decide, decideAll, effectiveCalls, look } from '../../lib/latency/verdict.js'
import { Random } from '../../lib/random.js'

const limit = parseLimit('p90<50ms@99%')
/** Calls that last a block each. */
const hits = (n: number) => Array<number>(n).fill(blockMilliseconds)
const misses = (n: number) => Array<number>(n).fill(90)

describe('binomial', () => {
  it('sums to the textbook values', () => {
    expect(binomialAtMost(44, 0, 0.1)).to.be.closeTo(0.9 ** 44, 1e-15)
    expect(binomialAtMost(10, 3, 0.5)).to.be.closeTo(176 / 1024, 1e-14)
    expect(binomialAtLeast(10, 8, 0.5)).to.be.closeTo(56 / 1024, 1e-14)
    expect(binomialAtMost(5, 5, 0.3)).to.equal(1)
    expect(binomialAtMost(5, -1, 0.3)).to.equal(0)
    // The first terms of this sum underflow when they are computed as products.
    expect(binomialAtMost(100_000, 50_000, 0.5)).to.be.closeTo(0.5, 0.002)
  })

  it('finds the critical values at both ends', () => {
    for (const n of [1, 2, 43, 44, 64, 97, 1000]) {
      for (const alpha of [1e-6, 0.01, 0.3]) {
        const low = lowerCritical(n, 0.1, alpha)
        if (low >= 0) expect(binomialAtMost(n, low, 0.1)).to.be.at.most(alpha)
        expect(binomialAtMost(n, low + 1, 0.1)).to.be.above(alpha)
        const high = upperCritical(n, 0.1, alpha)
        if (high <= n) expect(binomialAtLeast(n, high, 0.1)).to.be.at.most(alpha)
        expect(binomialAtLeast(n, high - 1, 0.1)).to.be.above(alpha)
      }
    }
  })
})

describe('latency verdict', () => {
  it('is proved by 44 calls without a miss, not by 43', () => {
    expect(decide(limit, hits(43))).to.equal('uncertain')
    expect(decide(limit, hits(44))).to.equal('meets')
    expect(decide(limit, [...hits(43), 50]), 'exactly the limit is a miss').to.equal('uncertain')
  })

  it('takes as long for short calls: what they share with their neighbours is seen once a block', () => {
    const short = (milliseconds: number) => Array<number>(milliseconds / 0.5).fill(0.5)
    expect(decide(limit, short(43 * blockMilliseconds))).to.equal('uncertain')
    expect(decide(limit, short(44 * blockMilliseconds))).to.equal('meets')
  })

  it('needs more calls with every miss', () => {
    const needed = (count: number) => {
      for (let n = 44; ; n *= 2) {
        const times = hits(n)
        for (let miss = 0; miss < count; miss++) times[Math.floor(((miss + 0.5) * n) / count)] = 90
        if (decide(limit, times) === 'meets') return n
      }
    }
    const counts = [1, 5, 20].map(needed)
    expect(counts[0]).to.be.within(88, 352)
    for (let i = 1; i < counts.length; i++) expect(counts[i]).to.be.at.least(counts[i - 1] as number)
    expect(counts[2]).to.be.above(counts[0] as number)
  })

  it('fails after a few calls when nearly every call misses', () => {
    expect(decide(limit, misses(3))).to.equal('uncertain')
    expect(decide(limit, misses(4))).to.equal('fails')
    expect(decide(limit, [90, 90, 20, 90, 90, 90, 20, 90])).to.equal('fails')
  })

  it('spends no more than its error probability over all looks', () => {
    for (const text of ['p50<5ms@50%', 'p90<5ms@99%', 'p99<5ms@99.9%', 'p1<5ms', 'p99.9<5ms']) {
      const any = parseLimit(text)
      const alpha = 1 - any.confidence / 100
      const looks = Array.from({ length: 60 }, (_, index) => look(any, index))
      for (const side of ['meets', 'fails'] as const)
        expect(
          looks.reduce((sum, at) => sum + at[side], 0),
          `${text} ${side}`,
        ).to.be.within(0, alpha * (1 + 1e-9))
      for (let i = 1; i < looks.length; i++) expect(looks[i]?.blocks).to.be.at.least(looks[i - 1]?.blocks as number)
    }
  })

  it('says meets or fails when the network is clearly on one side (seed 12)', () => {
    const random = Random.seeded(12)
    const times = (miss: number) => Array.from({ length: 1500 }, () => (random.float() < miss ? 90 : 20))
    for (let i = 0; i < 100; i++) {
      expect(decide(limit, times(0.02))).to.equal('meets')
      expect(decide(limit, times(0.3))).to.equal('fails')
    }
  })

  it('holds for other percentiles and confidences', () => {
    const proving = (text: string) => {
      for (let n = 1; ; n++) if (decide(parseLimit(text), hits(n)) === 'meets') return n
    }
    expect(proving('p50<50ms@50%')).to.equal(2)
    expect(proving('p99<50ms@99%')).to.equal(461)
    expect(proving('p1<50ms@99.9%')).to.equal(2)
  })

  it('decides after a hundred thousand calls without holding up the process', () => {
    const random = Random.seeded(13)
    const times = Array.from({ length: 100_000 }, () => 0.1 + 0.05 * random.float())
    const begun = performance.now()
    decide(parseLimit('p90<0.145ms'), times)
    expect(performance.now() - begun).to.be.below(1000)
  })

  it('of several limits is met when all are and failed when one is', () => {
    const strict = parseLimit('p99<25ms')
    expect(decideAll([limit, strict], hits(44))).to.equal('uncertain')
    expect(decideAll([limit, strict], hits(461))).to.equal('meets')
    expect(decideAll([limit, strict], Array<number>(461).fill(30))).to.equal('fails')
  })
})

describe('effective calls', () => {
  const calls = (count: number, of: number) => Array.from({ length: of }, (_, i) => ({ calls: 100, counted: i % 2 === 0 ? 2 * count : 0 }))
  it('are the blocks when nothing is counted', () => {
    for (const n of [1, 7, 44, 300]) expect(effectiveCalls(calls(0, n))).to.be.closeTo(n, 1e-9)
  })
  it('are nearly all calls when they are independent and many (seed 14)', () => {
    const random = Random.seeded(14)
    const blocks = Array.from({ length: 2000 }, () => ({ calls: 10, counted: Array.from({ length: 10 }, () => random.float()).filter((x) => x < 0.1).length }))
    expect(effectiveCalls(blocks)).to.be.within(10_000, 20_000)
  })
  it('are few when misses come in bursts, however long these are', () => {
    const burst = (length: number) => Array.from({ length: 1024 }, (_, i) => ({ calls: 10, counted: Math.floor(i / length) % 8 === 0 ? 10 : 0 }))
    expect(effectiveCalls(burst(1))).to.be.below(1100)
    expect(effectiveCalls(burst(8))).to.be.below(200)
    expect(effectiveCalls(burst(32))).to.be.below(60)
  })
})
