import { expect } from 'chai'
import { deliver } from '../../lib/search/deliver.js'
import { replay } from '../../lib/search/state.js'
import { runFolder } from '../../lib/search/run-folder.js'
import { runTrials } from '../../lib/search/run-trials.js'
import { MemoryStudy } from '../../lib/search/storage/memory.js'
import type { Storage } from '../../lib/search/storage/storage.js'
import { Study } from '../../lib/search/study.js'
import { isFinal } from '../../lib/search/trial.js'
import { type FakeOptions, fakePool } from './fake-pool.js'
import { record } from './study-record.js'

/** The power that goes off at the n-th append. */
class Outage extends Error {}

function breaking(storage: Storage, appends: number): Storage {
  let left = appends
  return {
    ...storage,
    append(event, elapsed) {
      if (left-- <= 0) throw new Outage()
      storage.append(event, elapsed)
    },
  }
}

const clock = () => performance.now() / 1000

async function go(study: Study, fake: FakeOptions = {}) {
  const pool = fakePool(fake)
  const steps = { study, pool, folder: runFolder('/nowhere'), classes: 10, machines: new Set([record.machine.id]), onProgress: () => {} }
  await runTrials(steps)
  await deliver(steps)
  return pool
}

async function whole(changes: Partial<typeof record> = {}, fake: FakeOptions = {}) {
  const memory = new MemoryStudy()
  const storage = memory.open()
  storage.append({ kind: 'created', record: { ...record, ...changes } }, 0)
  const expectJournal = () =>
    expect({ ...replay(storage.events()), elapsed: 0 }, 'the journal says what the study shows').to.deep.equal({ ...study.state, elapsed: 0 })
  let events = 0
  const study: Study = new Study(storage, clock, () => {
    events++
    expectJournal()
  })
  const { tasks } = await go(study, fake)
  expectJournal()
  expect(events).to.be.above(study.state.trials.length)
  return { ...study.state, elapsed: 0, tasks }
}

describe('study', () => {
  it('evaluates every trial, has children, rejects by parameters and by latency, and delivers the best', async () => {
    const { trials, delivery } = await whole({ trials: 40 })
    expect(trials.map(({ id }) => id)).to.deep.equal(Array.from({ length: 40 }, (_, i) => i))
    expect(trials.every(isFinal)).to.equal(true)
    expect(trials.filter(({ parent }) => parent !== null).length).to.be.above(20)
    for (const trial of trials.filter(({ state }) => state === 'rejected'))
      expect(trial.reason).to.match(/^(parameters: \d+ > 100000|latency: p90 .* limit p90<1ms@99%)$/)
    expect(new Set(trials.map(({ state }) => state))).to.include.members(['complete', 'rejected'])
    const best = Math.max(...trials.map(({ fitness }) => fitness ?? 0))
    expect(delivery).to.include({ fitness: best, iterations: 35 })
    for (const { parent, id } of trials) {
      if (parent === null) continue
      expect(parent).to.be.below(id)
      expect(trials[parent]?.state, 'children of trained parents only').to.equal('complete')
    }
  })

  for (const workers of [1, 2, 3]) {
    it(`has the same lineage whatever the timing, with ${workers} at the same time`, async () => {
      const { tasks: _, ...first } = await whole({ workers }, { timing: 1 })
      for (const timing of [2, 3, 4, 5]) {
        const { tasks: __, ...other } = await whole({ workers }, { timing })
        expect(other).to.deep.equal(first)
      }
    })

    it(`ends the same after an outage at every moment, with ${workers} at the same time`, async () => {
      const { tasks: _, ...expected } = await whole({ workers })
      let outages = 0
      for (let appends = 0; ; appends++) {
        const memory = new MemoryStudy()
        let storage = memory.open()
        storage.append({ kind: 'created', record: { ...record, workers } }, 0)
        const interrupted = await go(new Study(breaking(storage, appends), clock)).then(
          () => false,
          (error: unknown) => {
            if (error instanceof Outage) return true
            throw error
          },
        )
        if (!interrupted) break
        outages++
        await new Promise((resolve) => setTimeout(resolve, 6)) // what was under way has ended by then
        storage.close()
        storage = memory.open()
        const resumed = new Study(storage, clock)
        await go(resumed, { timing: appends })
        expect({ ...resumed.state, elapsed: 0 }).to.deep.equal(expected)
        storage.close()
      }
      expect(outages).to.be.above(3 * 14)
    }).timeout(60_000)
  }

  it('measures no trial twice that an interrupted run has measured, unless on another machine', async () => {
    for (const [machine, again] of [
      [record.machine.id, false],
      ['another', true],
    ] as const) {
      const memory = new MemoryStudy()
      const storage = memory.open()
      storage.append({ kind: 'created', record: { ...record, trials: 1 } }, 0)
      await go(new Study(breaking(storage, 2), clock)).catch(() => {}) // proposed, measured, and then the outage
      const study = new Study(storage, clock)
      expect(study.state.trials[0]?.state).to.equal('measured')
      const pool = fakePool()
      await runTrials({ study, pool, folder: runFolder('/nowhere'), classes: 10, machines: new Set([machine]), onProgress: () => {} })
      expect(pool.tasks.includes('measure trial-0')).to.equal(again)
    }
  })

  it('proposes nothing more when the time is over, and says so in the journal', async () => {
    const { trials, stopped } = await whole({ time: 1e-6 })
    expect(trials).to.have.length(0)
    expect(stopped).to.match(/time/)
  })

  it('records failures and goes on; passes over a winner that fails, for the next best', async () => {
    const { trials, delivery } = await whole({ seed: 4 })
    const winner = delivery?.trial as number
    const failing = { [`trial-${winner}`]: 'crashed: SIGSEGV' }
    const after = await whole({ seed: 4 }, { failing })
    expect(after.trials[winner]).to.include({ state: 'failed', reason: 'crashed: SIGSEGV', fitness: null })
    expect(after.delivery?.trial).to.not.equal(winner)
    expect(trials[winner]?.state).to.equal('complete')
  })

  it('passes over a winner that is too slow with its final weights, and says so in the journal', async () => {
    const { delivery } = await whole()
    const winner = delivery?.trial as number
    const after = await whole({}, { slowInTheEnd: [`trial-${winner}`] })
    expect(after.delivery?.trial).to.not.equal(winner)
    expect([...after.passedOver.keys()]).to.deep.equal([winner])
    expect(after.passedOver.get(winner)).to.match(/^latency: /)
  })

  it('holds a full disk against no trial, and ends the same once there is room', async () => {
    const { tasks, ...expected } = await whole()
    for (const diskFullFrom of [3, 10, tasks.length - 3, tasks.length - 1]) {
      const storage = new MemoryStudy().open()
      storage.append({ kind: 'created', record }, 0)
      const error: unknown = await go(new Study(storage, clock), { diskFullFrom }).catch((thrown: unknown) => thrown)
      expect(error).to.include({ code: 'ERR_FILE' })
      const study = new Study(storage, clock)
      await go(study)
      expect({ ...study.state, elapsed: 0 }).to.deep.equal(expected)
    }
  })

  it('measures a winner of another machine before it is trained on', async () => {
    const { delivery } = await whole()
    const name = `trial-${delivery?.trial}`
    for (const [machine, tasks] of [
      [record.machine.id, [`finish ${name}`, `measure ${name}`, `seal ${name}`]],
      ['another', [`measure ${name}`, `finish ${name}`, `measure ${name}`, `seal ${name}`]],
    ] as const) {
      const storage = new MemoryStudy().open()
      storage.append({ kind: 'created', record }, 0)
      const study = new Study(storage, clock)
      const steps = { study, folder: runFolder('/nowhere'), classes: 10, onProgress: () => {} }
      await runTrials({ ...steps, pool: fakePool(), machines: new Set([record.machine.id]) })
      const pool = fakePool()
      await deliver({ ...steps, pool, machines: new Set([machine]) })
      expect(pool.tasks).to.deep.equal(tasks)
    }
  })

  it('delivers nothing when nothing was trained', async () => {
    const { trials, delivery } = await whole({ maxParams: 1 })
    expect(trials.every(({ state }) => state === 'rejected')).to.equal(true)
    expect(delivery).to.equal(null)
  })
})
