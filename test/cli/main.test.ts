import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { commands } from '../../lib/cli/commands.js'
import { Network } from '../../lib/network/network.js'
import { writeReleased } from '../../lib/network/released.js'
import { type Ended, tvn } from './run.js'

const golden = new URL('../fixtures/golden/std-even-kernel.safetensors', import.meta.url).pathname

describe('tvn', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tvn-cli-'))
  })
  after(() => rm(folder, { recursive: true }))

  function complains(ended: Ended, code: number, message: RegExp): void {
    expect(ended.code, ended.stderr).to.equal(code)
    expect(ended.stderr).to.match(message)
    expect(ended.stderr.trim().split('\n').length, ended.stderr).to.be.at.most(2)
    expect(ended.stderr).to.not.match(/^\s+at .*[:(]/m)
    expect(ended.stdout).to.equal('')
  }

  it('without a command shows its help, on stderr, and exits with 2', async () => {
    const { code, stdout, stderr } = await tvn([])
    expect(code).to.equal(2)
    expect(stdout).to.equal('')
    for (const { name, summary } of commands) expect(stderr).to.match(new RegExp(`${name}\\s+${summary}`))
  })

  it('--help is a result: stdout, exit code 0', async () => {
    for (const args of [['--help'], ['help']]) {
      const { code, stdout, stderr } = await tvn(args)
      expect([code, stderr]).to.deep.equal([0, ''])
      expect(stdout).to.include('Usage: tvn <command> [options]')
    }
  })

  it('--version prints the version of package.json', async () => {
    expect((await tvn(['--version'])).stdout).to.match(/^\d+\.\d+\.\d+\n$/)
  })

  for (const { name } of commands) {
    it(`${name} --help tells its options`, async () => {
      const { code, stdout } = await tvn([name, '--help'])
      expect(code).to.equal(0)
      expect(stdout).to.include(`Usage: tvn ${name}`).and.include('--json').and.include('--debug')
    })
  }

  it('names the nearest command', async () => complains(await tvn(['serch']), 2, /unknown command 'serch', did you mean search\?\n {5}npx tvn --help lists/))
  it('names the nearest option', async () => complains(await tvn(['eval', '--modle', 'x']), 2, /unknown option '--modle', did you mean --model\?/))
  it('takes the options of every command in front of the command too', async () => complains(await tvn(['--quiet', 'profile', 'tvn-9']), 2, /tvn-9.*tvn-1/))
  it('refuses an unknown precision', async () => complains(await tvn(['profile', 'tvn-1', '--precision', 'fp12']), 2, /--precision: 'fp12'.*f32/))
  it('refuses no threads', async () => complains(await tvn(['profile', 'tvn-1', '--threads', '0']), 2, /--threads/))
  it('shows the stack only when asked', async () => expect((await tvn(['profile', 'tvn-9', '--debug'])).stderr).to.match(/^\s+at .*[:(]/m))

  it('names a model that is missing, cut short or no model, and exits with 2', async () => {
    complains(await tvn(['eval', '--model', path.join(folder, 'none.safetensors')]), 2, /none\.safetensors: cannot be read, no such file/)
    await writeFile(path.join(folder, 'text.safetensors'), 'just text, long enough to hold a header length')
    complains(await tvn(['predict', 'x.mp4', '--model', path.join(folder, 'text.safetensors')]), 2, /text\.safetensors: not a safetensors file/)
  })

  it('names the gene of a network that is wrong, and writes nothing', async () => {
    const network = path.join(folder, 'network.json')
    await writeFile(network, '{"blocks": [')
    complains(await tvn(['train', '--network', network, '--out', path.join(folder, 'o.safetensors')]), 2, /network\.json: .*JSON/)
    await writeFile(
      network,
      JSON.stringify({ format: 'tiny-video-nets/network/1', name: 'x', streams: [{ frames: 2, size: 32, fps: 8 }], blocks: [], head: 'mean', colour: 1 }),
    )
    complains(await tvn(['train', '--network', network, '--out', path.join(folder, 'o.safetensors')]), 2, /network\.json: .*colour/)
    expect(await readdir(folder)).to.not.include('o.safetensors')
  })

  it('models lists the networks of the paper with their costs', async () => {
    const { code, stdout } = await tvn(['models', '--json'])
    expect(code).to.equal(0)
    const list = JSON.parse(stdout) as { name: string; classes: number; params: number; macs: number; streams: unknown[] }[]
    expect(list.map(({ name }) => name)).to.deep.equal(['tvn-1', 'tvn-2', 'tvn-3', 'tvn-4', 'tvn-mobile-1', 'tvn-mobile-2'])
    expect(list[0]).to.deep.include({ classes: 339, streams: [{ frames: 2, size: 224, fps: 6.25 }] })
    expect((list[0]?.params ?? 0) / 1e6).to.be.closeTo(26.415, 0.001)
    expect((await tvn(['models'])).stdout).to.match(/tvn-mobile-2/)
  })

  it('models show tells the layers, of presets and of files', async () => {
    const shown = JSON.parse((await tvn(['models', 'show', 'tvn-4', '--json'])).stdout)
    expect(shown).to.include({ name: 'tvn-4', classes: 339 })
    expect(shown.network.format).to.equal('tiny-video-nets/network/1')
    const sum = (key: string) => shown.layers.reduce((total: number, layer: Record<string, number>) => total + (layer[key] as number), 0)
    expect([sum('params'), sum('macs')]).to.deep.equal([shown.params, shown.macs])
    expect(JSON.parse((await tvn(['models', 'show', golden, '--json'])).stdout)).to.include({ name: 'std-even-kernel', classes: 5 })
    expect((await tvn(['models', 'show', golden])).stdout).to.include('blocks.0.1.spatial')
    complains(await tvn(['models', 'draw', 'tvn-1']), 2, /'draw' is not valid, expected show/)
  })

  it('models show --released writes the released JSON', async () => {
    const fixture = new URL('../fixtures/released/tvn-mobile-1.json', import.meta.url).pathname
    const { code, stdout } = await tvn(['models', 'show', fixture, '--released'])
    expect([code, JSON.parse(stdout)]).to.deep.equal([0, writeReleased(Network.preset('tvn-mobile-1'))])
    complains(await tvn(['models', '--released']), 2, /expected show/)
  })

  it('doctor checks this machine', async () => {
    const { code, stdout } = await tvn(['doctor', '--json'])
    const report = JSON.parse(stdout)
    expect(report.checks.every(({ name, ok, detail }: { name: string; ok: boolean; detail: string }) => name && typeof ok === 'boolean' && detail)).to.equal(
      true,
    )
    expect(code).to.equal(report.checks.every(({ ok }: { ok: boolean }) => ok) ? 0 : 1)
    expect(report.cuda).to.have.keys('available', 'reason', 'emulated', 'devices', 'cudnn')
    expect(report.cpu.features).to.be.an('array')
  })
})
