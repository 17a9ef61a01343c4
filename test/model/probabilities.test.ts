import { expect } from 'chai'
import { meanProbabilities, topPredictions } from '../../lib/model/probabilities.js'

describe('probabilities', () => {
  it('are the mean of the softmax of the views, for logits of any size', () => {
    const mean = meanProbabilities(Float32Array.of(1000, 1000, -1000, Math.log(2), Math.log(1), Math.log(1)), 3, 'single-label')
    expect([...mean].map((p) => Number(p.toFixed(6)))).to.deep.equal([0.5, 0.375, 0.125])
  })

  it('are a sigmoid each for a multi-label task', () => {
    const mean = meanProbabilities(Float32Array.of(0, 200, -200, Math.log(3)), 2, 'multi-label')
    expect(mean[0]).to.be.closeTo(0.25, 1e-7)
    expect(mean[1]).to.be.closeTo((1 + 0.75) / 2, 1e-7)
  })

  it('are ranked best first, equals in the order of the labels', () => {
    expect(topPredictions(Float64Array.of(0.2, 0.4, 0.4), ['a', 'b', 'c'], 2)).to.deep.equal([
      { label: 'b', probability: 0.4 },
      { label: 'c', probability: 0.4 },
    ])
    expect(topPredictions(Float64Array.of(0.2, 0.8), ['a', 'b'], 9)).to.have.length(2)
  })
})
