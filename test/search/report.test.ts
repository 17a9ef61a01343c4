import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { studyOptions } from '../../lib/search/options.js'
import { paretoFront } from '../../lib/search/pareto.js'
import type { Verdict } from '../../lib/latency/verdict.js'
import { preflight } from '../../lib/search/preflight.js'
import { makeReport, writeReport } from '../../lib/search/report.js'
import { checkRunFolder, defaultRunFolder, makeRunFolder } from '../../lib/search/run-folder.js'
import { replay } from '../../lib/search/state.js'
import type { CompleteTrial } from '../../lib/search/trial.js'
import { latencyOf, sampleNetwork } from './fake-pool.js'
import { record } from './study-record.js'

const trial = (id: number, fitness: number, p90: number) => ({ id, fitness, latency: { p90 }, state: 'complete' }) as unknown as CompleteTrial

describe('pareto front', () => {
  it('keeps what nothing dominates, fittest first, of equals the earliest', () => {
    const trials = [trial(0, 0.5, 1), trial(1, 0.9, 3), trial(2, 0.9, 2), trial(3, 0.6, 2.5), trial(4, 0.5, 1), trial(5, 0.2, 0.5)]
    expect(paretoFront(trials).map(({ id }) => id)).to.deep.equal([2, 0, 5])
    expect(paretoFront([])).to.deep.equal([])
  })
})

describe('report', () => {
  const state = replay([{ event: { kind: 'created', record }, elapsed: 12.34 }])

  it('has the keys of the contract, and no best network as long as none was delivered', () => {
    const report = makeReport(state, [{ path: 'a.mp4', reason: 'empty file' }])
    const keys = [
      'study',
      'version',
      'seed',
      'sampler',
      'space',
      'limits',
      'maxParams',
      'workers',
      'machine',
      'elapsedSeconds',
      'trials',
      'front',
      'best',
      'counts',
      'quarantined',
    ]
    expect(report).to.include.all.keys(keys)
    expect(report).to.deep.include({ space: 'small', elapsedSeconds: 12.3, best: null, counts: { complete: 0, rejected: 0, pruned: 0, failed: 0 } })
  })

  it('replaces the file as a whole', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tvn-report-'))
    const file = path.join(folder, 'report.json')
    writeFileSync(file, 'old')
    await writeReport(file, makeReport(state, []))
    expect(JSON.parse(readFileSync(file, 'utf8'))).to.deep.include({ study: 'test', quarantined: [] })
    rmSync(folder, { recursive: true })
  })
})

describe('run folder', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'tvn-run-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('may exist, or be missing with all above it', async () => {
    await checkRunFolder(folder)
    await checkRunFolder(path.join(folder, 'a', 'b'))
    await makeRunFolder(path.join(folder, 'a', 'b'))
    await makeRunFolder(path.join(folder, 'a', 'b'))
  })

  it('is refused in a file, and where the system makes no folders', async () => {
    writeFileSync(path.join(folder, 'file'), '')
    await checkRunFolder(path.join(folder, 'file', 'run')).then(
      () => expect.fail('accepted'),
      (error: unknown) => expect(error).to.be.instanceOf(TvnError).and.have.property('code', 'ERR_STUDY'),
    )
    await makeRunFolder('/proc/none/run').then(
      () => expect.fail('made'),
      (error: unknown) => expect((error as TvnError).message).to.match(/\/proc\/none\/run/),
    )
  })

  it('is named by date and study', async () => {
    expect(await defaultRunFolder('demo-small', new Date('2026-02-03T04:05:06Z'))).to.match(/^runs\/2026-02-03-demo-small(-\d+)?$/)
  })
})

describe('search settings', () => {
  it('are complete by default', async () => {
    const options = await studyOptions({})
    expect(options).to.include({
      data: 'demo',
      sampler: 'evolution',
      trials: 40,
      population: 10,
      tournament: 4,
      workers: 2,
      iterations: 700,
      finalIterations: 1750,
    })
    expect(options.space.name).to.equal('small')
    expect((await studyOptions({ trials: 1000 })).population).to.equal(200)
    expect((await studyOptions({ trials: 8 })).population).to.equal(6)
    expect((await studyOptions({ frames: 16 })).space.stream.frames).to.deep.equal([16])
  })

  it('give limits that name no device the one that networks are trained on', async () => {
    const limitsOf = async (settings: Parameters<typeof studyOptions>[0]) => (await studyOptions(settings)).limits
    expect(await limitsOf({})).to.deep.equal(['p90<0.5ms@99%'])
    expect(await limitsOf({ device: 'cuda' })).to.deep.equal(['p90<0.5ms@99%@cuda'])
    expect(await limitsOf({ device: 'cuda:1', limits: ['p90<1ms', 'p50<9ms@cpu', '<2ms@cuda:0'] })).to.deep.equal([
      'p90<1ms@99%@cuda:1',
      'p50<9ms@99%',
      'p90<2ms@99%@cuda',
    ])
    expect(await limitsOf({ limits: ['p90<1ms', 'p90<1ms@cuda'] })).to.deep.equal(['p90<1ms@99%', 'p90<1ms@99%@cuda'])
    expect((await studyOptions({ device: 'cuda:0' as never })).device).to.equal('cuda')
  })

  const bad: [string, Parameters<typeof studyOptions>[0], RegExp][] = [
    ['no trials', { trials: 0 }, /trials/],
    ['half a trial', { trials: 1.5 }, /trials/],
    ['a sampler that is none', { sampler: 'grid' as never }, /sampler/],
    ['a limit without sense', { limits: ['fast'] }, /p90/],
    ['a limit that is no list', { limits: 'p90<5ms' as never }, /array/],
    ['a space that is none', { space: 'tiny' }, /tiny/],
    ['a negative seed', { seed: -1 }, /seed/],
    ['no workers', { workers: 0 }, /workers/],
    ['a device that is none', { device: 'gpu' as never }, /device must be 'cpu', 'cuda'/],
    ['more frames than there can be', { frames: 1000 }, /frames/],
  ]
  for (const [what, settings, message] of bad) {
    it(`refuse ${what}`, async () => {
      await studyOptions(settings).then(
        () => expect.fail('accepted'),
        (error: unknown) => expect(error).to.be.instanceOf(TvnError).and.have.property('message').that.matches(message),
      )
    })
  }
})

describe('pre-flight', () => {
  it('tells how fast the smallest network is and how long the search will take', async () => {
    const options = await studyOptions({ limits: ['p90<1000ms'] })
    const { fastest, seconds } = await preflight(options, 10, {
      run: async (name) => (name === 'peak' ? { ok: true, result: 100 } : { ok: true, result: slow('meets') }) as never,
    })
    expect(fastest.p90).to.equal(latency.p90)
    expect(seconds).to.be.within(10, 5000)
  })

  it('refuses limits that no network of the space can meet, with what the fastest takes', async () => {
    const options = await studyOptions({ limits: ['p90<0.0001ms'] })
    const run = async () => ({ ok: true, result: slow('fails') }) as never
    await preflight(options, 10, { run }).then(
      () => expect.fail('accepted'),
      (error: unknown) => {
        expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_LIMIT_IMPOSSIBLE' })
        expect((error as TvnError).message).to.match(/fastest network of the space takes .* ms here .* p90<0\.0001ms@99%/)
      },
    )
  })

  it('refuses limits that take more runs to prove than a trial is given time for', async () => {
    const options = await studyOptions({ limits: ['p90<1000ms', 'p99.999<1000ms'] })
    const run = async () => ({ ok: true, result: { ...slow('uncertain'), p50: 0.139 } }) as never
    await preflight(options, 10, { run }).then(
      () => expect.fail('accepted'),
      (error: unknown) => {
        expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_LIMIT_IMPOSSIBLE' })
        expect((error as TvnError).message).to.match(/^to prove p99\.999<1000ms@99% takes 9251 s for the fastest network .* 10 s at most$/)
      },
    )
  })

  const { limits: _, ...latency } = latencyOf(sampleNetwork, [])
  const slow = (verdict: Verdict) => ({ ...latency, verdict })
})
