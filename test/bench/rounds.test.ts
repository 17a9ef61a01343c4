import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { ContenderProcess } from '../../bench/contender-process.js'
import type { Contender } from '../../bench/contenders.js'
import { loadContenders, takeTurns } from '../../bench/rounds.js'
import { temporaryFolder } from '../data/videos.js'

const script = new URL('./fake-engines.ts', import.meta.url)

describe('rounds of the benchmark', function () {
  this.timeout(60_000)
  const log = path.join(temporaryFolder('rounds'), 'log')
  let contenders: ContenderProcess[] = []

  before(() => {
    process.env['TVN_FAKE_LOG'] = log
  })
  after(() => delete process.env['TVN_FAKE_LOG'])
  beforeEach(() => writeFileSync(log, ''))
  afterEach(() => Promise.all(contenders.map((contender) => contender.close())))

  /** Contenders with 2, 3, 4 … threads, told apart by that; none is pinned to a core. */
  const make = (...networks: readonly (string | Partial<Contender>)[]) => {
    contenders = networks.map((of, i) => {
      const contender = { network: 'steady', engine: 'tvn', precision: 'f32', threads: i + 2, batch: 1, task: 'inference' } as const
      return new ContenderProcess({ ...contender, ...(typeof of === 'string' ? { network: of } : of) }, { script, patience: { load: 30, turn: 1.5 } })
    })
    return contenders
  }
  const load = () => loadContenders(contenders, () => {}, new AbortController().signal)
  const turns = (leastRounds: number, signal = new AbortController().signal) =>
    takeTurns(contenders, { seconds: 0, leastRounds, signal, onRound: async () => writeFileSync(log, '|', { flag: 'a' }), onProgress: () => {} })

  it('interleaves the turns: everybody loads and is compared before anybody is timed', async () => {
    make('steady', 'steady', 'steady')
    await load()
    expect(await turns(3)).to.equal(3)
    expect(readFileSync(log, 'utf8')).to.equal('234|234|234|234')
    for (const { times, failure, first } of contenders) {
      expect(failure).to.equal(undefined)
      expect(times).to.have.length(3)
      for (const ms of times) expect(ms).to.be.at.least(119)
      expect(first?.output[0]).to.equal(1)
    }
  })

  it('names whoever throws, crashes or hangs, and goes on with the others', async () => {
    const [throws, crashes, steady, hangs] = make('throws', 'crashes', 'steady', 'hangs')
    await load()
    await turns(2)
    expect(throws?.failure).to.equal('no such op')
    expect(crashes?.failure).to.equal('crashed: SIGSEGV')
    expect(hangs?.failure).to.equal('timeout: nothing heard of it for 1.5 s')
    expect(steady).to.include({ failure: undefined })
    expect(steady?.times).to.have.length(2)
    expect(hangs?.name).to.equal('hangs tvn f32 5 threads')
  })

  it('does not time what computes something else than most', async () => {
    const [wrong, one, other, coarse] = make('wrong', 'steady', 'steady', { network: 'coarse', precision: 'bf16' })
    await load()
    await turns(1)
    expect(wrong?.failure).to.match(/^its output is 0\.0\d+ away from that of steady tvn f32 3 threads, allowed are 0.001$/)
    expect(wrong?.times).to.deep.equal([])
    expect([one?.failure, other?.failure, coarse?.failure]).to.deep.equal([undefined, undefined, undefined])
    expect(one?.difference).to.equal(0)
    expect(coarse?.difference).to.be.within(0.01, 0.02)
  })

  it('lets the slow sit out rounds', async () => {
    const [steady, other, slow] = make('steady', 'steady', 'slow')
    await load()
    await turns(5)
    expect([steady, other].map((contender) => contender?.times.length)).to.deep.equal([5, 5])
    expect(slow?.times.length).to.be.within(2, 3)
  })

  it('ends at once when it is interrupted', async () => {
    make('steady')
    await load()
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('enough')), 200)
    const error = await turns(1000, controller.signal).catch((reason: unknown) => reason)
    expect(error).to.have.property('message', 'enough')
  })

  after(() => rmSync(log, { force: true }))
})
