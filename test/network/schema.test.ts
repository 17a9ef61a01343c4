import { expect } from 'chai'
import fc from 'fast-check'
import { TvnError } from '../../lib/errors.js'
import { Network } from '../../lib/network/network.js'
import type { NetworkJson } from '../../lib/network/schema.js'
import { networkJson } from './arbitrary.js'

const edited = (edit: (json: any) => void): unknown => {
  const json = structuredClone(Network.preset('tvn-1').toJSON())
  edit(json)
  return json
}

function refusal(json: unknown): string {
  try {
    Network.parse(json)
  } catch (error) {
    if (error instanceof TvnError && error.code === 'ERR_NETWORK_INVALID') return error.message
    throw error
  }
  return expect.fail('was accepted')
}

describe('Network JSON', () => {
  it('survives being written and read, as a value and as text', () => {
    fc.assert(
      fc.property(networkJson(), (json) => {
        const network = Network.parse(json)
        expect(network.toJSON()).to.deep.equal(json)
        expect(Network.parse(JSON.stringify(network)).toJSON()).to.deep.equal(json)
        expect(JSON.stringify(Network.parse(shuffled(json)))).to.equal(JSON.stringify(network))
      }),
    )
  })

  it('fills in what may be left out, and takes the inputs that a chain has', () => {
    const short = edited((json) => {
      json.blocks.forEach((block: any, i: number) => {
        for (const gene of ['invertedBottleneck', 'spatialActivation', 'temporalActivation', 'activation']) delete block[gene]
        if (i % 2 === 0) block.inputs = [i]
      })
    })
    expect(Network.parse(short).toJSON()).to.deep.equal(Network.preset('tvn-1').toJSON())
  })

  const blockGenes =
    'spatialType, spatialKernel, spatialStride, temporalType, temporalKernel, temporalStride, filters, expand, repeats, skip, squeeze, contextGate, nonLocal'
  const cases: [string, unknown, string | RegExp][] = [
    [
      'an unknown gene',
      edited((json) => {
        json.blocks[2].spatialKernle = 3
      }),
      new RegExp(`^blocks\\[2\\]\\.spatialKernle is not a known key: did you mean spatialKernel\\? Known are ${blockGenes},`),
    ],
    [
      'a mistyped gene',
      edited((json) => {
        json.blocks[0].fliters = json.blocks[0].filters
        delete json.blocks[0].filters
      }),
      /^blocks\[0\]\.fliters .*did you mean filters\?.* \(and 1 more problem\)$/,
    ],
    [
      'an unknown key at the top',
      edited((json) => {
        json.nmae = 'x'
      }),
      'a network: nmae is not a known key: did you mean name? Known are format, name, streams, blocks, head',
    ],
    [
      'a key like none',
      edited((json) => {
        json.streams[0].zzzzzz = 1
      }),
      'streams[0].zzzzzz is not a known key: known are frames, size, fps',
    ],
    ['a prototype', JSON.stringify(Network.preset('tvn-1')).replace('{', '{"__proto__": {"frames": 1}, '), /^a network: __proto__ is not a known key/],
    [
      'a missing gene',
      edited((json) => {
        delete json.blocks[1].filters
      }),
      'blocks[1].filters must be a whole number from 1 to 2048, got nothing',
    ],
    [
      'a value outside its enumeration',
      edited((json) => {
        json.blocks[0].spatialType = 'conv'
      }),
      'blocks[0].spatialType must be one of std, depth, maxpool, avgpool, got "conv"',
    ],
    [
      'a million repeats',
      edited((json) => {
        json.blocks[0].repeats = 1e6
      }),
      'blocks[0].repeats must be a whole number from 1 to 8, got 1000000',
    ],
    [
      'a fraction',
      edited((json) => {
        json.blocks[2].spatialKernel = 2.5
      }),
      'blocks[2].spatialKernel must be a whole number from 1 to 7, got 2.5',
    ],
    [
      'no number',
      edited((json) => {
        json.blocks[2].squeeze = Number.NaN
      }),
      'blocks[2].squeeze must be a number from 0 to 1, got NaN',
    ],
    [
      'a number as text',
      edited((json) => {
        json.streams[0].fps = '8'
      }),
      'streams[0].fps must be a number from 1 to 60, got "8"',
    ],
    [
      'a switch as a number',
      edited((json) => {
        json.blocks[0].skip = 1
      }),
      'blocks[0].skip must be true or false, got 1',
    ],
    [
      'a non-local layer that is too narrow',
      edited((json) => {
        json.blocks[0].nonLocal = 4
      }),
      'blocks[0].nonLocal must be 0 (off) or a whole number from 8 to 1024, got 4',
    ],
    [
      'several streams',
      edited((json) => {
        json.streams.push(json.streams[0])
      }),
      'streams holds 2 streams: several streams are not supported yet',
    ],
    [
      'no stream',
      edited((json) => {
        json.streams = []
      }),
      'streams must be an array of one stream, got []',
    ],
    [
      'no blocks',
      edited((json) => {
        json.blocks = []
      }),
      'blocks must be an array of 1 to 16 blocks, got []',
    ],
    [
      'too many blocks',
      edited((json) => {
        json.blocks = Array(17).fill(json.blocks[0])
      }),
      /^blocks must be an array of 1 to 16 blocks, got \[\{"spatialType":"std".*…$/,
    ],
    [
      'a block that reads itself',
      edited((json) => {
        json.blocks[2].inputs = [3]
      }),
      /^blocks\[2\]\.inputs names source 3, which comes after this block/,
    ],
    [
      'a block that reads a later block',
      edited((json) => {
        json.blocks[1].inputs = [4]
      }),
      /^blocks\[1\]\.inputs names source 4, which comes after this block/,
    ],
    [
      'a block that skips another',
      edited((json) => {
        json.blocks[2].inputs = [0]
      }),
      /^blocks\[2\]\.inputs skips the block before: .* not supported yet, expected \[2\]$/,
    ],
    [
      'several inputs',
      edited((json) => {
        json.blocks[2].inputs = [2, 1]
      }),
      'blocks[2].inputs names 2 sources: several inputs are not supported yet, expected [2]',
    ],
    [
      'no inputs',
      edited((json) => {
        json.blocks[2].inputs = []
      }),
      /^blocks\[2\]\.inputs must be an array of 1 to 16 sources \(0 is the stream, 1 the first block\), got \[\]$/,
    ],
    [
      'an unknown head',
      edited((json) => {
        json.head = 'max'
      }),
      'head must be one of mean, temporal-softmax, got "max"',
    ],
    [
      'another format',
      edited((json) => {
        json.format = 'tiny-video-nets/model/1'
      }),
      'format must be "tiny-video-nets/network/1", got "tiny-video-nets/model/1"',
    ],
    [
      'a name that could drive a terminal',
      edited((json) => {
        json.name = 'a\u001b[31m'
      }),
      'name must be a text of 1 to 100 characters on one line, got "a\\u001b[31m"',
    ],
    ['text that is not JSON', '{"blocks": [', /^a network must be JSON: /],
    ['nothing', undefined, 'a network must be an object with the keys format, name, streams, blocks, head, got nothing'],
    ['null', null, 'a network must be an object with the keys format, name, streams, blocks, head, got null'],
    ['an array as text', '[]', 'a network must be an object with the keys format, name, streams, blocks, head, got []'],
  ]
  for (const [what, json, message] of cases) {
    it(`refuses ${what} in one line`, () => {
      expect(refusal(json)).to.not.include('\n')
      if (typeof message === 'string') expect(refusal(json)).to.equal(message)
      else expect(refusal(json)).to.match(message)
    })
  }

  const bounds: [string, number, number][] = [
    ['spatialKernel', 1, 7],
    ['spatialStride', 1, 4],
    ['temporalKernel', 1, 9],
    ['temporalStride', 1, 4],
    ['filters', 1, 2048],
    ['expand', 0, 8],
    ['repeats', 1, 8],
    ['squeeze', 0, 1],
    ['nonLocal', 8, 1024],
  ]
  for (const [gene, min, max] of bounds) {
    it(`${gene} takes ${min} and ${max} and nothing beyond`, () => {
      for (const value of [min, max])
        expect(
          Network.parse(
            edited((json) => {
              json.blocks[0][gene] = value
            }),
          ).blocks[0],
        ).to.have.property(gene, value)
      for (const value of [min - 1, max + 1])
        expect(
          refusal(
            edited((json) => {
              json.blocks[0][gene] = value
            }),
          ),
        ).to.match(new RegExp(`^blocks\\[0\\]\\.${gene} must be .*, got ${value}$`))
    })
  }

  for (const [gene, min, max] of [
    ['frames', 1, 128],
    ['size', 8, 320],
    ['fps', 1, 60],
  ] as const) {
    it(`${gene} takes ${min} and ${max} and nothing beyond`, () => {
      for (const value of [min, max])
        expect(
          Network.parse(
            edited((json) => {
              json.streams[0][gene] = value
            }),
          ).streams[0],
        ).to.have.property(gene, value)
      for (const value of [min - 1, max + 1])
        expect(
          refusal(
            edited((json) => {
              json.streams[0][gene] = value
            }),
          ),
        ).to.match(new RegExp(`^streams\\[0\\]\\.${gene} must be .*, got ${value}$`))
    })
  }
})

/** The same JSON with every object's keys in reverse order. */
function shuffled(json: NetworkJson): unknown {
  return JSON.parse(JSON.stringify(json), (_, value) =>
    value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).toReversed()) : value,
  )
}
