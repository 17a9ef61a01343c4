import { expect } from 'chai'
import { Random } from '../../lib/random.js'
import { evolutionSampler, selectParent } from '../../lib/search/samplers/evolution.js'
import { randomSampler } from '../../lib/search/samplers/random.js'
import type { History, Trained } from '../../lib/search/samplers/sampler.js'
import { sample } from '../../lib/space/sample.js'
import { contains, parseSpace, spaces } from '../../lib/space/space.js'

const options = { space: spaces.small, population: 4, tournament: 2 }
const trained = (count: number): Trained[] =>
  Array.from({ length: count }, (_, id) => ({ id, network: sample(spaces.small, Random.seeded(id)), fitness: (id * 7919) % 100 }))
const history = (members: readonly Trained[]): History => ({ trained: members, proposed: new Set(members.map(({ network }) => network.hash())) })
const nothing = history([])

for (const [name, sampler] of Object.entries({ random: randomSampler, evolution: evolutionSampler })) {
  describe(`sampler: ${name}`, () => {
    it('is a function of its arguments and proposes members of the space that are new', () => {
      const before = history(trained(12))
      for (let k = 12; k < 60; k++) {
        const proposal = sampler(k, before, Random.seeded(k), options)
        expect(sampler(k, before, Random.seeded(k), options)).to.deep.equal(proposal)
        expect(contains(spaces.small, proposal.network)).to.equal(true)
        expect(before.proposed.has(proposal.network.hash())).to.equal(false)
        expect(proposal.network.name).to.equal(`trial-${k}`)
      }
    })
  })
}

describe('evolution', () => {
  it('begins with random networks, and goes on with them as long as nothing is trained', () => {
    for (const k of [0, 1, 3]) expect(evolutionSampler(k, history(trained(3)), Random.seeded(k), options).parent).to.equal(null)
    for (const k of [4, 9]) expect(evolutionSampler(k, nothing, Random.seeded(k), options).parent).to.equal(null)
  })

  it('then has children of the best so far, each with what was mutated', () => {
    const members = trained(12)
    const best = [...members].sort((a, b) => b.fitness - a.fitness).slice(0, 4)
    const parents = new Set<number>()
    for (let k = 12; k < 80; k++) {
      const { parent, mutations } = evolutionSampler(k, history(members), Random.seeded(k), options)
      expect(best.map(({ id }) => id)).to.include(parent)
      expect(mutations).to.have.length.above(0)
      parents.add(parent as number)
    }
    expect(parents.size, 'the tournament is drawn').to.be.above(1)
  })

  it('proposes the only network of a space again and again', () => {
    const [parent] = trained(1) as [Trained]
    const gene = (genes: object) => Object.fromEntries(Object.entries(genes).map(([name, value]) => [name, [value]]))
    const [stream, block] = [parent.network.streams[0], parent.network.blocks[0]]
    const space = parseSpace({ format: 'tiny-video-nets/space/1', name: 'one', stream: gene(stream), blocks: [1], block: gene(block as object) })
    const only = { id: 0, fitness: 0.5, network: sample(space, Random.seeded(0)) }
    const { network, parent: from } = evolutionSampler(9, history([only]), Random.seeded(9), { ...options, space })
    expect(network.hash()).to.equal(only.network.hash())
    expect(from).to.equal(null)
  })

  it('lets the fittest of a tournament win, among equals the earlier', () => {
    const [first] = trained(1) as [Trained]
    const members = [30, 80, 80, 10].map((fitness, id) => ({ ...first, id, fitness }))
    expect(selectParent(members, 4, Random.seeded(1)).id).to.equal(1)
    const winners = Array.from({ length: 50 }, (_, seed) => selectParent(members, 1, Random.seeded(seed)).id)
    expect(new Set(winners).size, 'a tournament of one is a draw').to.equal(4)
  })
})
