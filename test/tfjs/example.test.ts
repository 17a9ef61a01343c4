import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'

describe('examples/tfjs', () => {
  it('trains on our kernels and knows new clips', async function () {
    this.timeout(60_000)
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['examples/tfjs/train.mjs'])
    expect(stderr).to.equal('')
    const [, right] = /200 new clips: ([\d.]+) % right/.exec(stdout) ?? []
    expect(Number(right), stdout).to.be.greaterThan(90)
  })
})
