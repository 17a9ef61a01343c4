import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { lateness } from '../../bench/lateness.js'
import { TvnError } from '../../lib/errors.js'
import { hashWeights } from '../../lib/evaluate/tasks.js'
import { loadModel } from '../../lib/model/model.js'
import { readModel } from '../../lib/model/model-file.js'
import { Network } from '../../lib/network/network.js'
import type { Report } from '../../lib/search/report.js'
import { type SearchOptions, type SearchProgress, type SearchResult, search } from '../../lib/search/search.js'
import { contains, spaces } from '../../lib/space/space.js'
import type { SingleLabelMetrics } from '../../lib/train/metrics.js'
import { tvn } from '../cli/run.js'
import { colours, makeColourVideos } from '../data/colours.js'
import { temporaryFolder } from '../data/videos.js'

/** What must not depend on timing, interruptions or the number of threads. */
const facts = ({ trials, best }: Report) => ({
  trials: trials.map(({ id, parent, mutations, network, state, fitness, weightsHash }) => ({ id, parent, mutations, network, state, fitness, weightsHash })),
  best: best && { trial: best.trial, fitness: best.fitness, test: best.test },
})

describe('search', () => {
  const folder = temporaryFolder('search')
  const data = path.join(folder, 'videos')
  const cacheDir = path.join(folder, 'cache')
  // the limit is loose: how a verdict depends on the machine is the business of other tests
  const settings: SearchOptions = {
    data,
    cacheDir,
    trials: 9,
    population: 3,
    iterations: 40,
    finalIterations: 60,
    limits: ['p90<1000ms'],
    maxParams: 40_000,
    seed: 5,
    workers: 2,
  }
  const out = (name: string) => path.join(folder, name)
  const reportOf = (name: string): Report => JSON.parse(readFileSync(path.join(out(name), 'report.json'), 'utf8'))
  const flags = Object.entries({
    data,
    trials: 9,
    population: 3,
    iterations: 40,
    'final-iterations': 60,
    limit: 'p90<1000ms',
    'max-params': '40k',
    seed: 5,
    workers: 2,
  }).flatMap(([name, value]) => [`--${name}`, `${value}`])
  const env = { TVN_CACHE_DIR: cacheDir }

  before(() => makeColourVideos(data))

  it('finds, trains and saves a network, and reports how', async () => {
    const progress: SearchProgress[] = []
    let found: SearchResult | undefined
    const late = await lateness(async () => {
      found = await search({ ...settings, out: out('alone'), onProgress: (step) => progress.push(step) })
    })
    expect(late.p90, 'the event loop keeps its beat').to.be.below(100)
    const { report, folder: root } = found as SearchResult
    expect(root).to.equal(out('alone'))
    expect(reportOf('alone')).to.deep.equal(JSON.parse(JSON.stringify(report)))
    expect(report.trials).to.have.length(9)
    expect(report.counts).to.deep.equal({
      complete: report.trials.filter(({ state }) => state === 'complete').length,
      rejected: report.trials.filter(({ params }) => params > 40_000).length,
      pruned: 0,
      failed: 0,
    })
    expect(report.counts.complete).to.be.within(2, 8)
    for (const { network, parent, id } of report.trials) {
      expect(contains(spaces.small, Network.parse(network))).to.equal(true)
      expect(parent === null ? id < 3 + 4 : report.trials[parent]?.state === 'complete').to.equal(true)
    }
    expect(report.trials.some(({ parent }) => parent !== null)).to.equal(true)
    expect(report.best?.latency).to.include({ verdict: 'meets' })
    expect((report.best?.test as SingleLabelMetrics | undefined)?.top1).to.be.above(0.8)
    expect([...new Set(progress.map(({ kind }) => kind))]).to.have.members(['data', 'dataset', 'preflight', 'study', 'stage', 'event'])

    const { weights, labels } = await readModel(path.join(root, 'best.safetensors'))
    expect(labels).to.deep.equal(colours)
    const delivered = progress.findLast((step) => step.kind === 'event')
    expect(delivered?.kind === 'event' && delivered.event.kind === 'delivered' && delivered.event.weightsHash).to.equal(hashWeights(weights))
    using model = await loadModel(path.join(root, 'best.safetensors'))
    const beat = await lateness(async () => {
      for (let i = 0; i < 5; i++) expect((await model.predict(path.join(data, 'test', 'red', '0.mp4'))).map(({ label }) => label)).to.have.members([...colours])
    })
    expect(beat.p90).to.be.below(100)
  })

  it('ends the same after Ctrl-C and a resume as without, and a finished study is not run again', async () => {
    const interrupted = await tvn(['search', ...flags, '--out', out('stopped')], { env, interrupt: { when: /^trial \d+ .*MACs/m, signal: 'SIGINT' } })
    expect(interrupted.code, interrupted.stderr).to.equal(130)
    expect(interrupted.stderr).to.include(`everything so far is saved; go on with: npx tvn search --resume ${out('stopped')}`)
    expect(reportOf('stopped').best).to.equal(null)

    for (const place of ['', 'trials']) writeFileSync(path.join(out('stopped'), place, '.x.999999999-ab.tmp'), '')

    const resumed = await tvn(['search', '--resume', out('stopped')], { env })
    expect(resumed.code, resumed.stderr).to.equal(0)
    expect(resumed.stderr).to.match(/resuming after [1-9] trials/)
    expect(readdirSync(out('stopped'), { recursive: true }).filter((name) => String(name).endsWith('.tmp'))).to.deep.equal([])
    expect(facts(reportOf('stopped'))).to.deep.equal(facts(reportOf('alone')))
    expect(resumed.stdout).to.match(/accuracy\/latency front[^]*best network[^]*meets p90<1000ms@99%[^]*test: top-1[^]*try it: npx tvn predict/)

    const again = await tvn(['search', '--resume', out('stopped'), '--json'], { env })
    expect(again.code, again.stderr).to.equal(0)
    expect(JSON.parse(again.stdout)).to.deep.equal(reportOf('stopped'))
    expect(again.stderr).to.not.match(/^trial /m)
  })

  it('makes a lost model again, the same', async () => {
    const file = path.join(out('alone'), 'best.safetensors')
    rmSync(file)
    const { report } = await search({ resume: out('alone'), cacheDir })
    expect(hashWeights((await readModel(file)).weights)).to.equal(report.best?.weightsHash)
    expect(facts(report)).to.deep.equal(facts(reportOf('stopped')))
  })

  const refused = async (options: SearchOptions, code: string, message: RegExp): Promise<void> => {
    const error: unknown = await search(options).catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(TvnError).and.include({ code })
    expect((error as TvnError).message).to.match(message)
  }

  it('refuses a run directory that holds a study, and one that holds none to resume', async () => {
    const before = readFileSync(path.join(out('alone'), 'report.json'), 'utf8')
    await refused({ ...settings, out: out('alone') }, 'ERR_STUDY', /alone/)
    expect(readFileSync(path.join(out('alone'), 'report.json'), 'utf8')).to.equal(before)
    await refused({ resume: out('nowhere'), cacheDir }, 'ERR_STUDY', /nowhere/)
    await refused({ resume: out('alone'), trials: 4, cacheDir }, 'ERR_ARGUMENT', /takes its settings from the journal/)
  })

  it('finds out that the default run directory cannot be written before the data are prepared', async () => {
    const cwd = path.join(folder, 'blocked')
    mkdirSync(cwd)
    writeFileSync(path.join(cwd, 'runs'), '')
    const { code, stderr } = await tvn(['search', ...flags], { cwd, env: { TVN_CACHE_DIR: path.join(cwd, 'cache') } })
    expect(code).to.equal(2)
    expect(stderr).to.match(/^tvn: the run directory runs\/\S+ cannot be written: a part of its path is not a folder\n$/)
    expect(readdirSync(cwd)).to.deep.equal(['runs'])
  })

  it('says that no network can meet a limit, and what the fastest takes, before anything is written', async () => {
    await refused({ ...settings, limits: ['p90<0.00001ms'], out: out('impossible') }, 'ERR_LIMIT_IMPOSSIBLE', /fastest network of the space takes/)
    expect(existsSync(out('impossible'))).to.equal(false)
  })

  it('tells why there is no winner when nothing was trained, and keeps the report', async () => {
    await refused({ ...settings, trials: 2, maxParams: 1, out: out('none') }, 'ERR_NO_WINNER', /2 × parameters/)
    expect(reportOf('none').counts).to.include({ rejected: 2 })
  })
})
