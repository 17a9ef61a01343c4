import { expect } from 'chai'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { inheritWeights } from '../../lib/train/inherit.js'
import { initialize } from '../../lib/train/initialize.js'

describe('inherited weights', () => {
  it('are taken over where name and shape agree; the rest stays fresh', async () => {
    const network = (filters: number) =>
      Network.parse({
        format: 'tiny-video-nets/network/1',
        name: 'x',
        streams: [{ frames: 2, size: 16, fps: 6 }],
        blocks: [8, filters].map((each) => ({
          spatialType: 'std',
          spatialKernel: 3,
          spatialStride: 2,
          temporalType: '1d',
          temporalKernel: 1,
          temporalStride: 1,
          filters: each,
          expand: 1,
          repeats: 1,
          skip: false,
          squeeze: 0,
          contextGate: false,
          nonLocal: 0,
        })),
        head: 'mean',
      })
    const [child, parent] = [network(16).graph({ classes: 3 }), network(24).graph({ classes: 3 })]
    const [fresh, theirs] = [await initialize(child, Random.seeded(1)), await initialize(parent, Random.seeded(2))]
    const { weights, inherited } = inheritWeights(child, fresh, { graph: parent, weights: theirs })
    expect([...weights.keys()]).to.deep.equal([...fresh.keys()])
    let same = 0
    for (const [name, shape] of Object.entries(child.parameters)) {
      const agrees = parent.parameters[name]?.join() === shape.join()
      if (agrees) same++
      expect(weights.get(name), name).to.equal((agrees ? theirs : fresh).get(name))
    }
    expect(inherited)
      .to.equal(same)
      .and.to.be.within(5, fresh.size - 5)
    // [1,3,3,8,16] and a tensor of another network with as many values but other extents are not the same
    expect(weights.get('blocks.1.0.spatial.weight')).to.equal(fresh.get('blocks.1.0.spatial.weight'))
    expect(weights.get('blocks.0.0.spatial.weight')).to.equal(theirs.get('blocks.0.0.spatial.weight'))
  })
})
