import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { loadModel } from '../../lib/model/model.js'
import type { Report } from '../../lib/search/report.js'
import { type SearchOptions, search } from '../../lib/search/search.js'
import { spaceFormat } from '../../lib/space/space.js'
import { tvn } from '../cli/run.js'
import { colours, makeColourVideos } from '../data/colours.js'
import { temporaryFolder } from '../data/videos.js'
import { emulatedEnv, withEmulation } from './emulation.js'
import { tinySpace } from './tiny-space.js'

// What is judged here is how verdicts are used, not the times behind them: limits that everything meets, with the fewest calls that can prove them.
const loose = 'p50<600000ms@50%'

describe('a search on a GPU', function () {
  this.timeout(600_000)
  const folder = temporaryFolder('cuda-search')
  const data = path.join(folder, 'videos')
  const cacheDir = path.join(folder, 'cache')
  const space = path.join(folder, 'tiny.json')
  const out = (name: string) => path.join(folder, name)
  const reportOf = (name: string): Report => JSON.parse(readFileSync(path.join(out(name), 'report.json'), 'utf8'))
  const settings: SearchOptions = {
    data,
    cacheDir,
    space: tinySpace,
    trials: 3,
    population: 2,
    iterations: 3,
    finalIterations: 2,
    seed: 5,
    workers: 1,
    device: 'cuda',
  }
  withEmulation()
  before(() => {
    makeColourVideos(data)
    writeFileSync(space, JSON.stringify({ format: spaceFormat, ...tinySpace }))
  })

  it('of three trials measures, trains and delivers there, and where else its limits say', async () => {
    process.env.TVN_CUDA_EMULATION_VERDICTS = '1'
    try {
      const { report } = await search({ ...settings, out: out('both'), limits: [loose, `${loose}@cpu`] })
      expect(report).to.deep.include({ device: 'cuda', limits: [`${loose}@cuda`, loose], counts: { complete: 3, rejected: 0, pruned: 0, failed: 0 } })
      expect(report.machine.gpu).to.match(/emulated/)
      for (const latency of [...report.trials.map((trial) => trial.latency), report.best?.latency]) {
        expect(latency).to.deep.include({ device: 'emulated', limits: [`${loose}@cuda`], verdict: 'meets' })
        expect(latency?.kernels?.p50).to.be.above(0)
        expect(latency?.elsewhere).to.have.length(1)
        expect(latency?.elsewhere?.[0]).to.deep.include({ device: 'cpu', limits: [loose], verdict: 'meets' })
        expect(latency?.elsewhere?.[0]?.machine).to.not.equal(latency?.machine)
      }
      using model = await loadModel(path.join(out('both'), 'best.safetensors'))
      expect(model.labels).to.deep.equal(colours)
      expect(JSON.parse(model.notes.latency as string)).to.include({ device: 'emulated' })
    } finally {
      delete process.env.TVN_CUDA_EMULATION_VERDICTS
    }
  })

  it('judges no limit by times of the emulation, and says so before any work', async () => {
    for (const limits of [['p90<1ms'], ['p90<1ms@cpu', 'p90<1ms@cuda']]) {
      const error = (await search({ ...settings, out: out('none'), limits }).catch((reason: unknown) => reason)) as TvnError
      expect(error).to.be.instanceOf(TvnError).and.have.property('code', 'ERR_DEVICE')
      expect(error.message).to.match(/times mean nothing/)
    }
    const { code, stderr } = await tvn(['search', '--data', data, '--out', out('none'), '--device', 'cuda'], {
      env: { ...emulatedEnv, TVN_CACHE_DIR: cacheDir },
    })
    expect([code, stderr.split('\n')[0]]).to.deep.equal([2, 'tvn: cuda is emulated on the CPU: its times mean nothing, so no limit can be judged by them'])
    expect(existsSync(out('none'))).to.equal(false)
  })

  it('whose GPU is lost stops with everything saved, holds it against no trial, and goes on when it is back', async () => {
    const flags = ['--data', data, '--space', space, '--trials', '3', '--population', '2', '--iterations', '4', '--final-iterations', '2']
    const rest = ['--seed', '5', '--workers', '1', '--device', 'cuda', '--limit', `${loose}@cpu`, '--out', out('lost')]
    const env = { ...emulatedEnv, TVN_CACHE_DIR: cacheDir }
    const lost = await tvn(['search', ...flags, ...rest], { env: { ...env, TVN_EMULATION_LOST_AFTER: '500' } })
    expect(lost.code, lost.stderr).to.equal(1)
    expect(lost.stderr).to.include(`everything so far is saved; go on with: npx tvn search --resume ${out('lost')}`)
    expect(lost.stderr).to.match(/^tvn: (?!internal).+$/m)
    const stopped = reportOf('lost')
    expect(stopped.counts.failed).to.equal(0)
    expect(
      stopped.trials.some(({ state }) => state === 'running'),
      JSON.stringify(stopped.trials.map(({ state }) => state)),
    ).to.equal(true)
    expect(stopped.best).to.equal(null)

    const gone = await tvn(['search', '--resume', out('lost')], { env: { ...env, TVN_EMULATION_DEVICES: '0' } })
    expect([gone.code, gone.stderr.split('\n')[0]]).to.deep.equal([2, 'tvn: cuda cannot be used: no NVIDIA GPU is there'])

    const resumed = await tvn(['search', '--resume', out('lost')], { env })
    expect(resumed.code, resumed.stderr).to.equal(0)
    expect(reportOf('lost').counts).to.deep.equal({ complete: 3, rejected: 0, pruned: 0, failed: 0 })
    expect(reportOf('lost').best).to.not.equal(null)
  })
})
