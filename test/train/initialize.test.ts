import { expect } from 'chai'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { initialize } from '../../lib/train/initialize.js'

const network = Network.parse({
  format: 'tiny-video-nets/network/1',
  name: 'all-parts',
  streams: [{ frames: 4, size: 32, fps: 8 }],
  blocks: [
    {
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: 2,
      temporalType: '1d',
      temporalKernel: 3,
      temporalStride: 1,
      filters: 64,
      expand: 2,
      repeats: 2,
      skip: true,
      squeeze: 0.5,
      contextGate: true,
      nonLocal: 16,
    },
    {
      spatialType: 'depth',
      spatialKernel: 5,
      spatialStride: 2,
      temporalType: 'maxpool',
      temporalKernel: 1,
      temporalStride: 1,
      filters: 256,
      expand: 1,
      repeats: 1,
      skip: false,
      squeeze: 0,
      contextGate: false,
      nonLocal: 0,
    },
  ],
  head: 'mean',
})
const graph = network.graph({ classes: 10 })

function deviation(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length)
}

describe('initial weights', () => {
  let weights: Map<string, Float32Array>
  before(async () => {
    weights = await initialize(graph, Random.seeded(3))
  })
  const of = (name: string) => {
    const found = weights.get(name)
    if (!found) throw new Error(`no tensor ${name} among ${[...weights.keys()].join(', ')}`)
    return found
  }

  it('fill every parameter of the graph to its shape', () => {
    expect([...weights.keys()]).to.deep.equal(Object.keys(graph.parameters))
    for (const [name, shape] of Object.entries(graph.parameters)) expect(of(name).length).to.equal(shape.reduce((a, b) => a * b, 1))
  })

  it('are He-normal by what one output sums', () => {
    expect(deviation(of('blocks.0.0.spatial.weight'))).to.be.closeTo(Math.sqrt(2 / (9 * 64)), 0.03 * Math.sqrt(2 / (9 * 64)))
    expect(deviation(of('blocks.0.0.temporal.weight'))).to.be.closeTo(Math.sqrt(2 / (3 * 64)), 0.03 * Math.sqrt(2 / (3 * 64)))
    expect(deviation(of('blocks.1.0.spatial.weight'))).to.be.closeTo(Math.sqrt(2 / 25), 0.05 * Math.sqrt(2 / 25))
    expect(deviation(of('head.weight'))).to.be.closeTo(0.01, 0.0005)
  })

  it('make every norm the identity but the one that closes a non-local layer', () => {
    for (const [name, values] of weights) {
      if (name.endsWith('.variance')) expect(values.every((x) => x === 1)).to.equal(true)
      else if (name.endsWith('nonLocal.out.norm.gamma')) expect(values.every((x) => x === 0)).to.equal(true)
      else if (name.endsWith('.gamma')) expect(values.every((x) => x === 1)).to.equal(true)
      else if (!name.endsWith('.weight')) expect(values.every((x) => x === 0)).to.equal(true)
    }
    expect(weights.has('blocks.0.0.nonLocal.out.norm.gamma')).to.equal(true)
  })

  it('are a function of the seed', async () => {
    expect(await initialize(graph, Random.seeded(3))).to.deep.equal(weights)
    expect((await initialize(graph, Random.seeded(4))).get('head.weight')).to.not.deep.equal(of('head.weight'))
  })
})
