import { expect } from 'chai'
import * as fc from 'fast-check'
import { fitnessOf, multiLabelMetrics, singleLabelMetrics } from '../../lib/train/metrics.js'

describe('single-label metrics', () => {
  const labels = ['a', 'b', 'c']

  it('agree with a calculation by hand', () => {
    const probabilities = Float64Array.of(0.7, 0.2, 0.1, 0.3, 0.5, 0.2, 0.1, 0.6, 0.3, 0.2, 0.3, 0.5)
    const metrics = singleLabelMetrics(probabilities, Int32Array.of(0, 0, 2, 2), labels)
    expect(metrics).to.deep.equal({
      samples: 4,
      top1: 0.5,
      top5: 1,
      perClass: [
        { label: 'a', samples: 2, top1: 0.5 },
        { label: 'b', samples: 0, top1: null },
        { label: 'c', samples: 2, top1: 0.5 },
      ],
      confusion: [
        [1, 1, 0],
        [0, 0, 0],
        [0, 1, 1],
      ],
    })
    expect(fitnessOf(metrics)).to.equal(0.5)
  })

  it('count the fifth place as one of five, the sixth not', () => {
    const six = ['a', 'b', 'c', 'd', 'e', 'f']
    const falling = [0.3, 0.25, 0.2, 0.12, 0.08, 0.05]
    expect(singleLabelMetrics(Float64Array.from(falling), Int32Array.of(4), six)).to.include({ top1: 0, top5: 1 })
    expect(singleLabelMetrics(Float64Array.from(falling), Int32Array.of(5), six)).to.include({ top1: 0, top5: 0 })
  })

  it('do not credit a network that cannot tell classes apart', () => {
    const same = new Float64Array(9).fill(1 / 3)
    expect(singleLabelMetrics(same, Int32Array.of(0, 1, 2), labels).top1).to.be.closeTo(1 / 3, 1e-12)
  })

  it('sum up: the confusion matrix holds every sample, its diagonal is top-1', () => {
    const sample = fc.record({
      truth: fc.integer({ min: 0, max: 2 }),
      row: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
    })
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 40 }), (samples) => {
        const metrics = singleLabelMetrics(
          Float64Array.from(samples.flatMap(({ row }) => row)),
          Int32Array.from(samples, ({ truth }) => truth),
          labels,
        )
        const total = metrics.confusion.flat().reduce((sum, n) => sum + n, 0)
        const right = metrics.confusion.reduce((sum, row, c) => sum + (row[c] as number), 0)
        expect(total).to.equal(samples.length)
        expect(right / total).to.be.closeTo(metrics.top1, 1e-12)
      }),
    )
  })
})

describe('multi-label metrics', () => {
  it('agree with a calculation by hand', () => {
    // class a: positives ranked 1 and 3 of 4 → (1/1 + 2/3) / 2; class b: positive ranked 2 → 1/2; class c: no positive
    const probabilities = Float64Array.of(0.9, 0.8, 0.1, 0.8, 0.9, 0.1, 0.7, 0.1, 0.1, 0.1, 0.2, 0.1)
    const truth = Int32Array.of(1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    const metrics = multiLabelMetrics(probabilities, truth, ['a', 'b', 'c'])
    expect(metrics.samples).to.equal(4)
    expect(metrics.perClass.map(({ samples }) => samples)).to.deep.equal([2, 1, 0])
    expect(metrics.perClass[0]?.ap).to.be.closeTo(5 / 6, 1e-12)
    expect(metrics.perClass[1]?.ap).to.equal(0.5)
    expect(metrics.perClass[2]?.ap).to.equal(null)
    expect(metrics.map).to.be.closeTo((5 / 6 + 1 / 2) / 2, 1e-12)
  })

  it('treat equal scores as one threshold, in whatever order the samples come', () => {
    const score = Float64Array.of(0.5, 0.5, 0.5, 0.5)
    for (const truth of [Int32Array.of(1, 0, 0, 0), Int32Array.of(0, 0, 0, 1)]) expect(multiLabelMetrics(score, truth, ['a']).map).to.equal(0.25)
  })

  it('are null without any positive sample', () => {
    const metrics = multiLabelMetrics(Float64Array.of(0.1, 0.2), Int32Array.of(0, 0), ['a'])
    expect(metrics.map).to.equal(null)
    expect(fitnessOf(metrics)).to.equal(0)
  })
})
