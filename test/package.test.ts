import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { temporaryFolder } from './data/videos.js'

const root = new URL('..', import.meta.url).pathname

describe('the package', () => {
  const app = temporaryFolder('package')
  const installed = path.join(app, 'node_modules', 'tiny-video-nets')

  before(() => {
    const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', app], { cwd: root, encoding: 'utf8' })
    mkdirSync(installed, { recursive: true })
    execFileSync('tar', ['-xf', path.join(app, JSON.parse(packed)[0].filename), '-C', installed, '--strip-components=1'])
    symlinkSync(path.join(root, 'node_modules'), path.join(installed, 'node_modules'))
  })

  it('holds what its texts link to, and no tests', () => {
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((file) => !file.startsWith('node_modules/'))
    const texts = files.filter((file) => file.endsWith('.md'))
    expect(texts).to.include.members(['README.md', 'CONTRIBUTING.md', 'docs/data.md'])
    for (const text of texts) {
      for (const [, link] of readFileSync(path.join(installed, text), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        expect(files, text).to.include(path.join(path.dirname(text), link as string))
    }
    expect(files.filter((file) => /_(test|bench)\.|\.test\./.test(file))).to.deep.equal([])
  })

  it('says how to build an addon that is missing, with what it holds', () => {
    const { stdout } = spawnSync(process.execPath, [path.join(installed, 'dist/cli/main.js'), 'doctor', '--json'], { cwd: app, encoding: 'utf8' })
    const { detail } = JSON.parse(stdout).checks.find(({ name }: { name: string }) => name === 'addon')
    const script = /; rebuild it: node (\S+)$/.exec(detail)?.[1]
    expect(script, detail).to.equal('node_modules/tiny-video-nets/scripts/install.mjs')
    expect(existsSync(path.join(app, script as string))).to.equal(true)
  })
})
