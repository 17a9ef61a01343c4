import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { expect } from 'chai'
import { type Browser, chromium } from 'playwright-core'
import { clipsOf, graphOf, weightsOf } from '../../bench/subjects.js'
import { loadModel, Network } from '../../lib/index.js'
import { native } from '../../lib/native.js'
import { fromLayersModel, registerNativeBackend, tinyBlock, toLayersModel } from '../../lib/tfjs/index.js'
import { tvn } from '../cli/run.js'
import { temporaryFolder } from '../data/videos.js'
import { randomBytes } from '../../bench/statistics.js'

const fixtures = new URL('../fixtures/golden/', import.meta.url).pathname
const golden = readdirSync(fixtures).filter((file) => file.endsWith('.safetensors'))

const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values, Math.abs))
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).to.equal(b.length)
  return largest(Array.from(a, (value, i) => value - (b[i] as number))) / largest(b)
}

describe('conversion to and from TensorFlow.js', () => {
  before(async () => {
    registerNativeBackend({ threads: 2 })
    await tf.setBackend('tvn')
  })
  after(() => tf.setBackend('cpu'))

  for (const name of Network.presets)
    it(`${name} gives our logits, as stock layers and as ours, and comes back`, async function () {
      this.timeout(60_000)
      const network = Network.preset(name)
      const graph = graphOf(name)
      const weights = weightsOf(graph)
      const clips = clipsOf(graph, 1)
      const plan = await native().createPlan(graph, Object.fromEntries(weights), { batch: 1, threads: 2, precision: 'f32' })
      const want = await plan.run(clips)
      plan.dispose()
      const { frames, size } = network.streams[0]
      const x = tf.tensor(Float32Array.from(clips), [1, frames, size, size, 3])
      for (const layers of ['plain', 'native'] as const) {
        const model = toLayersModel(network, weights, { layers })
        const logits = model.predict(x) as tf.Tensor
        expect(difference(logits.dataSync(), want), layers).to.be.lessThan(1e-4)
        if (layers === 'native') {
          const back = fromLayersModel(model)
          expect(back.network.toJSON()).to.deep.equal(network.toJSON())
          expect([...back.weights.keys()].sort()).to.deep.equal([...weights.keys()].sort())
          for (const [tensor, values] of weights)
            expect(Buffer.from(values.buffer).equals(Buffer.from(back.weights.get(tensor)?.buffer as ArrayBuffer))).to.equal(true)
        } else
          expect(() => fromLayersModel(model))
            .to.throw(': is a')
            .with.property('code', 'ERR_ARGUMENT')
        tf.dispose(logits)
        model.dispose()
      }
      tf.dispose(x)
    })

  it('refuses weights that are not the network’s', () => {
    const network = Network.preset('tvn-mobile-2')
    expect(() => toLayersModel(network, new Map()))
      .to.throw('head.bias is missing')
      .with.property('code', 'ERR_MODEL_TENSOR')
    expect(() => toLayersModel(network, new Map([['head.bias', new Float32Array(3)]]))).to.throw(/expected \d+ numbers in a Float32Array, got undefined/)
    expect(() => toLayersModel({} as Network, new Map()))
      .to.throw('a Network')
      .with.property('code', 'ERR_ARGUMENT')
    expect(() => fromLayersModel(null as unknown as tf.LayersModel)).to.throw('a LayersModel')
  })

  it('refuses a model of our layers that computes something else than a network', () => {
    const block = {
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: 2,
      temporalType: '1d',
      temporalKernel: 3,
      temporalStride: 1,
      filters: 8,
      expand: 0,
      repeats: 1,
      skip: false,
      squeeze: 0,
      contextGate: false,
      nonLocal: 0,
    } as const
    const rescaling = () => tf.layers.rescaling({ scale: 1 / 127.5, offset: -1 })
    const average = (size: number) => tf.layers.averagePooling3d({ poolSize: [2, size, size], strides: [2, size, size] })
    const model = (layers: tf.layers.Layer[]) => tf.sequential({ layers: [tf.layers.inputLayer({ inputShape: [2, 8, 8, 3] }), ...layers] })
    const right = (): tf.layers.Layer[] => [rescaling(), tinyBlock({ block, epsilon: 1e-5 }), average(4), tf.layers.flatten(), tf.layers.dense({ units: 5 })]
    const { network, weights } = fromLayersModel(model(right()), { name: 'mine', fps: 5 })
    expect([network.name, network.streams, weights.get('head.bias')?.length]).to.deep.equal(['mine', [{ frames: 2, size: 8, fps: 5 }], 5])
    const wrong: Record<string, tf.layers.Layer[]> = {
      'another epsilon': right().with(1, tinyBlock({ block, epsilon: 0.1 })),
      'another rescaling': right().with(0, tf.layers.rescaling({ scale: 1 / 255 })),
      'no rescaling': right().slice(1),
      'a stem': right().toSpliced(1, 0, tf.layers.conv3d({ filters: 3, kernelSize: [1, 3, 3], padding: 'same' })),
      'a pool between blocks': right()
        .toSpliced(1, 0, tf.layers.averagePooling3d({ poolSize: [1, 2, 2], strides: [1, 2, 2] }))
        .with(3, average(2)),
      'an activation': right().with(4, tf.layers.dense({ units: 5, activation: 'softmax' })),
      'no bias': right().with(4, tf.layers.dense({ units: 5, useBias: false })),
      'two dense layers': [...right(), tf.layers.dense({ units: 5 })],
      'no average': right().toSpliced(2, 1),
      'a dropout that is none of ours': right().toSpliced(2, 0, tf.layers.gaussianNoise({ stddev: 1 })),
    }
    for (const [what, layers] of Object.entries(wrong))
      expect(() => fromLayersModel(model(layers)), what)
        .to.throw()
        .with.property('code')
        .that.is.oneOf(['ERR_ARGUMENT', 'ERR_MODEL_TENSOR'])
  })

  describe('tvn export --tfjs', () => {
    const folder = temporaryFolder('tfjs')
    let server: Server
    let browser: Browser

    before(async function () {
      this.timeout(60_000)
      const script = readFileSync(createRequire(import.meta.url).resolve('@tensorflow/tfjs/dist/tf.min.js'))
      server = createServer(({ url = '' }, response) => {
        if (url === '/') response.setHeader('content-type', 'text/html').end('<!doctype html><script src="/tf.js"></script>')
        else if (url === '/tf.js') response.end(script)
        else {
          try {
            response.end(readFileSync(path.join(folder, path.normalize(url))))
          } catch {
            response.writeHead(404).end()
          }
        }
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
    })
    after(async () => {
      await browser?.close()
      server?.close()
    })

    for (const file of golden)
      it(`${file} gives our logits in a browser, with stock TensorFlow.js`, async function () {
        this.timeout(60_000)
        const { code, stderr } = await tvn(['export', '--tfjs', path.join(folder, file), '--model', path.join(fixtures, file)])
        expect([code, stderr]).to.deep.equal([0, ''])
        using model = await loadModel(path.join(fixtures, file))
        const { frames, size } = model.network.streams[0]
        const shape = [2, frames, size, size, 3]
        const clips = randomBytes(shape.reduce((a, b) => a * b))
        const page = await browser.newPage()
        await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
        const logits = await page.evaluate(
          async ({ url, values, extents }) => {
            const inPage = (globalThis as unknown as { tf: typeof tf }).tf
            await inPage.setBackend('cpu')
            const loaded = await inPage.loadLayersModel(url)
            return [...(loaded.predict(inPage.tensor(values, extents)) as tf.Tensor).dataSync()]
          },
          { url: `/${file}/model.json`, values: [...clips], extents: shape },
        )
        await page.close()
        expect(difference(logits, await model.logits(clips, shape))).to.be.lessThan(1e-4)
      })
  })
})
