import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { parseLimit } from '../../lib/latency/limit.js'
import { fingerprint } from '../../lib/latency/machine.js'
import { type Measurable, type MeasureEnvironment, type MeasureOptions, measureLatency } from '../../lib/latency/measure.js'
import { percentile, percentileInterval, relativeSpread, sort } from '../../lib/latency/statistics.js'
import type { NativeMeasureOptions } from '../../lib/native.js'
import { Random } from '../../lib/random.js'

/** A model whose times are made up, on a clock that advances by them; the native clock sees `overhead` less of every call. */
function fake(
  time: (run: number, cold: boolean) => number,
  overhead = 0,
): {
  model: Measurable
  clips: Set<number>
  environment: MeasureEnvironment
  calls: NativeMeasureOptions[]
  slept: number[]
} {
  let seconds = 0
  let runs = 0
  const calls: NativeMeasureOptions[] = []
  const slept: number[] = []
  const clips = new Set<number>()
  return {
    calls,
    clips,
    slept,
    model: {
      async call(clip) {
        clips.add(clip.byteOffset)
        seconds += time(runs++, false) / 1000
      },
      async measure(options) {
        calls.push(options)
        const times = Float64Array.from({ length: options.runs }, () => time(runs++, options.cold) - overhead)
        seconds += times.reduce((sum, t) => sum + t, 0) / 1000
        return { ms: times }
      },
    },
    environment: { now: () => seconds, sleep: async (s) => (slept.push(s), (seconds += s)), machine: () => 'm' },
  }
}

const shape = [2, 8, 8, 3]
const measure = (machine: ReturnType<typeof fake>, options: MeasureOptions = {}) =>
  measureLatency(machine.model, shape, { core: -1, ...options }, machine.environment)

describe('statistics', () => {
  it('takes the nearest rank', () => {
    const sorted = sort([5, 1, 4, 2, 3])
    expect([0, 20, 20.1, 50, 80, 81, 100].map((p) => percentile(sorted, p))).to.deep.equal([1, 1, 2, 3, 4, 5, 5])
    expect(percentile(sort(Array.from({ length: 10 }, (_, i) => i)), 90)).to.equal(8)
    expect(percentile([], 50)).to.satisfy(Number.isNaN)
  })

  it('covers the percentile as often as it promises (seed 3)', () => {
    const random = Random.seeded(3)
    for (const n of [44, 200]) {
      let covered = 0
      for (let i = 0; i < 1000; i++) {
        const [low, high] = percentileInterval(sort(Array.from({ length: n }, () => random.float())), 90, 95)
        if (low <= 0.9 && 0.9 <= high) covered++
      }
      // 95 % less three standard deviations
      expect(covered, `n = ${n}`).to.be.within(930, 1000)
    }
    expect(percentileInterval(sort([1, 2, 3]), 10, 99)).to.deep.equal([0, 3])
    expect(percentileInterval(sort([1, 2, 3]), 90, 99)).to.deep.equal([1, Number.POSITIVE_INFINITY])
  })

  it('estimates the spread in spite of outliers (seed 4)', () => {
    const random = Random.seeded(4)
    const times = Array.from({ length: 2000 }, (_, i) => (i % 50 === 0 ? 100 : 10 + 0.5 * random.normal()))
    expect(relativeSpread(sort(times))).to.be.closeTo(0.05, 0.005)
  })
})

describe('measureLatency', () => {
  it('leaves the warm-up out of the figures', async () => {
    const machine = fake((run) => (run < 20 ? 10 - run * 0.4 : 2))
    const report = await measure(machine, { limits: [parseLimit('p90<5ms')] })
    expect(report).to.include({ verdict: 'meets', machine: 'm' })
    expect(report.samples).to.be.within(44 * 10, 44 * 10 + 50)
    for (const figure of [report.p50, report.p90, report.p99, report.min]) expect(figure).to.be.closeTo(2, 1e-9)
    expect(report.limits).to.deep.equal(['p90<5ms@99%'])
    expect(report.ci[0]).to.be.closeTo(2, 1e-9)
    expect(report.ci[1]).to.be.closeTo(2, 1e-9)
    expect([...machine.clips]).to.deep.equal([0, 384, 768, 1152])
    expect(machine.calls[0]?.clips.length).to.equal(4 * 2 * 8 * 8 * 3)
  })

  it('judges by the call and tells apart what is computed in it', async () => {
    const report = await measure(
      fake(() => 5.5, 1),
      { limits: [parseLimit('p90<5ms')] },
    )
    expect(report.verdict).to.equal('fails')
    expect(report.p50).to.be.closeTo(5.5, 1e-9)
    expect(report.compute).to.deep.equal({ p50: 4.5, p90: 4.5, p99: 4.5, samples: 90 })
  })

  it('rejects a slow network within a few runs', async () => {
    const report = await measure(
      fake(() => 50),
      { limits: [parseLimit('p90<5ms')] },
    )
    expect(report).to.include({ verdict: 'fails', samples: 4 })
    const slower = await measure(
      fake(() => 1680),
      { limits: [parseLimit('p90<20ms')] },
    )
    expect(slower).to.include({ verdict: 'fails', samples: 4 })
  })

  it('samples an uncertain network again after a pause and then says uncertain (seed 5)', async () => {
    const random = Random.seeded(5)
    const machine = fake(() => (random.float() < 0.095 ? 6 : 4))
    const report = await measure(machine, { limits: [parseLimit('p90<5ms')], maxSeconds: 1 })
    expect(report.verdict).to.equal('uncertain')
    expect(machine.slept).to.deep.equal([0.5])
    expect(report.samples).to.be.within(350, 704)
  })

  it('measures cold caches apart', async () => {
    const machine = fake((_, cold) => (cold ? 9 : 3))
    const report = await measure(machine, { coldRuns: 4 })
    expect(report.cold).to.deep.equal({ p50: 9, max: 9, samples: 4 })
    expect(report.p99).to.be.closeTo(3, 1e-9)
    expect(report.samples).to.equal(200)
    expect(report).not.to.have.property('verdict')
    expect(
      await measure(
        fake(() => 3),
        { coldRuns: 0 },
      ),
    ).not.to.have.property('cold')
  })

  it('without a limit stops at its time, with at least one sample', async () => {
    expect(
      (
        await measure(
          fake(() => 100),
          { maxSeconds: 1 },
        )
      ).samples,
    ).to.be.within(10, 12)
    expect(
      (
        await measure(
          fake(() => 5000),
          { maxSeconds: 1 },
        )
      ).samples,
    ).to.equal(1)
  })

  it('stops when it is aborted', async () => {
    const controller = new AbortController()
    const machine = fake((run) => {
      if (run === 30) controller.abort(new Error('enough'))
      return 3
    })
    const failure = await measure(machine, { signal: controller.signal }).catch((error: Error) => error)
    expect(failure).to.be.instanceOf(TvnError).and.include({ code: 'ERR_ABORTED' })
    expect((failure as Error).cause).to.have.property('message', 'enough')
  })
})

describe('machine', () => {
  const parts = { cpu: 'X', features: ['b', 'a'], isa: 'avx2', governor: 'performance', kernel: '6.1', engine: '0.1.0' }

  it('has an id that changes with every part but not with the order of features', () => {
    const { id } = fingerprint(parts)
    expect(id).to.match(/^[0-9a-f]{16}$/)
    expect(fingerprint({ ...parts, features: ['a', 'b'] }).id).to.equal(id)
    for (const change of [{ cpu: 'Y' }, { features: ['a'] }, { isa: 'avx512' }, { governor: 'powersave' }, { kernel: '6.2' }, { engine: '0.2.0' }]) {
      expect(fingerprint({ ...parts, ...change }).id, JSON.stringify(change)).not.to.equal(id)
    }
  })
})
