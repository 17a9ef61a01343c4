import { spawnSync } from 'node:child_process'
import { expect } from 'chai'

describe('scripts/test.mjs', () => {
  it('asks for the programs of the parts that it runs only', () => {
    const parts = (only: string) =>
      spawnSync(process.execPath, ['scripts/test.mjs', '--only', only], { cwd: new URL('..', import.meta.url), env: { PATH: '' }, encoding: 'utf8' })
    expect(parts('generated')).to.include({ status: 0, stderr: '' })
    expect(parts('generated,mocha').stderr).to.match(/^the tests need ffmpeg and chromium and python3: /)
  })
})
