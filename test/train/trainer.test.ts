import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { loadModel } from '../../lib/model/model.js'
import { readSafetensors, type Tensor } from '../../lib/model/safetensors.js'
import { Network } from '../../lib/network/network.js'
import { createTrainer, type TrainerOptions } from '../../lib/train/trainer.js'

const path = new URL('../fixtures/golden/squeeze-then-gate.safetensors', import.meta.url).pathname

async function refusal(call: () => Promise<unknown>): Promise<TvnError> {
  const error = await call().catch((reason: unknown) => reason)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

describe('trainer', () => {
  let clips: Tensor
  let bytes: Uint8Array
  let labels: Int32Array
  before(async () => {
    const { tensors } = await readSafetensors(path)
    clips = tensors.get('golden.clips') as Tensor
    bytes = clips.data as Uint8Array
    labels = (tensors.get('golden.labels') as Tensor).data as Int32Array
  })

  it('leaves the model that it started from as it is', async () => {
    using model = await loadModel(path)
    const before = new Map([...model.weights].map(([name, values]) => [name, values.slice()]))
    const logits = await model.logits(bytes, clips.shape)
    using trainer = await createTrainer(model, { learningRate: 0.5 })
    for (let i = 0; i < 3; i++) await trainer.step(bytes, clips.shape, labels)
    expect(model.weights).to.deep.equal(before)
    expect(await model.logits(bytes, clips.shape)).to.deep.equal(logits)
    expect(await trainer.weights()).to.not.deep.equal(before)
  })

  it('learns one batch by heart from fresh weights, the same way for the same seed', async () => {
    const network = Network.parse((await readSafetensors(path)).metadata.network)
    const run = async (seed: number, threads: number) => {
      using trainer = await createTrainer(network, { classes: 5, learningRate: 0.05, labelSmoothing: 0, dropout: 0.2, seed, threads })
      const losses: number[] = []
      for (let i = 0; i < 60; i++) losses.push((await trainer.step(bytes, clips.shape, labels)).loss)
      return { losses, weights: await trainer.weights() }
    }
    const first = await run(1, 1)
    expect(first.losses[0]).to.be.closeTo(Math.log(5), 0.2)
    expect(first.losses.at(-1)).to.be.below(0.8)
    expect(await run(1, 2)).to.deep.equal(first)
    expect((await run(2, 1)).losses[0]).to.not.equal(first.losses[0])
  })

  it('takes batches of any size, and calls that overlap, in their order', async () => {
    using model = await loadModel(path)
    const one = bytes.length / 6
    const shapes = [1, 6, 3, 2].map((n) => [n, ...clips.shape.slice(1)])
    const steps = async (overlap: boolean) => {
      using trainer = await createTrainer(model, { seed: 3 })
      const calls = shapes.map((shape) => () => trainer.step(bytes.subarray(0, (shape[0] as number) * one), shape, labels.subarray(0, shape[0])))
      if (overlap) return await Promise.all(calls.map((call) => call()))
      const losses = []
      for (const call of calls) losses.push(await call())
      return losses
    }
    expect(await steps(true)).to.deep.equal(await steps(false))
  })

  it('refuses wrong labels, shapes and rates, and goes on', async () => {
    using model = await loadModel(path)
    using trainer = await createTrainer(model)
    const cases: [call: () => Promise<unknown>, message: RegExp][] = [
      [() => trainer.step(bytes, clips.shape, labels.subarray(1)), /labels must be an Int32Array of 6 values/],
      [() => trainer.step(bytes, clips.shape, undefined as never), /labels must be/],
      [() => trainer.step(bytes, clips.shape, [0, 1, 2, 3, 4, 5]), /labels\[5\] must be a whole number from 0 to 4, got 5/],
      [() => trainer.step(bytes, clips.shape, [0, 1, 2, 3, 4, -1]), /labels\[5\]/],
      [() => trainer.step(bytes, clips.shape, [0, 1, 2, 3, 4, 0.5]), /labels\[5\]/],
      [() => trainer.step(bytes, [6, 1, 1, 1, 3], labels), /shape must be/],
      [() => trainer.step(bytes, clips.shape, labels, { learningRate: Number.NaN }), /learningRate/],
    ]
    for (const [call, message] of cases) {
      const error = await refusal(call)
      expect(error.code).to.equal('ERR_ARGUMENT')
      expect(error.message).to.match(message)
    }
    expect((await trainer.step(bytes, clips.shape, labels)).loss).to.be.a('number')
  })

  const options: [TrainerOptions, RegExp][] = [
    [{ momentum: 2 }, /momentum must be a number from 0 to 1, got 2/],
    [{ dropout: 1 }, /dropout/],
    [{ learningRate: -1 }, /learningRate/],
    [{ nesterov: 1 as never }, /nesterov must be true or false/],
    [{ threads: 0 }, /threads/],
    [{ seed: 0.5 }, /seed/],
    [{ task: 'regression' as never }, /task must be 'single-label' or 'multi-label'/],
    [{ precision: 'bf16' as never }, /precision must be 'f32'/],
  ]
  for (const [option, message] of options) {
    it(`refuses ${JSON.stringify(option)}`, async () => {
      using model = await loadModel(path)
      expect((await refusal(() => createTrainer(model, option))).message).to.match(message)
    })
  }

  it('needs the number of classes for a network', async () => {
    expect((await refusal(() => createTrainer(Network.preset('tvn-1')))).message).to.match(/classes must be/)
  })

  it('cannot be used after dispose', async () => {
    using model = await loadModel(path)
    const trainer = await createTrainer(model)
    trainer.dispose()
    trainer.dispose()
    for (const call of [() => trainer.step(bytes, clips.shape, labels), () => trainer.weights(), () => trainer.gradients()]) {
      expect((await refusal(call)).code).to.equal('ERR_DISPOSED')
    }
  })
})
