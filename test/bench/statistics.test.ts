import { expect } from 'chai'
import { largestDifference, randomValues, summarize } from '../../bench/statistics.js'

describe('statistics of the benchmark', () => {
  it('summarizes runs', () => {
    const ms = Array.from({ length: 11 }, (_, i) => 10 + ((i * 7) % 11))
    expect(summarize(ms)).to.deep.equal({ median: 15, min: 10, p90: 19, runs: 11 })
    expect(summarize([3])).to.deep.equal({ median: 3, min: 3, p90: 3, runs: 1 })
  })

  it('measures differences against the largest value', () => {
    expect(largestDifference([1, -8], [1.4, -8])).to.be.closeTo(0.05, 1e-12)
    expect(largestDifference([0, 0], [0, 0])).to.equal(0)
  })

  it('calls infinite what is not finite or not comparable', () => {
    for (const [got, expected] of [
      [[Number.NaN], [1]],
      [[1], [Number.POSITIVE_INFINITY]],
      [[1, 2], [1]],
      [[], []],
    ] as const)
      expect(largestDifference(got, expected)).to.equal(Number.POSITIVE_INFINITY)
  })

  it('draws the same values for a seed, others for another, all within their bounds', () => {
    const values = randomValues(10_000, 3, -0.5, 2)
    expect(values).to.deep.equal(randomValues(10_000, 3, -0.5, 2))
    expect(values).not.to.deep.equal(randomValues(10_000, 4, -0.5, 2))
    expect(Math.min(...values)).to.be.within(-0.5, -0.49)
    expect(Math.max(...values)).to.be.within(1.99, 2)
    expect(values.reduce((sum, value) => sum + value, 0) / values.length).to.be.closeTo(0.75, 0.03)
  })
})
