import * as tf from '@tensorflow/tfjs'
import { expect } from 'chai'
import { registerNativeBackend } from '../../lib/tfjs/index.js'
import { lossesOf, models, trainable } from './models.js'

describe('backend tvn', () => {
  before(async () => {
    registerNativeBackend({ threads: 2 })
    await tf.setBackend('tvn')
  })
  after(() => tf.setBackend('cpu'))

  for (const name of Object.keys(models))
    it(`trains ${name}, made of stock layers, as the cpu backend does`, async function () {
      this.timeout(120_000)
      const ours = await lossesOf(name, 10)
      await tf.setBackend('cpu')
      const cpu = await lossesOf(name, 10)
      await tf.setBackend('tvn')
      expect(ours[9]).to.be.lessThan(ours[0] as number)
      for (const [i, loss] of ours.entries()) expect(loss).to.be.closeTo(cpu[i] as number, 1e-3)
    })

  it('is preferred to the cpu backend', () => {
    expect(tf.engine().backendNames()).to.include('tvn')
    const engine = tf.engine() as unknown as { registryFactory: Record<string, { priority: number }> }
    expect(engine.registryFactory.tvn?.priority).to.be.greaterThan(engine.registryFactory.cpu?.priority as number)
  })

  it('does not need more memory the longer it trains', async () => {
    const { step, dispose } = trainable('video', 2)
    for (let i = 0; i < 3; i++) await step()
    const before = tf.memory()
    for (let i = 0; i < 300; i++) await step()
    const { numTensors, numBytes, numDataBuffers } = tf.memory()
    expect({ numTensors, numBytes, numDataBuffers }).to.deep.equal({
      numTensors: before.numTensors,
      numBytes: before.numBytes,
      numDataBuffers: before.numDataBuffers,
    })
    dispose()
  })

  it('takes values that a cast has left as whole numbers or booleans', () => {
    const x = tf
      .tensor2d(
        Array.from({ length: 600 }, (_, i) => i % 7),
        [20, 30],
        'int32',
      )
      .toFloat()
    const y = x.matMul(tf.ones([30, 4])).add(x.greater(3).toFloat().sum())
    expect(y.arraySync()).to.deep.equal(
      tf.tidy(() =>
        tf
          .tensor2d(x.arraySync())
          .matMul(tf.ones([30, 4]))
          .add(x.greater(3).sum().toFloat())
          .arraySync(),
      ),
    )
    tf.dispose([x, y])
  })

  it('says what threads may be', () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 257])
      expect(() => registerNativeBackend({ threads })).to.throw(RangeError, 'threads must be a whole number from 1 to 256')
  })
})
