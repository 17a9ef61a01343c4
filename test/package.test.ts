import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
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

  /** What `tvn doctor` says of one thing, in the project that the package is installed in. */
  function detailOf(check: string, env: Record<string, string> = {}): string {
    const command = [path.join(installed, 'dist/cli/main.js'), 'doctor', '--json']
    const { stdout } = spawnSync(process.execPath, command, { cwd: app, encoding: 'utf8', env: { ...process.env, ...env } })
    return JSON.parse(stdout).checks.find(({ name }: { name: string }) => name === check).detail
  }

  function expectScript(detail: string, advice: RegExp, name: string): void {
    const script = advice.exec(detail)?.[1]
    expect(script, detail).to.equal(`node_modules/tiny-video-nets/scripts/${name}`)
    expect(existsSync(path.join(app, script as string))).to.equal(true)
  }

  it('says how to build an addon that is missing, with what it holds', () => {
    expectScript(detailOf('addon'), /; rebuild it: node (\S+)$/, 'install.mjs')
  })

  it('says how to build the CUDA backend that is missing, with what it holds', () => {
    mkdirSync(path.join(installed, 'build/Release'), { recursive: true })
    copyFileSync(path.join(root, 'build/Release/tvn.node'), path.join(installed, 'build/Release/tvn.node'))
    expectScript(detailOf('cuda', { TVN_CUDA: 'on' }), /is not built; build it: node (\S+)$/, 'build-cuda.mjs')
    expectScript(detailOf('cuda', { TVN_CUDA: 'emulated' }), /is not built; build it: node (\S+) --emulation$/, 'build-cuda.mjs')
  })

  it('can build the CUDA backend from what it holds', function () {
    this.timeout(120_000)
    const build = path.join(app, 'build')
    const cmake = (...args: string[]) => execFileSync('cmake', args, { encoding: 'utf8', stdio: 'pipe' })
    cmake('-S', path.join(installed, 'native/cuda'), '-B', build, '-DTVN_EMULATION=ON')
    const targets = cmake('--build', build, '--target', 'help')
    expect(targets).to.contain('tvn_cuda_emu')
    expect(targets).not.to.contain('tvn_cuda_test')
  })
})
