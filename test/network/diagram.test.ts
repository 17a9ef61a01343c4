import { expect } from 'chai'
import fc from 'fast-check'
import { blocksTable, diagram, layersTable } from '../../lib/network/diagram.js'
import { Network } from '../../lib/network/network.js'
import { textWidth } from '../../lib/text-table.js'
import { networkJson } from './arbitrary.js'

describe('diagram', () => {
  it('draws the layers that a network has', () => {
    expect(diagram(Network.preset('tvn-4'), { classes: 339 }).split('\n')).to.deep.equal([
      'tvn-4: 43.7 M parameters, 25.9 GMACs a clip',
      '┌─ clip ─────────────────────────────────────┐',
      '│ 8 frames at 6.25 fps                       │    8×128×128×3',
      '└──────────────────────┬─────────────────────┘',
      '┌─ block 0 × 5 ────────┴─────────────────────┐─╮',
      '│ std 5×5 /2 → 64 · temporal 3 /2            │ │  4×64×64×256',
      '│ 1×1 → 256 · squeeze 122 · relu             │ │  1.28 M parameters, 67 % of MACs',
      '└──────────────────────┬─────────────────────┘─╯',
      '┌─ block 1 × 4 ────────┴─────────────────────┐',
      '│ depth 5×5 /2 → 256 · temporal maxpool 2 /2 │    2×32×32×1536',
      '│ 1×1 → 1536 · gate · relu                   │    12.3 M parameters, 26 % of MACs',
      '└──────────────────────┬─────────────────────┘',
      '┌─ block 2 × 4 ────────┴─────────────────────┐',
      '│ depth 5×5 /3 → 256                         │    2×11×11×2048',
      '│ 1×1 → 2048 · squeeze 518 · gate · relu     │    29.4 M parameters, 7 % of MACs',
      '└──────────────────────┬─────────────────────┘',
      '┌─ head ───────────────┴─────────────────────┐',
      '│ mean · dropout · dense                     │    339 classes',
      '│                                            │    695 k parameters, < 1 % of MACs',
      '└────────────────────────────────────────────┘',
    ])
  })

  it('keeps to 100 columns and closes every box, whatever the network', () => {
    fc.assert(
      fc.property(networkJson(), fc.string({ minLength: 1, maxLength: 100, unit: fc.constantFrom('a', '×', '😀') }), (json, name) => {
        const lines = diagram(Network.parse({ ...json, name }), { classes: 100_000 }).split('\n')
        for (const line of lines) expect(textWidth(line), line).to.be.at.most(100)
        const right = lines.slice(1).map((line) => [...line].findLastIndex((char) => '┐│┘'.includes(char) || '╮╯'.includes(char)))
        expect(new Set(right).size, lines.join('\n')).to.be.at.most(2)
        expect(lines.filter((line) => line.startsWith('┌'))).to.have.length(json.blocks.length + 2)
        expect(lines.filter((line) => line.includes('╮')).length).to.equal(lines.filter((line) => line.includes('╯')).length)
      }),
      { numRuns: 60 },
    )
  })
})

describe('tables', () => {
  it('of blocks tells every gene', () => {
    expect(blocksTable(Network.preset('tvn-mobile-1')).split('\n')).to.deep.equal([
      'block  spatial    temporal     filters  expand        repeats  skip  squeeze  gate  non-local  activation          output',
      '─────  ─────────  ───────────  ───────  ────────────  ───────  ────  ───────  ────  ─────────  ──────────────────  ───────────',
      '    0  depth 5/4  1d 2/1            32  × 3                 4  –     0.005    –     –          relu                2×56×56×96',
      '    1  depth 5/4  maxpool 2/1      128  × 6 inverted        4  –     0.859    –     –          hswish/hswish/relu  2×14×14×128',
    ])
  })

  it('of layers has one row a layer and their sums', () => {
    const lines = layersTable(Network.preset('tvn-1'), 339).split('\n')
    expect(lines).to.have.length(2 + 34 + 1)
    expect(lines[2]).to.match(/^blocks\.0\.0\.pointwise +conv +2×224×224×3 +2×224×224×64 +320 +19\.3 M +< 1 %$/)
    expect(lines.at(-1)).to.match(/^total +26\.4 M +4\.33 G +100 %$/)
  })
})
