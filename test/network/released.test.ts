import { expect } from 'chai'
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { TvnError } from '../../lib/errors.js'
import { Network } from '../../lib/network/network.js'
import { readReleased, writeReleased } from '../../lib/network/released.js'
import { networkJson } from './arbitrary.js'

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/released/${name}.json`, import.meta.url), 'utf8')
const stale = ['current_size', 'input_size', 'output_size', 'total_layers']
const withoutStale = (text: string) => JSON.parse(text, (key, value) => (stale.includes(key) ? undefined : value))

describe('the released format', () => {
  for (const name of Network.presets) {
    it(`${name} is read as the preset and written back with every gene`, () => {
      const network = readReleased(fixture(name), { name })
      expect(network.toJSON()).to.deep.equal(Network.preset(name).toJSON())
      expect(writeReleased(network)).to.deep.equal(withoutStale(fixture(name)))
    })
  }

  it('keeps every gene of any network whose rate it can express', () => {
    fc.assert(
      fc.property(networkJson(), fc.integer({ min: 1, max: 25 }), (json, stride) => {
        const network = Network.parse({ ...json, streams: [{ ...json.streams[0], fps: 25 / stride }] })
        const released = writeReleased(network)
        const read = readReleased(JSON.stringify(released), { name: network.name, head: network.head })
        expect(read.toJSON()).to.deep.equal(network.toJSON())
        expect(writeReleased(read)).to.deep.equal(released)
      }),
    )
  })

  it('rounds a rate that it cannot express to the nearest stride from 1 to 25', () => {
    const at = (fps: number) => {
      const json = Network.preset('tvn-1').toJSON()
      return writeReleased(Network.parse({ ...json, streams: [{ ...json.streams[0], fps }] }))
    }
    expect([60, 24, 12, 8, 1].map((fps) => at(fps)).map((released) => 'frame_stride' in released && released.frame_stride)).to.deep.equal([1, 1, 2, 3, 25])
  })

  const edited = (edit: (json: any) => void) => () => {
    const json = JSON.parse(fixture('tvn-mobile-1'))
    edit(json)
    readReleased(json, { name: 'x' })
  }
  const cases: [string, (json: any) => void, RegExp][] = [
    [
      'an unknown key',
      (json) => {
        json.blocks[1].spatial_kernle = 3
      },
      /^blocks\[1\]\.spatial_kernle .*did you mean spatial_kernel\?/,
    ],
    [
      'a value out of its type',
      (json) => {
        json.blocks[0].skip = 2
      },
      /^blocks\[0\]\.skip must be 0 or 1, got 2$/,
    ],
    [
      'a stride past a second',
      (json) => {
        json.input_streams[0].frame_stride = 26
      },
      /^input_streams\[0\]\.frame_stride must be a whole number from 1 to 25, got 26$/,
    ],
    ['several streams', (json) => json.input_streams.push(json.input_streams[0]), /several streams are not supported yet/],
    [
      'blocks that do not form a chain',
      (json) => {
        json.blocks[1].inputs = [0]
      },
      /^blocks\[1\]\.inputs .*not supported yet/,
    ],
  ]
  for (const [what, edit, message] of cases)
    it(`refuses ${what}`, () => expect(edited(edit)).to.throw(TvnError, message).with.property('code', 'ERR_NETWORK_INVALID'))
})
