import { expect } from 'chai'
import { allContenders, deviceContenders, isMeant, nameOf, parseWords } from '../../bench/contenders.js'
import type { NetworkRow } from '../../bench/networks.js'
import { docsTable, newestResult, tableInDocs } from '../../bench/results.js'
import { markdownTable, networkTable } from '../../bench/table.js'

const ours: Omit<NetworkRow, 'ms' | 'overFloor'> = {
  network: 'tvn-1',
  engine: 'tvn',
  precision: 'f32',
  threads: 1,
  batch: 1,
  task: 'inference',
  floorMs: 40,
  firstMs: 1,
  difference: 0,
}
const row = (of: Partial<NetworkRow>, median: number): NetworkRow => ({
  ...ours,
  overFloor: median / 40,
  ms: { median, min: median - 1, p90: median + 1, runs: 9 },
  ...of,
})

describe('tables of the benchmark', () => {
  const rows = [
    row({}, 32),
    row({ precision: 'bf16' }, 20),
    row({ threads: 2 }, 17),
    row({ engine: 'onnxruntime' }, 56),
    row({ engine: 'tfjs-wasm' }, 288),
    row({ network: 'tvn-2', engine: 'onnxruntime' }, 400),
  ]

  it('compares our rows with the rivals of the same network and as many threads', () => {
    const lines = networkTable(rows).split('\n').slice(2)
    const ratios = lines.map((line) => [...line.matchAll(/([\d.]+)×/g)].map(([, ratio]) => Number(ratio)))
    expect(ratios).to.deep.equal([[1.75, 9], [2.8, 14.4], [], [], [], []])
    expect(lines[0]).to.match(/^tvn-1 +tvn +f32 +1 +32\.0 +31\.0–33\.0 +0\.80 +1\.75× +9\.00×$/)
  })

  it('has the same cells in Markdown', () => {
    expect(markdownTable(rows).split('\n')[2]).to.equal('| tvn-1 | tvn | f32 | 1 | 32.0 | 31.0–33.0 | 0.80 | 1.75× | 9.00× |')
  })

  it('name the GPU in place of threads, and have no floor for it', () => {
    const lines = networkTable([row({}, 32), row({ precision: 'f16', device: 'cuda', floorMs: null, overFloor: null }, 0.5)]).split('\n')
    expect(lines[3]).to.match(/^tvn-1 +tvn +f16 +cuda +0\.50 +-0\.50–1\.50 *$/)
    const names = deviceContenders('cuda:1').map(nameOf)
    expect(names.slice(0, 2)).to.deep.equal(['tvn-1 tvn f32 1 thread', 'tvn-1 tvn f16 cuda:1'])
    expect(names.filter((name) => name.includes('training-step')).length).to.be.above(2)
  })

  it('docs/performance.md shows the newest result: npm run bench:table', () => expect(tableInDocs()).to.equal(docsTable(newestResult())))

  it('--only takes words of a kind as alternatives, and all kinds must agree', () => {
    const names = (text: string) =>
      allContenders(['f32', 'bf16'])
        .filter((contender) => isMeant(parseWords(text), contender))
        .map(nameOf)
    expect(names('tvn-1,tvn-2,onnxruntime')).to.deep.equal(
      ['tvn-1', 'tvn-2'].flatMap((network) => [`${network} onnxruntime f32 1 thread`, `${network} onnxruntime f32 2 threads`]),
    )
    expect(names('tvn-4,bf16')).to.deep.equal(['tvn-4 tvn bf16 1 thread', 'tvn-4 tvn bf16 2 threads'])
    expect(names('training-step,tfjs-wasm')).to.deep.equal([])
    expect(names('')).to.have.length(allContenders(['f32', 'bf16']).length)
    expect(() => parseWords('tvn-1,tvn1')).to.throw('there is no network, engine, precision or task "tvn1"')
  })
})
