import * as tf from '@tensorflow/tfjs'
import { expect } from 'chai'
import { getThreadsCount, registerNativeBackend, setThreadsCount } from '../../lib/tfjs/index.js'
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

  it('sees weights that are written in place, and other threads', async () => {
    await tf.setBackend('tvn')
    const array = Float32Array.from({ length: 16 * 16 }, () => 1)
    const b = tf.tensor2d(array, [16, 16])
    const a = tf.ones([3, 16])
    expect((a.matMul(b) as tf.Tensor2D).dataSync()[0]).to.equal(16)
    array[0] = 101
    expect((a.matMul(b) as tf.Tensor2D).dataSync()[0]).to.equal(116)
    setThreadsCount(1)
    expect(getThreadsCount()).to.equal(1)
    expect((a.matMul(b) as tf.Tensor2D).dataSync()[0]).to.equal(116)
    setThreadsCount(2)
    tf.dispose([a, b])
  })

  it('multiplies matrices of any batches as the cpu backend does', async () => {
    const shapes: [number[], number[]][] = [
      [
        [1, 20, 30],
        [1, 1, 30, 40],
      ],
      [
        [2, 20, 30],
        [30, 40],
      ],
      [
        [20, 30],
        [3, 30, 40],
      ],
      [
        [2, 1, 20, 30],
        [2, 1, 30, 40],
      ],
      [
        [3, 2, 5, 6],
        [3, 2, 6, 7],
      ],
    ]
    const run = () =>
      shapes.map(([a, b]) =>
        tf.tidy(() => {
          const y = tf.matMul(tf.randomUniform(a, -1, 1, 'float32', 1), tf.randomUniform(b, -1, 1, 'float32', 2))
          return { shape: y.shape, values: [...y.dataSync()] }
        }),
      )
    await tf.setBackend('cpu')
    const cpu = run()
    await tf.setBackend('tvn')
    for (const [i, { shape, values }] of run().entries()) {
      expect(shape).to.deep.equal(cpu[i]?.shape)
      for (const [at, value] of values.entries()) expect(value).to.be.closeTo(cpu[i]?.values[at] as number, 1e-5)
    }
    for (const [a, b] of [
      [
        [2, 3, 5, 6],
        [3, 2, 6, 7],
      ],
      [
        [4, 5, 6],
        [2, 2, 6, 7],
      ],
    ] as const)
      expect(() => tf.matMul(tf.zeros([...a]), tf.zeros([...b]))).to.throw('could not be broadcast together')
  })

  it('keeps half a gigabyte of packed weights at most, whatever shapes come', async function () {
    this.timeout(60_000)
    await tf.setBackend('tvn')
    const b = tf.ones([1024, 1024])
    const before = process.memoryUsage().rss
    for (let rows = 1; rows <= 400; rows++) {
      tf.tidy(() => tf.matMul(tf.ones([rows, 1024]), b).dataSync())
      await new Promise(setImmediate) // arrays are given back
    }
    expect((process.memoryUsage().rss - before) / 2 ** 20).to.be.lessThan(1300) // 400 copies are 1.6 GiB, and freed pages need not be given back at once
    tf.dispose(b)
    setThreadsCount(1) // which lets go of them
    setThreadsCount(2)
  })

  it('says what threads may be', () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 257])
      expect(() => registerNativeBackend({ threads })).to.throw(RangeError, 'threads must be a whole number from 1 to 256')
  })
})
