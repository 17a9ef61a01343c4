import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { bundleTests, runTests, type StockResult, testFiles } from './stock-tests.js'

/** TensorFlow.js's own tests, on its cpu backend and on ours. */
describe('stock tests of TensorFlow.js', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tvn-stock-'))
  let cpu: StockResult
  let tvn: StockResult

  before(async function () {
    this.timeout(180_000)
    const bundle = path.join(folder, 'tests.cjs')
    await bundleTests(testFiles(), bundle)
    cpu = await runTests(bundle, 'cpu')
    tvn = await runTests(bundle, 'tvn')
  })
  after(() => rmSync(folder, { recursive: true }))

  it('run on the cpu backend, thousands of them', () => {
    expect(cpu.failed).to.deep.equal([])
    expect(cpu.passed.length).to.be.greaterThan(2900)
  })

  it('pass on backend tvn, every one of them', () => {
    expect(tvn.failed).to.deep.equal([])
    expect(cpu.passed.filter((name) => !tvn.passed.includes(name))).to.deep.equal([])
  })
})
