import { expect } from 'chai'
import { binomialAtLeast, binomialAtMost, lowerCritical, upperCritical } from '../../lib/latency/binomial.js'
import { parseLimit } from '../../lib/latency/limit.js'
import { decide, decideAll, type Look, look } from '../../lib/latency/verdict.js'
import { Random } from '../../lib/random.js'

const limit = parseLimit('p90<5ms@99%')
const hits = (n: number) => Array<number>(n).fill(1)

/** Follows one machine whose runs miss with probability `miss` until the verdict or `cap` samples. */
function simulate(random: Random, miss: number, cap: number): { verdict: string; samples: number } {
  const times: number[] = []
  for (;;) {
    const { verdict, next } = decide(limit, times)
    if (verdict !== 'uncertain' || next > cap) return { verdict, samples: times.length }
    while (times.length < next) times.push(random.float() < miss ? 6 : 1)
  }
}

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
  it('is proved by 44 runs without a miss, not by 43', () => {
    expect(decide(limit, hits(43))).to.deep.equal({ verdict: 'uncertain', next: 44 })
    expect(decide(limit, hits(44)).verdict).to.equal('meets')
    expect(decide(limit, [...hits(43), 5]).verdict, 'exactly the limit is a miss').to.equal('uncertain')
  })

  it('needs more runs with every miss', () => {
    const needed = (misses: number) => {
      for (let index = 0; ; index++) if (look(limit, index).meetsUpTo >= misses) return look(limit, index).samples
    }
    const counts = [0, 1, 5, 20, 60].map(needed)
    expect(counts[0]).to.equal(44)
    for (let i = 1; i < counts.length; i++) expect(counts[i]).to.be.above(counts[i - 1] as number)
    expect(needed(1)).to.be.at.most(176)
  })

  it('fails after a few runs when nearly every run misses, without waiting for such looks', () => {
    expect(decide(limit, Array<number>(3).fill(9))).to.deep.equal({ verdict: 'uncertain', next: 11 })
    expect(decide(limit, Array<number>(4).fill(9)).verdict).to.equal('fails')
    expect(decide(limit, [9, 9, 1, 9, 9, 9, 1, 9]).verdict).to.equal('fails')
  })

  it('spends no more than its error probability, exactly: the chances of all looks add up to it', () => {
    for (const text of ['p50<5ms@50%', 'p90<5ms@99%', 'p99<5ms@99.9%', 'p1<5ms', 'p99.9<5ms']) {
      const any = parseLimit(text)
      const [miss, alpha] = [1 - any.percentile / 100, 1 - any.confidence / 100]
      const looks = Array.from({ length: 18 }, (_, index) => look(any, index)).filter(({ samples }) => samples < 20_000)
      const sum = (chance: (look: Look) => number) => looks.reduce((total, at) => total + chance(at), 0)
      expect(
        sum(({ samples, failsFrom }) => binomialAtLeast(samples, failsFrom, miss)),
        text,
      ).to.be.within(0, alpha)
      expect(
        sum(({ samples, meetsUpTo }) => binomialAtMost(samples, meetsUpTo, miss)),
        text,
      ).to.be.within(0, alpha)
    }
  })

  it('keeps both errors below 1 % over all its looks (seed 11)', function () {
    this.timeout(30_000)
    const random = Random.seeded(11)
    const runs = 5000
    // Worst cases: a network that only just fails, and one that only just meets.
    let falseMeets = 0
    let falseFails = 0
    for (let i = 0; i < runs; i++) {
      if (simulate(random, 0.1, 3000).verdict === 'meets') falseMeets++
      if (simulate(random, 0.0999, 3000).verdict === 'fails') falseFails++
    }
    // Three standard deviations above 1 % of 5000.
    expect(falseMeets).to.be.within(1, 50 + 21)
    expect(falseFails).to.be.within(1, 50 + 21)
  })

  it('says meets or fails when the network is clearly on one side (seed 12)', () => {
    const random = Random.seeded(12)
    for (let i = 0; i < 300; i++) {
      const good = simulate(random, 0.02, 3000)
      const bad = simulate(random, 0.3, 3000)
      expect(good.verdict).to.equal('meets')
      expect(bad.verdict).to.equal('fails')
      expect(bad.samples).to.be.below(1000)
    }
  })

  it('holds for other percentiles and confidences', () => {
    const proving = (text: string) => {
      for (let index = 0; ; index++) if (look(parseLimit(text), index).meetsUpTo >= 0) return look(parseLimit(text), index).samples
    }
    expect(proving('p50<5ms@50%')).to.equal(2)
    expect(proving('p99<5ms@99%')).to.equal(461)
    expect(proving('p1<5ms@99.9%')).to.equal(2)
  })

  it('decides the longest test that is allowed without holding up the process', () => {
    const longest = parseLimit('p99.999<5ms')
    const begun = performance.now()
    expect(decide(longest, hits(462_535)).verdict).to.equal('meets')
    expect(decide(longest, Array<number>(64).fill(9)).verdict).to.equal('fails')
    expect(performance.now() - begun).to.be.below(1000)
  })

  it('of several limits is met when all are and failed when one is', () => {
    const strict = parseLimit('p99<2ms')
    expect(decideAll([limit, strict], hits(44)).verdict).to.equal('uncertain')
    expect(decideAll([limit, strict], hits(44)).next).to.equal(116)
    expect(decideAll([limit, strict], hits(461)).verdict).to.equal('meets')
    expect(decideAll([limit, strict], Array<number>(461).fill(3)).verdict).to.equal('fails')
  })
})
