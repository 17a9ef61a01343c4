import { expect } from 'chai'
import fc from 'fast-check'
import { TvnError } from '../../lib/errors.js'
import { volume } from '../../lib/network/cost.js'
import { buildLimits, Network } from '../../lib/network/network.js'
import type { NetworkJson } from '../../lib/network/schema.js'
import { networkJson } from './arbitrary.js'

const edited = (edit: (json: any) => void, preset = 'tvn-1'): Network => {
  const json = structuredClone(Network.preset(preset).toJSON())
  edit(json)
  return Network.parse(json)
}

describe('Network', () => {
  it('is immutable all the way down', () => {
    const network = Network.preset('tvn-1')
    for (const part of [network, network.streams, network.streams[0], network.blocks, ...network.blocks]) expect(Object.isFrozen(part)).to.equal(true)
    expect(Reflect.set(network, 'name', 'x')).to.equal(false)
  })

  it('keeps nothing of the JSON it came from', () => {
    const json: any = structuredClone(Network.preset('tvn-1').toJSON())
    const network = Network.parse(json)
    json.blocks[0].filters = 1
    expect(network.blocks[0]?.filters).to.equal(64)
  })

  it('names the presets where a name is none', () => {
    for (const name of ['tvn-9', 'constructor', '']) {
      expect(() => Network.preset(name))
        .to.throw(TvnError, /there is no network named ".*".*tvn-1, tvn-2, tvn-3, tvn-4, tvn-mobile-1, tvn-mobile-2/)
        .with.property('code', 'ERR_ARGUMENT')
    }
    expect(Network.presetClasses('tvn-2')).to.equal(8)
    expect(Network.presetClasses('toString')).to.equal(undefined)
  })

  it('hashes genes, not names', () => {
    const network = Network.preset('tvn-1')
    expect(network.rename('other').hash()).to.equal(network.hash())
    expect(network.hash()).to.match(/^[0-9a-f]{64}$/)
    expect(
      edited((json) => {
        json.blocks[0].filters = 65
      }).hash(),
    ).to.not.equal(network.hash())
    expect(
      edited((json) => {
        json.streams[0].fps = 8
      }).hash(),
    ).to.not.equal(network.hash())
  })

  it('knows which genes have no effect', () => {
    const network = Network.preset('tvn-1')
    // block 1 has one frame left, so its temporal layer is left out, whatever its genes
    expect(
      edited((json) => {
        json.blocks[1].temporalKernel = 5
        json.blocks[1].temporalType = 'maxpool'
      }).computesLike(network),
    ).to.equal(true)
    expect(
      edited((json) => {
        json.blocks[0].temporalKernel = 1
      }).computesLike(network),
    ).to.equal(false)
    expect(
      edited((json) => {
        json.streams[0].fps = 8
      }).computesLike(network),
    ).to.equal(false)
  })

  it('refuses a count of classes that is none', () => {
    for (const classes of [0, -1, 1.5, Number.NaN, 1e9])
      expect(() => Network.preset('tvn-1').graph({ classes })).to.throw(TvnError, /classes must be a whole number from 1 to 100000/)
  })
})

describe('cost', () => {
  const figures: [string, number, string, string, number][] = [
    ['tvn-1', 339, '26.415', '4.326', 33],
    ['tvn-2', 8, '108.747', '34.613', 109],
    ['tvn-3', 157, '67.243', '53.639', 68],
    ['tvn-4', 339, '43.669', '25.918', 72],
    ['tvn-mobile-1', 339, '7.353', '5.350', 46],
    ['tvn-mobile-2', 339, '5.528', '5.033', 40],
  ]
  for (const [name, classes, megaParams, gigaMacs, layers] of figures) {
    it(`${name}: ${megaParams} M parameters, ${gigaMacs} GMACs, ${layers} layers and the head`, () => {
      const network = Network.preset(name)
      expect(Network.presetClasses(name)).to.equal(classes)
      const cost = network.cost({ classes })
      expect((cost.params / 1e6).toFixed(3)).to.equal(megaParams)
      expect((cost.macs / 1e9).toFixed(3)).to.equal(gigaMacs)
      expect(cost.layers.length).to.equal(layers + 1)
      expect(cost.layers.at(-1)?.name).to.equal('head')
    })
  }

  it('counts the attention of a non-local layer: every query meets every key twice', () => {
    const network = Network.parse({ ...tiny, blocks: [{ ...tiny.blocks[0], nonLocal: 8, temporalKernel: 1 }] })
    const attention = network.cost({ classes: 2 }).layers.find(({ op }) => op === 'attention')
    expect(attention).to.deep.equal({
      name: 'blocks.0.0.nonLocal.attention',
      op: 'attention',
      input: [3, 9, 9, 8],
      output: [3, 9, 9, 8],
      params: 0,
      macs: 2 * (3 * 9 * 9) * (3 * 4 * 4) * 8,
    })
  })

  it('sums to the graph: every trainable parameter once', () => {
    fc.assert(
      fc.property(networkJson(), fc.integer({ min: 1, max: 400 }), (json, classes) => {
        const network = Network.parse(json)
        const { params, layers } = network.cost({ classes })
        expect(layers.reduce((sum, layer) => sum + layer.params, 0)).to.equal(params)
        if (!network.isBuildable()) return
        const trainable = Object.entries(network.graph({ classes }).parameters).filter(([name]) => !/\.norm\.(mean|variance)$/.test(name))
        expect(trainable.reduce((sum, [, shape]) => sum + volume(shape), 0)).to.equal(params)
      }),
    )
  })
})

describe('graph', () => {
  it('is well formed for every valid network', () => {
    fc.assert(
      fc.property(networkJson(), fc.integer({ min: 1, max: 400 }), (json, classes) => {
        // small enough to be built, whatever the genes
        const network = Network.parse({
          ...json,
          streams: [{ ...json.streams[0], frames: Math.min(json.streams[0].frames, 4), size: 8 + (json.streams[0].size % 24) }],
          blocks: json.blocks.map((block) => ({ ...block, filters: 1 + (block.filters % 32) })),
        })
        const graph = network.graph({ classes })
        const known = new Set([graph.input])
        const used: string[] = []
        for (const op of graph.ops) {
          for (const input of op.inputs) expect(known, `${op.name} reads ${input}`).to.include(input)
          expect(known, `${op.name} is written twice`).to.not.include(op.output)
          known.add(op.output)
          if ('parameters' in op) used.push(...Object.values<string>(op.parameters))
        }
        expect(used).to.deep.equal(Object.keys(graph.parameters))
        expect(Object.keys(graph.tensors)).to.have.members([...known])
        expect(graph.tensors[graph.output]).to.deep.equal([1, 1, 1, classes])
        for (const shape of [...Object.values(graph.tensors), ...Object.values(graph.parameters)])
          for (const extent of shape) expect(Number.isInteger(extent) && extent > 0).to.equal(true)
        // every tensor but the output is read
        const read = new Set(graph.ops.flatMap((op) => op.inputs as readonly string[]))
        expect([...known].filter((tensor) => !read.has(tensor))).to.deep.equal([graph.output])
      }),
    )
  })

  it('leaves out a spatial layer of kernel 1 with its stride, and a temporal one of kernel 1 or of one frame', () => {
    const names = (genes: object, frames = 3) =>
      Network.parse({ ...tiny, streams: [{ ...tiny.streams[0], frames }], blocks: [{ ...tiny.blocks[0], ...genes }] }).graph({ classes: 2 })
    const still = names({ spatialKernel: 1, spatialStride: 2 })
    expect(still.ops.map(({ name }) => name)).to.not.include.members(['blocks.0.0.pointwise', 'blocks.0.0.spatial'])
    expect(still.tensors['blocks.0.0.activation']).to.deep.equal([2, 18, 18, 8])
    expect(names({ temporalKernel: 1 }).tensors['blocks.0.0.activation']).to.deep.equal([3, 9, 9, 8])
    expect(names({}, 1).ops.map(({ name }) => name)).to.not.include('blocks.0.0.temporal')
  })

  it('gives the first copy the strides and every other later one the temporal layer, without at first', () => {
    const { ops, tensors } = Network.parse({ ...tiny, streams: [{ frames: 8, size: 18, fps: 8 }], blocks: [{ ...tiny.blocks[0], repeats: 5 }] }).graph({
      classes: 2,
    })
    expect(ops.filter((op) => op.op === 'conv' && op.name.endsWith('.temporal')).map((op) => [op.name, op.op === 'conv' && op.stride])).to.deep.equal([
      ['blocks.0.0.temporal', [2, 1, 1]],
      ['blocks.0.2.temporal', [1, 1, 1]],
      ['blocks.0.4.temporal', [1, 1, 1]],
    ])
    expect(ops.filter((op) => op.op === 'conv' && op.name.endsWith('.spatial')).map((op) => op.op === 'conv' && op.stride[1])).to.deep.equal([2, 1, 1, 1, 1])
    expect(tensors['blocks.0.4.activation']).to.deep.equal([4, 9, 9, 8])
  })

  it('adds a shortcut only where a copy keeps the frames, with its stride only where the height changes', () => {
    const shortcuts = (genes: object, stream: object = {}) =>
      Network.parse({ ...tiny, streams: [{ ...tiny.streams[0], ...stream }], blocks: [{ ...tiny.blocks[0], skip: true, repeats: 2, ...genes }] })
        .graph({ classes: 2 })
        .ops.flatMap((op) => (op.op === 'conv' && op.name.endsWith('.shortcut') ? [[op.name, op.stride[1]]] : []))
    expect(shortcuts({})).to.deep.equal([['blocks.0.1.shortcut', 1]])
    expect(shortcuts({ temporalStride: 1 })).to.deep.equal([
      ['blocks.0.0.shortcut', 2],
      ['blocks.0.1.shortcut', 1],
    ])
    expect(shortcuts({ temporalStride: 1, spatialKernel: 1 })).to.deep.equal([
      ['blocks.0.0.shortcut', 1],
      ['blocks.0.1.shortcut', 1],
    ])
  })

  it('bounds the bottleneck of squeeze and excite from below', () => {
    const width = (squeeze: number, expand: number) =>
      Network.parse({ ...tiny, blocks: [{ ...tiny.blocks[0], squeeze, expand }] }).graph({ classes: 2 }).tensors['blocks.0.0.squeeze.reduce']?.[3]
    expect([width(0.01, 1), width(0.5, 8), width(0.999, 8), width(1, 8)]).to.deep.equal([8, 32, 63, 64])
  })

  it('pools keys and values of a non-local layer only where the map is 2 × 2 or more', () => {
    const pools = (size: number) =>
      Network.parse({
        ...tiny,
        streams: [{ ...tiny.streams[0], size }],
        blocks: [
          { ...tiny.blocks[0], nonLocal: 8, spatialStride: 4 },
          { ...tiny.blocks[0], nonLocal: 8, spatialStride: 4 },
        ],
      })
        .graph({ classes: 2 })
        .ops.filter(({ op, name }) => op === 'pool' && name.includes('nonLocal'))
        .map(({ name }) => name)
    expect(pools(16)).to.deep.equal(['blocks.0.0.nonLocal.phi.pool', 'blocks.0.0.nonLocal.g.pool'])
    expect(pools(17)).to.have.length(4)
  })

  it('is refused where it is too large to be built, before anything of that size exists', () => {
    const wide = edited((json) => {
      for (const block of json.blocks) Object.assign(block, { filters: 2048, expand: 8, invertedBottleneck: true, temporalKernel: 9 })
    })
    const long = edited((json) => {
      Object.assign(json.streams[0], { frames: 128, size: 320 })
      Object.assign(json.blocks[0], { spatialKernel: 1, filters: 2048 })
    })
    for (const network of [wide, long]) {
      expect(network.isBuildable()).to.equal(false)
      expect(() => network.graph({ classes: 2 }))
        .to.throw(TvnError, /^network tvn-1 is too large to be built: /)
        .with.property('code', 'ERR_NETWORK_INVALID')
      expect(network.cost({ classes: 2 }).macs).to.be.above(1e9)
    }
    const heavy = edited((json) => {
      Object.assign(json.streams[0], { frames: 2, size: 8 })
      Object.assign(json.blocks[0], { filters: 2048, expand: 8, invertedBottleneck: true, temporalKernel: 9 })
    })
    expect(() => heavy.graph({ classes: 2 })).to.throw(TvnError, new RegExp(`parameters, more than ${buildLimits.parameters}$`))
  })

  it('builds every released network', () => {
    for (const name of Network.presets) expect(Network.preset(name).isBuildable(), name).to.equal(true)
  })
})

const tiny = {
  format: 'tiny-video-nets/network/1',
  name: 'tiny',
  streams: [{ frames: 3, size: 18, fps: 8 }],
  blocks: [
    {
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: 2,
      temporalType: '1d',
      temporalKernel: 3,
      temporalStride: 2,
      filters: 8,
      expand: 1,
      repeats: 1,
      skip: false,
      squeeze: 0,
      contextGate: false,
      nonLocal: 0,
      invertedBottleneck: false,
      spatialActivation: 'relu',
      temporalActivation: 'relu',
      activation: 'relu',
    },
  ],
  head: 'mean',
} as const satisfies NetworkJson
