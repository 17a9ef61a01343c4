import { expect } from 'chai'
import { latencyReason, parametersReason, reasonCategory } from '../../lib/evaluate/constraints.js'
import { Gate } from '../../lib/evaluate/gate.js'
import { evaluateTrial, type TrialEvent, type TrialSteps, type TrialToEvaluate } from '../../lib/evaluate/trial.js'
import { latencyOf, sampleNetwork } from '../search/fake-pool.js'

const network = sampleNetwork
const latency = { ...latencyOf(network, ['p90<1ms@99%']), p50: 0.4, p90: 0.5, p99: 0.7 }
const trial: TrialToEvaluate = { id: 3, network, params: 1000, latency: null }
const trained = { fitness: 0.5, metrics: { samples: 1, top1: 0.5, top5: 1, perClass: [], confusion: [] }, iterations: 10, weightsHash: 'ab' }

/** Evaluates, with what happened in its order: the steps as words, the events by their kind. */
async function evaluate(changes: Partial<TrialToEvaluate> = {}, steps: Partial<TrialSteps> = {}) {
  const order: string[] = []
  const events: TrialEvent[] = []
  const all: TrialSteps = {
    measure: async () => ({ ok: true, result: { ...latency, verdict: 'meets' } }),
    train: async () => ({ ok: true, result: trained }),
    ...steps,
  }
  await evaluateTrial(
    { ...trial, ...changes },
    2000,
    {
      measure: (of) => (order.push('measure'), all.measure(of)),
      train: (of) => (order.push('train'), all.train(of)),
    },
    (event) => {
      order.push(`told ${event.kind}`)
      events.push(event)
    },
  )
  return { order, last: events.at(-1) }
}

describe('a trial', () => {
  it('is measured, then trained, and tells of every step before the next', async () => {
    const { order, last } = await evaluate()
    expect(order).to.deep.equal(['measure', 'told measured', 'told running', 'train', 'told complete'])
    expect(last).to.deep.equal({ kind: 'complete', trial: 3, ...trained })
  })

  it('with too many parameters is rejected before anything is spent on it', async () => {
    const { order, last } = await evaluate({ params: 2001 })
    expect(order).to.deep.equal(['told rejected'])
    expect(last).to.include({ reason: 'parameters: 2001 > 2000' })
    expect((await evaluate({ params: 2000 })).last?.kind).to.equal('complete')
  })

  for (const verdict of ['fails', 'uncertain'] as const) {
    it(`is not trained when its latency ${verdict === 'fails' ? 'fails' : 'is uncertain'}`, async () => {
      const { order, last } = await evaluate({}, { measure: async () => ({ ok: true, result: { ...latency, verdict } }) })
      expect(order).to.deep.equal(['measure', 'told measured', 'told rejected'])
      expect(last?.kind === 'rejected' && last.reason).to.match(
        verdict === 'fails' ? /^latency: p90 0\.500 ms, limit p90<1ms@99%$/ : /^latency too noisy to say: p90 0\.500 ms after 44 runs, limit/,
      )
    })
  }

  it('that was measured before is not measured again', async () => {
    expect((await evaluate({ latency: { ...latency, verdict: 'meets' } })).order).to.deep.equal(['told running', 'train', 'told complete'])
    expect((await evaluate({ latency: { ...latency, verdict: 'fails' } })).order).to.deep.equal(['told rejected'])
  })

  it('fails with the reason of the step in which it failed', async () => {
    const measuring = await evaluate({}, { measure: async () => ({ ok: false, reason: 'crashed: SIGSEGV' }) })
    expect(measuring.last).to.deep.equal({ kind: 'failed', trial: 3, reason: 'crashed: SIGSEGV' })
    const training = await evaluate({}, { train: async () => ({ ok: false, reason: 'diverged: the loss is NaN at step 4' }) })
    expect(training.last).to.deep.equal({ kind: 'failed', trial: 3, reason: 'diverged: the loss is NaN at step 4' })
  })
})

describe('reasons', () => {
  it('name the figures that the limits ask for', () => {
    const limits = ['p50<0.3ms@99%', 'p99.9<0.6ms@99%']
    expect(latencyReason({ ...latency, limits, verdict: 'fails' })).to.equal('latency: p50 0.400 ms, p99 0.700 ms, limit p50<0.3ms@99% and p99.9<0.6ms@99%')
    expect(latencyReason({ ...latency, verdict: 'meets' })).to.equal(undefined)
    const { verdict: _, ...unlimited } = latency
    expect(latencyReason(unlimited), 'no limit').to.equal(undefined)
  })

  it('are those of the device on which the limits fail', () => {
    const limits = ['p90<1ms@99%@cuda']
    const on = (device: 'cpu' | 'cuda', verdict: 'meets' | 'fails' | 'uncertain') => ({ ...latency, device, ...(device === 'cuda' && { limits }), verdict })
    expect(latencyReason({ ...on('cpu', 'meets'), elsewhere: [on('cuda', 'meets')] })).to.equal(undefined)
    expect(latencyReason({ ...on('cpu', 'meets'), elsewhere: [on('cuda', 'fails')] })).to.equal('latency: p90 0.500 ms, limit p90<1ms@99%@cuda')
    expect(latencyReason({ ...on('cpu', 'uncertain'), elsewhere: [on('cuda', 'fails')] })).to.match(/^latency: .*@cuda$/)
    expect(latencyReason({ ...on('cpu', 'uncertain'), elsewhere: [on('cuda', 'meets')] })).to.match(/^latency too noisy to say: .*, limit p90<1ms@99%$/)
  })

  it('have a category to count them by', () => {
    expect([parametersReason(3, 2) as string, 'latency too noisy to say: p90', 'crashed'].map(reasonCategory)).to.deep.equal([
      'parameters',
      'latency too noisy to say',
      'crashed',
    ])
  })
})

describe('gate', () => {
  it('lets through while it is open, holds while it is closed, and says so once for everyone who waits', async () => {
    let waiting = 0
    const gate = new Gate(() => waiting++)
    await gate.pass()
    gate.close()
    gate.close()
    const passed: number[] = []
    const both = [0, 1].map((i) => gate.pass().then(() => passed.push(i)))
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect([waiting, passed.length]).to.deep.equal([2, 0])
    gate.open()
    await Promise.all(both)
    expect(passed).to.have.length(2)
    await gate.pass()
    expect(waiting).to.equal(2)
  })

  it('that is closed again before those who waited went on, holds them again', async () => {
    let waiting = 0
    const gate = new Gate(() => waiting++)
    gate.close()
    const passing = gate.pass()
    gate.open()
    gate.close()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(waiting).to.equal(2)
    gate.open()
    await passing
  })
})
