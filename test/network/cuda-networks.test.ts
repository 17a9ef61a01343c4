import { readFileSync, readdirSync } from 'node:fs'
import { expect } from 'chai'
import { Network } from '../../lib/network/network.js'

/** The scripts are plain JavaScript without declarations. */
const { presetText } = await import(new URL('../../scripts/network-text.mjs', import.meta.url).href)
const folder = new URL('../../native/cuda/networks/', import.meta.url)

describe('native/cuda/networks', () => {
  it('has a file of every preset and no other', () => {
    expect(readdirSync(folder).sort()).to.deep.equal(Network.presets.map((name) => `${name}.txt`).sort())
  })

  for (const name of Network.presets) {
    it(`${name}.txt is the preset's graph: node scripts/cuda-networks.mjs --write`, () => {
      expect(readFileSync(new URL(`${name}.txt`, folder), 'utf8')).to.equal(presetText(Network, name))
    })
  }
})
