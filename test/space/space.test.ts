import { expect } from 'chai'
import fc from 'fast-check'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TvnError } from '../../lib/errors.js'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { type Domain, extremes } from '../../lib/space/domain.js'
import { type Mutation, mutate } from '../../lib/space/mutate.js'
import { sample } from '../../lib/space/sample.js'
import { candidates, smallest } from '../../lib/space/smallest.js'
import { contains, parseSpace, readSpace, type Space, spaceFormat, spaces, withFrames } from '../../lib/space/space.js'

const seed = fc.integer({ min: 0, max: 2 ** 31 })
const samples = (space: Space, count: number, from = 1): Network[] => {
  const random = Random.seeded(from)
  return Array.from({ length: count }, () => sample(space, random))
}

/** Two blocks of two choices each and nothing else: small enough to look at every member. */
const tiny = {
  format: spaceFormat,
  name: 'tiny',
  stream: { frames: [1, 2], size: [8], fps: [4] },
  blocks: [1, 2],
  block: {
    spatialType: ['std', 'maxpool'],
    spatialKernel: [1, 3],
    spatialStride: [1, 2],
    temporalType: ['1d'],
    temporalKernel: [1],
    temporalStride: [1],
    filters: [8, 16],
    expand: [1],
    repeats: [1],
    skip: [false],
    squeeze: [0],
    contextGate: [false],
    nonLocal: [0],
  },
}

describe('spaces', () => {
  it('have the domains of the paper and of the demo', () => {
    const { small, full } = spaces
    expect(extremes(small.stream.frames)).to.deep.equal([1, 2, 4, 8, 12])
    expect(extremes(small.stream.size)).to.deep.equal([24, 32, 40, 48])
    expect(extremes(small.stream.fps)).to.deep.equal([4, 6, 8, 12])
    expect(extremes(small.blocks)).to.deep.equal([2, 4])
    expect(extremes(small.block.filters)).to.deep.equal([8, 16, 24, 32, 48])
    expect(extremes(small.block.squeeze)).to.deep.equal([0, 0.1, 0.5])
    expect(extremes(full.stream.size)).to.deep.equal([32, 320])
    expect(extremes(full.stream.frames)).to.deep.equal([1, 128])
    expect(extremes(full.block.filters)).to.deep.equal([32, 64, 128, 256, 348, 512, 1024])
  })

  it('full holds the block genes of every released network', () => {
    for (const name of Network.presets) {
      const network = Network.preset(name)
      // the rates of the released files are no whole numbers of frames a second
      const json = { ...network.toJSON(), streams: [{ ...network.streams[0], fps: 5 }] }
      expect(contains(spaces.full, Network.parse(json)), name).to.equal(true)
      expect(contains(spaces.small, network), name).to.equal(false)
    }
  })
})

describe('sample', () => {
  for (const space of [spaces.small, spaces.full]) {
    const networks = samples(space, space.name === 'small' ? 4000 : 1500)

    it(`${space.name}: gives members of the space that can be built`, () => {
      for (const network of networks) {
        expect(contains(space, network), JSON.stringify(network)).to.equal(true)
        expect(network.isBuildable(), JSON.stringify(network)).to.equal(true)
        expect(Network.parse(JSON.stringify(network)).hash()).to.equal(network.hash())
      }
    })

    it(`${space.name}: reaches every value of every domain`, () => {
      const missing = (gene: string, domain: Domain<never>, seen: Set<unknown>): string[] =>
        domain.flatMap((choice: any) => {
          if (typeof choice !== 'object') return seen.has(choice) ? [] : [`${gene} ${choice}`]
          if ('value' in choice) return seen.has(choice.value) ? [] : [`${gene} ${choice.value}`]
          const numbers = [...seen].filter((value) => typeof value === 'number' && value >= choice.min && value <= choice.max) as number[]
          const width = choice.max - choice.min
          // a wide range is reached when both of its ends and its middle are
          if (choice.real || width > 10)
            return [choice.min, choice.min + width / 2, choice.max]
              .filter((x) => !numbers.some((value) => Math.abs(value - x) < width / 8))
              .map((x) => `${gene} near ${x}`)
          return Array.from({ length: width + 1 }, (_, i) => choice.min + i)
            .filter((x) => !seen.has(x))
            .map((x) => `${gene} ${x}`)
        })
      const gaps = [
        ...Object.entries(space.stream).flatMap(([gene, domain]) =>
          missing(gene, domain as never, new Set(networks.map(({ streams }) => streams[0][gene as never]))),
        ),
        ...Object.entries(space.block).flatMap(([gene, domain]) =>
          missing(gene, domain as never, new Set(networks.flatMap(({ blocks }) => blocks.map((block) => block[gene as never])))),
        ),
        ...missing('blocks', space.blocks as never, new Set(networks.map(({ blocks }) => blocks.length))),
      ]
      expect(gaps).to.deep.equal([])
    })
  }

  it('gives the same network for the same seed, named by the caller', () => {
    fc.assert(
      fc.property(seed, (n) => {
        const [a, b] = [sample(spaces.full, Random.seeded(n), 'a'), sample(spaces.full, Random.seeded(n), 'b')]
        expect([a.name, b.name, a.hash()]).to.deep.equal(['a', 'b', b.hash()])
      }),
    )
  })

  it('small: half of all proposals or more are affordable for the demo', () => {
    const affordable = samples(spaces.small, 2000, 7).filter((network) => {
      const { params, macs } = network.cost({ classes: 10 })
      return params <= 100_000 && macs < 40e6
    })
    expect(affordable.length).to.be.within(1000, 1800)
  })

  it('says so where nothing can be built', () => {
    const space = withFrames(
      {
        ...spaces.full,
        stream: { ...spaces.full.stream, size: [320] },
        block: { ...spaces.full.block, filters: [1024], expand: [8], invertedBottleneck: [true] },
      },
      128,
    )
    expect(() => sample(space, Random.seeded(1))).to.throw(TvnError, /space full.*too large/)
  })
})

describe('mutate', () => {
  for (const space of [spaces.small, spaces.full]) {
    it(`${space.name}: changes a few genes and stays in the space`, () => {
      fc.assert(
        fc.property(seed, (n) => {
          const random = Random.seeded(n)
          const parent = sample(space, random)
          const { network, mutations } = mutate(space, parent, random, 'child') as Mutation
          expect(network.hash()).to.not.equal(parent.hash())
          expect(network.name).to.equal('child')
          expect(contains(space, network), JSON.stringify(network)).to.equal(true)
          expect(network.isBuildable()).to.equal(true)
          expect(network.computesLike(parent)).to.equal(false)
          expect(mutations.length).to.be.within(1, 3)
          const blocks = mutations.filter((mutation) => mutation.startsWith('blocks.'))
          const grown = blocks.filter((mutation) => !mutation.startsWith('blocks.remove')).length
          expect(network.blocks.length).to.equal(parent.blocks.length + grown - (blocks.length - grown))
          if (blocks.length === 0) expect(changedGenes(parent, network)).to.have.members(mutations)
        }),
        { numRuns: 500 },
      )
    })
  }

  it('names every kind of change sooner or later', () => {
    const random = Random.seeded(5)
    const kinds = new Set<string>()
    for (const parent of samples(spaces.full, 800))
      for (const mutation of (mutate(spaces.full, parent, random) as Mutation).mutations) kinds.add(mutation.replace(/\[\d+\]/, '[]'))
    const { stream, block } = spaces.full
    expect([...kinds]).to.have.members([
      ...Object.keys(stream).map((gene) => `streams[].${gene}`),
      ...Object.keys(block).map((gene) => `${gene}[]`),
      'blocks.add[]',
      'blocks.duplicate[]',
      'blocks.remove[]',
    ])
  })

  it('duplicates a block as it is, beside itself', () => {
    const random = Random.seeded(11)
    let seen = 0
    for (const parent of samples(spaces.small, 800)) {
      const { network, mutations } = mutate(spaces.small, parent, random) as Mutation
      const i = Number(/^blocks\.duplicate\[(\d+)\]$/.exec(mutations.join())?.[1])
      if (Number.isNaN(i)) continue
      seen++
      expect(network.blocks).to.deep.equal(parent.blocks.toSpliced(i, 0, parent.blocks[i] as never))
    }
    expect(seen).to.be.above(5)
  })

  it('gives the same child for the same seed', () => {
    const parent = sample(spaces.small, Random.seeded(1))
    const [a, b] = [mutate(spaces.small, parent, Random.seeded(2)), mutate(spaces.small, parent, Random.seeded(2))]
    expect(a).to.deep.equal(b)
  })

  it('gives a child even where only genes without effect can change, and refuses where none can', () => {
    const block = { ...tiny.block, spatialType: ['maxpool'], spatialKernel: [1], filters: [8] }
    const silent = parseSpace({ ...tiny, stream: { ...tiny.stream, frames: [1] }, blocks: [1], block })
    const parent = sample(silent, Random.seeded(1))
    expect(mutate(silent, parent, Random.seeded(1))?.mutations).to.deep.equal(['spatialStride[0]'])
    const fixed = parseSpace({ ...tiny, stream: { ...tiny.stream, frames: [1] }, blocks: [1], block: { ...block, spatialStride: [2] } })
    expect(mutate(fixed, sample(fixed, Random.seeded(1)), Random.seeded(1))).to.equal(undefined)
  })
})

describe('smallest', () => {
  it('is the cheapest member of a space small enough to look at all of it', () => {
    const space = parseSpace(tiny)
    const macs = samples(space, 3000).map((network) => network.cost({ classes: 2 }).macs)
    expect(smallest(space).cost({ classes: 2 }).macs).to.equal(Math.min(...macs))
  })

  for (const space of [spaces.small, spaces.full]) {
    it(`${space.name}: is in the space and cheaper than any random member`, () => {
      const list = candidates(space)
      const macs = list.map((network) => network.cost({ classes: 2 }).macs)
      expect(macs).to.deep.equal(macs.toSorted((a, b) => a - b))
      expect(list.map(({ blocks }) => blocks[0]?.spatialType)).to.have.members(['std', 'depth', 'maxpool', 'avgpool'])
      for (const network of list) expect(contains(space, network)).to.equal(true)
      for (const network of samples(space, 2000)) expect(network.cost({ classes: 2 }).macs).to.be.at.least(macs[0] as number)
    })
  }
})

describe('space files', () => {
  it('are read with defaults for what a network may leave out', () => {
    const space = parseSpace(JSON.stringify(tiny))
    expect(space.block.invertedBottleneck).to.deep.equal([false])
    expect(space.block.activation).to.deep.equal(['relu'])
    expect(space.head).to.deep.equal(['mean'])
    expect(new Set(samples(space, 300).map((network) => network.hash())).size).to.be.above(100)
  })

  it('hold whole spaces: the named ones survive being written and read', () => {
    for (const space of [spaces.small, spaces.full]) {
      const read = parseSpace(JSON.stringify({ format: spaceFormat, ...space }))
      expect(sample(read, Random.seeded(9)).hash()).to.equal(sample(space, Random.seeded(9)).hash())
    }
  })

  const edited = (edit: (json: any) => void) => {
    const json = structuredClone(tiny)
    edit(json)
    return json
  }
  const cases: [string, unknown, RegExp][] = [
    ['text that is not JSON', '{"name": ', /^a space must be JSON: /],
    [
      'a mistyped gene',
      edited((json) => {
        json.block.filter = [8]
      }),
      /^block\.filter is not a known key: did you mean filters\?/,
    ],
    [
      'a missing gene',
      edited((json) => {
        delete json.block.skip
      }),
      /^block\.skip must be an array of 1 to 100 values or ranges, got nothing/,
    ],
    [
      'no value',
      edited((json) => {
        json.stream.fps = []
      }),
      /^stream\.fps must be an array of 1 to 100 values or ranges, got \[\]/,
    ],
    [
      'a value out of bounds',
      edited((json) => {
        json.block.spatialKernel = [3, 9]
      }),
      /^block\.spatialKernel\[1\] must be a whole number from 1 to 7, got 9/,
    ],
    [
      'a weighted value out of bounds',
      edited((json) => {
        json.block.spatialKernel = [{ value: 9, weight: 2 }]
      }),
      /^block\.spatialKernel\[0\]\.value must be a whole number from 1 to 7, got 9/,
    ],
    [
      'a weight of nothing',
      edited((json) => {
        json.block.spatialKernel = [{ value: 3, weight: 0 }]
      }),
      /^block\.spatialKernel\[0\]\.weight must be a number above 0, got 0/,
    ],
    [
      'a range out of bounds',
      edited((json) => {
        json.stream.size = [{ min: 8, max: 400 }]
      }),
      /^stream\.size\[0\] must be a whole number from 8 to 320, got 321/,
    ],
    [
      'a range with a hole',
      edited((json) => {
        json.block.nonLocal = [{ min: 0, max: 16 }]
      }),
      /^block\.nonLocal\[0\] must be 0 \(off\) or a whole number from 8 to 1024, got 1/,
    ],
    [
      'a range upside down',
      edited((json) => {
        json.stream.size = [{ min: 32, max: 16 }]
      }),
      /^stream\.size\[0\]\.max must be at least min, 32, got 16/,
    ],
    [
      'fractions where whole numbers belong',
      edited((json) => {
        json.block.filters = [{ min: 8, max: 16, real: true }]
      }),
      /^block\.filters\[0\] must be a whole number from 1 to 2048, got 10\.5/,
    ],
    [
      'fractions unannounced',
      edited((json) => {
        json.block.squeeze = [{ min: 0.1, max: 0.5 }]
      }),
      /^block\.squeeze\[0\] must have "real": true/,
    ],
    [
      'zero on a logarithmic scale',
      edited((json) => {
        json.block.squeeze = [{ min: 0, max: 0.5, real: true, log: true }]
      }),
      /^block\.squeeze\[0\]\.min must be above 0/,
    ],
    [
      'a range of words',
      edited((json) => {
        json.block.spatialType = [{ min: 'depth', max: 'std' }]
      }),
      /^block\.spatialType\[0\]\.min must be a number, got "depth"/,
    ],
    [
      'an unknown type',
      edited((json) => {
        json.block.spatialType = ['conv']
      }),
      /^block\.spatialType\[0\] must be one of std, depth, maxpool, avgpool, got "conv"/,
    ],
    ['a network', Network.preset('tvn-1').toJSON(), /^a space: streams is not a known key: did you mean stream\?/],
  ]
  for (const [what, json, message] of cases) {
    it(`refuse ${what}`, () =>
      expect(() => parseSpace(json))
        .to.throw(TvnError, message)
        .with.property('code', 'ERR_ARGUMENT'))
  }

  it('are found by name or by path, and errors name them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tvn-space-'))
    try {
      const file = join(folder, 'mine.json')
      await writeFile(file, JSON.stringify(tiny))
      expect((await readSpace(file)).name).to.equal('tiny')
      expect(await readSpace('small')).to.equal(spaces.small)
      await writeFile(file, JSON.stringify({ ...tiny, blocks: [99] }))
      expect(await refusal(readSpace(file))).to.match(/^ERR_ARGUMENT .*mine\.json: blocks\[0\] must be a whole number from 1 to 16, got 99$/)
      expect(await refusal(readSpace('smal'))).to.match(/^ERR_ARGUMENT space "smal" is neither a known space nor a file: did you mean small\?/)
      expect(await refusal(readSpace(folder))).to.match(/^ERR_FILE space .* cannot be read: /)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('withFrames fixes the frames of every member and nothing else', () => {
    const space = withFrames(spaces.small, 16)
    for (const network of samples(space, 50)) expect(network.streams[0].frames).to.equal(16)
    expect(() => withFrames(spaces.small, 0)).to.throw(TvnError, /^frames must be a whole number from 1 to 128, got 0/)
  })
})

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return error instanceof TvnError ? `${error.code} ${error.message}` : String(error)
  }
  return expect.fail('was accepted')
}

/** Genes that differ between networks with as many blocks, by the names that `mutate` gives them. */
function changedGenes(a: Network, b: Network): string[] {
  const differing = (x: object, y: object): string[] => Object.keys(x).filter((key) => x[key as never] !== y[key as never])
  return [
    ...differing(a.streams[0], b.streams[0]).map((gene) => `streams[0].${gene}`),
    ...a.blocks.flatMap((block, i) => differing(block, b.blocks[i] as object).map((gene) => `${gene}[${i}]`)),
  ]
}
