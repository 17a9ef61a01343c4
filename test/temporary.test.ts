import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { removeStaleFiles, temporaryFile } from '../lib/temporary.js'
import { temporaryFolder } from './data/videos.js'

describe('temporary files', () => {
  it('of a process that was killed while writing are removed, those of a living one stay', async () => {
    const folder = temporaryFolder('temporary')
    const target = path.join(folder, 'report.json')
    writeFileSync(target, 'old')
    const kill = `
      import { writeFileAtomic } from ${JSON.stringify(new URL('../lib/atomic.ts', import.meta.url).href)}
      await writeFileAtomic(${JSON.stringify(target)}, { *[Symbol.iterator]() { yield 'new'; process.kill(process.pid, 'SIGKILL') } })`
    expect(spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', kill]).signal).to.equal('SIGKILL')
    const mine = temporaryFile(target)
    writeFileSync(mine, '')
    expect(readdirSync(folder)).to.have.length(3)
    await removeStaleFiles(folder)
    expect(readdirSync(folder)).to.have.members(['report.json', path.basename(mine)])
    expect(readFileSync(target, 'utf8')).to.equal('old')
  })
})
