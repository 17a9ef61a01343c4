import * as tf from '@tensorflow/tfjs'
import { expect } from 'chai'
import { contextGating, conv2Plus1d, depthwiseConv2Plus1d, nonLocal, setThreadsCount, squeezeExcite, tinyBlock } from '../../lib/tfjs/index.js'
import { difference, fillWeights, largestOf, stockLayer } from './stock-layers.js'

type Shape5 = [number, number, number, number, number]
const variablesOf = (layer: tf.layers.Layer) => layer.weights.map((weight) => (weight as unknown as { val: tf.Variable }).val)

/** Outputs and gradients of a layer and of the same made of stock ops. */
function compare(layer: tf.layers.Layer, shape: Shape5, training: boolean): void {
  layer.build([null, ...shape.slice(1)] as unknown as tf.Shape)
  fillWeights(layer)
  const x = tf.variable(tf.randomUniform(shape, -1, 1, 'float32', 99))
  const want = tf.tidy(() => stockLayer(layer, x, training))
  const dy = tf.randomUniform(want.shape, -1, 1, 'float32', 3)
  const trained = [x, ...variablesOf(layer).filter(({ trainable }) => trainable)]
  const before = tf.memory().numTensors
  const stock = tf.variableGrads(() => stockLayer(layer, x, training).mul(dy).sum() as tf.Scalar, trained)
  const ours = tf.variableGrads(() => (layer.call(x, { training }) as tf.Tensor).mul(dy).sum() as tf.Scalar, trained)
  expect(tf.memory().numTensors - before).to.equal(2 * (trained.length + 1))
  fillWeights(layer) // running statistics have followed
  const got = layer.call(x, { training }) as tf.Tensor
  expect(got.shape.slice(1)).to.deep.equal((layer.computeOutputShape(shape) as tf.Shape).slice(1))
  expect(difference(got, want), 'output').to.be.lessThan(1e-4)
  const least = 0.1 * largestOf(Object.values(stock.grads)) // some gradients are 0 but for roundings of others
  for (const [name, gradient] of Object.entries(stock.grads))
    expect(difference(ours.grads[name] as tf.Tensor, gradient, least), `gradient of ${name}`).to.be.lessThan(1e-4)
  tf.dispose([x, want, dy, got, stock.value, stock.grads, ours.value, ours.grads, ...variablesOf(layer)])
}

describe('layers for TensorFlow.js', () => {
  before(async () => {
    setThreadsCount(2)
    await tf.setBackend('cpu')
  })

  const shapes: Shape5[] = [
    [2, 5, 7, 9, 3],
    [1, 3, 5, 5, 1],
    [3, 4, 8, 6, 17],
    [1, 3, 13, 11, 33],
  ]
  for (const padding of ['same', 'valid'] as const)
    for (const [i, shape] of shapes.entries())
      for (const batchNormalization of [false, true]) {
        const [kernel, strides, temporalKernel, temporalStrides] = [
          [3, 2, 3, 2],
          [2, 1, 1, 1],
          [[3, 1], [1, 3], 2, 1],
          [5, 3, 3, 1],
        ][i] as [number | [number, number], number | [number, number], number, number]
        const args = {
          spatialKernelSize: kernel,
          spatialStrides: strides,
          temporalKernelSize: temporalKernel,
          temporalStrides,
          padding,
          batchNormalization,
          activation: i % 2 === 0 ? 'relu' : 'linear',
        }
        const title = `[${shape.join(', ')}], ${padding}, kernel ${String(kernel)}, strides ${String(strides)}${batchNormalization ? ', batch normalisation' : ''}`
        for (const training of [false, true]) {
          it(`conv2Plus1d is a convolution of frames, then one over time: ${title}${training ? ', training' : ''}`, () =>
            compare(conv2Plus1d({ filters: 5, intermediateFilters: 7, ...args }), shape, training))
          it(`depthwiseConv2Plus1d has one filter a channel: ${title}${training ? ', training' : ''}`, () =>
            compare(depthwiseConv2Plus1d({ ...args, ...(i === 1 && { filters: 6 }) }), shape, training))
        }
      }

  for (const shape of shapes)
    for (const [name, make] of Object.entries({
      'squeezeExcite is two dense layers on the mean': () => squeezeExcite({ ratio: 0.25 }),
      'contextGating is a dense layer on the mean': () => contextGating(),
      'nonLocal is attention': () => nonLocal({ intermediateFilters: 8 }),
    }))
      it(`${name}: [${shape.join(', ')}]`, () => {
        for (const training of [false, true]) compare(make(), shape, training)
      })

  it('train, and need no more memory after 1,000 steps', async function () {
    this.timeout(60_000)
    const model = videoModel()
    const optimizer = tf.train.momentum(0.01, 0.9)
    model.compile({ optimizer, loss: 'categoricalCrossentropy' })
    const x = tf.randomUniform([4, 6, 12, 12, 3], -1, 1, 'float32', 1)
    const y = tf.oneHot(tf.tensor1d([0, 1, 2, 0], 'int32'), 3)
    const losses: number[] = []
    for (let i = 0; i < 3; i++) losses.push((await model.trainOnBatch(x, y)) as number)
    const { numTensors, numBytes } = tf.memory()
    for (let i = 0; i < 1000; i++) losses.push((await model.trainOnBatch(x, y)) as number)
    expect(tf.memory().numTensors).to.equal(numTensors)
    expect(tf.memory().numBytes).to.equal(numBytes)
    expect(losses.at(-1)).to.be.lessThan((losses[0] as number) / 10)
  })

  it('are the same after being saved and loaded', async () => {
    const model = videoModel()
    for (const layer of model.layers) fillWeights(layer)
    const x = tf.randomUniform([2, 6, 12, 12, 3], -1, 1, 'float32', 1)
    let artifacts: tf.io.ModelArtifacts | undefined
    await model.save(
      tf.io.withSaveHandler(async (saved) => {
        artifacts = saved
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } }
      }),
    )
    const loaded = await tf.loadLayersModel(
      tf.io.fromMemory({ ...(artifacts as tf.io.ModelArtifacts), modelTopology: JSON.parse(JSON.stringify(artifacts?.modelTopology)) }),
    )
    expect((loaded.predict(x) as tf.Tensor).arraySync()).to.deep.equal((model.predict(x) as tf.Tensor).arraySync())
  })

  it('give nothing for no clips', () => {
    for (const layer of [conv2Plus1d({ filters: 4 }), depthwiseConv2Plus1d(), squeezeExcite(), contextGating(), nonLocal()]) {
      const y = layer.apply(tf.zeros([0, 3, 4, 4, 4])) as tf.Tensor
      expect(y.shape).to.deep.equal(layer.computeOutputShape([0, 3, 4, 4, 4]))
    }
  })

  it('says what is wrong in the words of TensorFlow.js', () => {
    const x4 = tf.zeros([2, 3, 4, 5])
    expect(() => conv2Plus1d({ filters: 4 }).apply(x4)).to.throw('expected ndim=5, found ndim=4')
    const layer = squeezeExcite()
    layer.apply(tf.zeros([1, 2, 3, 3, 4]))
    expect(() => layer.apply(tf.zeros([1, 2, 3, 3, 5]))).to.throw('expected axis 4 of input shape to have value 4')
    expect(() => conv2Plus1d({ filters: 0 })).to.throw('Conv2Plus1d: filters must be a whole number from 1')
    expect(() => conv2Plus1d({ filters: 4, spatialStrides: -1 })).to.throw('spatialStrides must be a whole number from 1 to 64, but got -1')
    expect(() => conv2Plus1d({ filters: 4, padding: 'full' as 'same' })).to.throw(`padding must be 'valid' or 'same', but got 'full'`)
    expect(() => conv2Plus1d({ filters: 4, activation: 'rellu' })).to.throw('rellu')
    expect(() => conv2Plus1d({ filters: 4, kernelInitializer: 'heNormale' })).to.throw('Unknown initializer: heNormale')
    expect(() => tinyBlock({ block: {} as never })).to.throw('spatialType')
    expect(() => (conv2Plus1d as unknown as () => void)()).to.throw('expected an object')
    expect(() => squeezeExcite(null as never)).to.throw('but got null')
    expect(() => conv2Plus1d({ filters: 1, batchNormalization: 'no' as never })).to.throw(`batchNormalization must be true or false, but got 'no'`)
    expect(() =>
      conv2Plus1d({ filters: 1 }).apply(
        tf.tensor(
          Array.from({ length: 27 }, () => 'a'),
          [1, 3, 3, 3, 1],
          'string',
        ),
      ),
    ).to.throw('must be numeric tensor, but got string tensor')
    const disposed = tf.zeros([1, 3, 3, 3, 4])
    disposed.dispose()
    expect(() => layer.apply(disposed)).to.throw('disposed')
    expect(() => conv2Plus1d({ filters: 4 }).apply(tf.zeros([1, 3, 2, 2, 4]))).to.throw(Error)
  })
})

function videoModel(): tf.LayersModel {
  return tf.sequential({
    layers: [
      conv2Plus1d({ inputShape: [6, 12, 12, 3], filters: 8, spatialStrides: 2, padding: 'same', activation: 'relu', batchNormalization: true }),
      squeezeExcite(),
      depthwiseConv2Plus1d({ activation: 'hardSwish', padding: 'same', kernelRegularizer: tf.regularizers.l2({ l2: 1e-4 }) }),
      contextGating(),
      nonLocal({ intermediateFilters: 8 }),
      tinyBlock({
        block: {
          spatialType: 'std',
          spatialKernel: 3,
          spatialStride: 2,
          temporalType: '1d',
          temporalKernel: 3,
          temporalStride: 2,
          filters: 8,
          expand: 2,
          repeats: 2,
          skip: true,
          squeeze: 0.25,
          contextGate: true,
          nonLocal: 0,
        },
      }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 3, activation: 'softmax' }),
    ],
  })
}
