import { once } from 'node:events'
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import { type NativePlan, native } from '../lib/native.js'
import { Network } from '../lib/network/network.js'
import { Random } from '../lib/random.js'
import { initialize } from '../lib/train/initialize.js'

/** A copy in memory that `resize(0)` takes away at once, not when the garbage is collected. */
function resizable<T extends Float32Array | Uint8Array>(values: T): T {
  const bytes = values.byteLength
  const buffer = new (ArrayBuffer as new (bytes: number, options?: object) => ArrayBuffer)(bytes, { maxByteLength: bytes })
  const copy = new (values.constructor as new (buffer: ArrayBuffer) => T)(buffer)
  copy.set(values)
  return copy
}
const takeAway = ({ buffer }: Float32Array | Uint8Array) => (buffer as unknown as { resize(bytes: number): void }).resize(0)
const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)

describe('the addon', () => {
  const addon = createRequire(import.meta.url).resolve('../build/Release/tvn.node')
  const graph = Network.preset('tvn-mobile-1').graph({ classes: 10 })
  const clip = Uint8Array.from({ length: 2 * 224 * 224 * 3 }, (_, i) => (i * 31) & 255)
  const options = { batch: 1, threads: 1, precision: 'f32' } as const
  let weights: Record<string, Float32Array>
  let plan: NativePlan
  before(async () => {
    weights = Object.fromEntries(await initialize(graph, Random.seeded(1)))
    plan = await native().createPlan(graph, weights, options)
  })
  after(() => plan.dispose())

  it('needs neither weights nor clips once a call has begun', async () => {
    const borrowed = Object.fromEntries(Object.entries(weights).map(([name, values]) => [name, resizable(values)]))
    const creating = native().createPlan(graph, borrowed, options)
    const training = native().createTrainer(graph, borrowed, {
      threads: 1,
      task: 'single-label',
      labelSmoothing: 0,
      dropout: 0,
      momentum: 0,
      nesterov: false,
      weightDecay: 0,
      seed: 0,
    })
    Object.values(borrowed).forEach(takeAway)
    const trainer = await training
    for (const [name, values] of Object.entries(await trainer.weights()))
      expect(Buffer.compare(bytesOf(values), bytesOf(weights[name] as Float32Array)), name).to.equal(0)
    trainer.dispose()
    const created = await creating
    const clips = resizable(clip)
    const running = created.run(clips)
    takeAway(clips)
    expect(await running).to.deep.equal(await plan.run(clip))
    created.dispose()
  })

  it('refuses clips that a getter of the options takes away, and a target that is gone when the clips are loaded', async () => {
    const clips = resizable(clip)
    const measuring = async () =>
      plan.measure({
        clips,
        cold: false,
        core: -1,
        get runs() {
          return takeAway(clips), 1
        },
      })
    expect(await measuring().catch((error: unknown) => error)).to.have.property('code', 'ERR_ARGUMENT')

    const file = { path: process.execPath, offset: 0, width: 4, height: 4, frames: [0], left: 0, top: 0, side: 4, flip: false, gain: 1, bias: 0 }
    const out = resizable(new Uint8Array(4 * 4 * 3))
    const loading = native().loadClips([file], 4, 1, out)
    takeAway(out)
    expect(await loading.catch((error: unknown) => error)).to.have.property('code', 'ERR_ARGUMENT')
  })

  it('outlives worker threads that are terminated during its calls, whether these succeed or fail', async () => {
    const code = `
      const { parentPort, workerData } = require('node:worker_threads')
      const addon = require(workerData)
      for (let i = 0; i < 4; i++) addon.measurePeak(200)
      const missing = { path: '/nowhere', offset: 0, width: 4, height: 4, frames: [0], left: 0, top: 0, side: 4, flip: false, gain: 1, bias: 0 }
      addon.loadClips([missing], 4, 1, new Uint8Array(48))
      parentPort.postMessage('started')`
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(code, { eval: true, execArgv: [], workerData: addon })
      await once(worker, 'message')
      expect(await worker.terminate()).to.equal(1)
    }
  })
})
