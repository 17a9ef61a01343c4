import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { type TrainingProgress, trainingLoop } from '../../lib/train/loop.js'

const batch = { clips: new Uint8Array(3), shape: [1, 1, 1, 1, 3], labels: Int32Array.of(0) }

/** A trainer whose losses are given, and which notes the rates that it was called with. */
function scripted(losses: (step: number) => number) {
  const rates: number[] = []
  const step = async (_clips: Uint8Array, _shape: readonly number[], _labels: Int32Array | readonly number[], options?: { learningRate?: number }) => {
    rates.push(options?.learningRate ?? Number.NaN)
    return { loss: losses(rates.length - 1) }
  }
  return { step, rates }
}

async function refusal(promise: Promise<unknown>): Promise<TvnError> {
  const error = await promise.catch((reason: unknown) => reason)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

describe('training loop', () => {
  it('follows the schedule and reports every iteration', async () => {
    const { step, rates } = scripted((i) => 10 - i)
    const seen: TrainingProgress[] = []
    const history = await trainingLoop({ step }, async () => batch, { iterations: 10, learningRate: 1, onProgress: (progress) => seen.push(progress) })
    expect(rates[0]).to.equal(1)
    expect(rates[9]).to.be.below(0.1)
    expect(seen.map(({ iteration, loss }) => [iteration, loss])).to.deep.equal(Array.from({ length: 10 }, (_, i) => [i + 1, 10 - i]))
    expect(history.map(({ loss }) => loss)).to.deep.equal([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  })

  it('keeps a history of at most a hundred means that cover every iteration', async () => {
    const { step } = scripted((i) => i)
    const history = await trainingLoop({ step }, async () => batch, { iterations: 250, learningRate: 1 })
    expect(history).to.have.length(84)
    expect(history[0]).to.include({ iteration: 3, loss: 1 })
    expect(history.at(-1)).to.include({ iteration: 250, loss: 249 })
  })

  it('loads exactly the batches that it uses, the next while one is computed', async () => {
    const events: string[] = []
    const next = async () => {
      events.push('load')
      return batch
    }
    const step = async () => {
      events.push('step')
      await sleep(1)
      return { loss: 1 }
    }
    await trainingLoop({ step }, next, { iterations: 3, learningRate: 1 })
    expect(events).to.deep.equal(['load', 'load', 'step', 'load', 'step', 'step'])
  })

  it('ends with ERR_DIVERGED at the first loss that is not finite', async () => {
    const { step, rates } = scripted((i) => (i === 4 ? Number.NaN : 1))
    const error = await refusal(trainingLoop({ step }, async () => batch, { iterations: 10, learningRate: 1 }))
    expect(error.code).to.equal('ERR_DIVERGED')
    expect(error.message).to.include('iteration 5 of 10')
    expect(rates).to.have.length(5)
  })

  it('ends early when the signal fires, and with the error of a batch that cannot be loaded', async () => {
    const controller = new AbortController()
    const { step, rates } = scripted(() => 1)
    const running = trainingLoop({ step }, async () => batch, {
      iterations: 1000,
      learningRate: 1,
      signal: controller.signal,
      onProgress: ({ iteration }) => iteration === 3 && controller.abort(),
    })
    expect((await running).map(({ iteration }) => iteration)).to.deep.equal([3])
    expect(rates).to.have.length(3)
    const broken = trainingLoop({ step }, () => Promise.reject(new TvnError('ERR_FILE', 'gone')), { iterations: 2, learningRate: 1 })
    expect((await refusal(broken)).code).to.equal('ERR_FILE')
  })

  it('counts steps that were skipped, whose losses are left out where they are not finite', async () => {
    const skipped = [1, 4, 5]
    let i = 0
    const step = async () => ({ loss: i === 4 ? Number.NaN : i, skipped: skipped.includes(i++), lossScale: 1 })
    const seen: TrainingProgress[] = []
    const history = await trainingLoop({ step }, async () => batch, { iterations: 7, learningRate: 1, onProgress: (progress) => seen.push(progress) })
    expect(history.map((entry) => entry.skipped)).to.deep.equal([0, 1, 0, 0, 1, 1, 0])
    expect(history.map(({ loss }) => loss)).to.deep.equal([0, 1, 2, 3, Number.NaN, 5, 6])
    expect(seen.map((progress) => progress.skipped)).to.deep.equal([0, 1, 1, 1, 2, 3, 3])
    expect(
      seen.map(({ loss }) => loss),
      'the last one that was finite',
    ).to.deep.equal([0, 1, 2, 3, 3, 5, 6])
    expect(
      (
        await trainingLoop(
          scripted(() => 1),
          async () => batch,
          { iterations: 1, learningRate: 1 },
        )
      )[0]?.skipped,
      'of a trainer that skips none',
    ).to.equal(0)
  })

  it('ends with ERR_DIVERGED when 32 steps in a row are skipped, and not for fewer', async () => {
    const run = async (skips: (i: number) => boolean) => {
      let i = 0
      const step = async () => ({ loss: Number.POSITIVE_INFINITY, skipped: skips(i++), lossScale: 1 })
      return trainingLoop({ step: async () => ({ ...(await step()), ...(skips(i - 1) ? {} : { loss: 1 }) }) }, async () => batch, {
        iterations: 100,
        learningRate: 1,
      })
    }
    const error = await refusal(run((i) => i >= 10))
    expect([error.code, error.message]).to.deep.equal([
      'ERR_DIVERGED',
      'the training diverged: the gradients of 32 steps in a row were not finite, up to iteration 42 of 100',
    ])
    expect((await run((i) => i % 32 !== 31)).reduce((sum, { skipped }) => sum + skipped, 0)).to.equal(97)
  })

  it('tells of every entry of the history before it goes on', async () => {
    const entries: number[] = []
    const { step, rates } = scripted(() => 1)
    const onEntry = async ({ iteration }: { iteration: number }) => {
      await sleep(1)
      expect(rates).to.have.length(iteration)
      entries.push(iteration)
    }
    await trainingLoop({ step }, async () => batch, { iterations: 250, learningRate: 1, onEntry })
    expect(entries.slice(0, 3)).to.deep.equal([3, 6, 9])
    expect(entries.at(-1)).to.equal(250)
  })

  it('waits at the gate before every iteration', async () => {
    const { step, rates } = scripted(() => 1)
    let open = (): void => {}
    const closed = new Promise<void>((resolve) => {
      open = resolve
    })
    const running = trainingLoop({ step }, async () => batch, { iterations: 4, learningRate: 1, gate: async () => (rates.length === 2 ? closed : undefined) })
    await sleep(5)
    expect(rates).to.have.length(2)
    open()
    await running
    expect(rates).to.have.length(4)
  })
})
