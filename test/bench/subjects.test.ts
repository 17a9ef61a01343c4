import { expect } from 'chai'
import { largestDifference } from '../../bench/statistics.js'
import { clipsOf, graphOf, inferenceNetworks, trainingNetworks, weightsOf } from '../../bench/subjects.js'
import { native } from '../../lib/native.js'

describe('networks of the benchmark', () => {
  it('are all Graphs', () => {
    for (const name of [...inferenceNetworks, ...trainingNetworks]) expect(graphOf(name).ops, name).not.to.deep.equal([])
  })

  it('have weights with which a first layer that is wrong shows in the logits', async () => {
    const graph = graphOf('tvn-mobile-1')
    const weights = weightsOf(graph)
    expect([...weights.keys()]).to.deep.equal(Object.keys(graph.parameters))
    const logits = async (changed: Record<string, Float32Array>) => {
      const plan = await native().createPlan(graph, { ...Object.fromEntries(weights), ...changed }, { batch: 1, threads: 1, precision: 'f32' })
      try {
        return await plan.run(clipsOf(graph, 1))
      } finally {
        plan.dispose()
      }
    }
    const right = await logits({})
    expect(right.every(Number.isFinite)).to.equal(true)
    for (const part of ['squeeze.expand.bias', 'spatial.norm.beta', 'expand.norm.mean']) {
      const name = `blocks.0.0.${part}`
      expect(largestDifference(await logits({ [name]: new Float32Array(weights.get(name)?.length ?? 0) }), right), name).to.be.above(3e-3)
    }
  })
})
