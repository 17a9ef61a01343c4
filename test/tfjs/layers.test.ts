import * as tf from '@tensorflow/tfjs'
import { expect } from 'chai'
import { contextGating, conv2Plus1d, depthwiseConv2Plus1d, nonLocal, setThreadsCount, squeezeExcite, tinyBlock } from '../../lib/tfjs/index.js'

type Shape5 = [number, number, number, number, number]
type Read = (name: string) => tf.Tensor

const variablesOf = (layer: tf.layers.Layer) => layer.weights.map((weight) => (weight as unknown as { val: tf.Variable }).val)
const nameOf = (weight: tf.LayerVariable) => weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1)

/** Weights that are no round numbers, the same for a shape. */
function fill(layer: tf.layers.Layer): void {
  layer.setWeights(
    layer.weights.map((weight, i) => {
      const variance = nameOf(weight).endsWith('variance')
      return tf.randomUniform(weight.shape as number[], variance ? 0.5 : -0.8, variance ? 2 : 0.8, 'float32', i + 1)
    }),
  )
}

const largest = (x: tf.Tensor) => tf.tidy(() => x.abs().max().dataSync()[0] as number)

/** Largest difference as a share of the largest value, or of `least`. */
function difference(a: tf.Tensor, b: tf.Tensor, least = 1e-3): number {
  expect(a.shape).to.deep.equal(b.shape)
  return tf.tidy(() => largest(a.sub(b))) / Math.max(largest(b), least)
}

/** Outputs and gradients of a layer and of the same made of stock ops. */
function compare(layer: tf.layers.Layer, shape: Shape5, stock: (x: tf.Tensor, read: Read, training: boolean) => tf.Tensor, training = false): void {
  layer.build([null, ...shape.slice(1)] as unknown as tf.Shape)
  fill(layer)
  const x = tf.variable(tf.randomUniform(shape, -1, 1, 'float32', 99))
  const read: Read = (name) => {
    const found = layer.weights.find((weight) => nameOf(weight) === name)
    if (!found) throw new Error(`no weight ${name} among ${layer.weights.map(nameOf).join(' ')}`)
    return found.read()
  }
  const want = tf.tidy(() => stock(x, read, training))
  const dy = tf.randomUniform(want.shape, -1, 1, 'float32', 3)
  const trained = [x, ...variablesOf(layer).filter(({ trainable }) => trainable)]
  const before = tf.memory().numTensors
  const stockGradients = tf.variableGrads(() => stock(x, read, training).mul(dy).sum() as tf.Scalar, trained)
  const ours = tf.variableGrads(() => (layer.call(x, { training }) as tf.Tensor).mul(dy).sum() as tf.Scalar, trained)
  expect(tf.memory().numTensors - before).to.equal(2 * (trained.length + 1))
  fill(layer) // running statistics have followed
  const got = layer.call(x, { training }) as tf.Tensor
  expect(got.shape.slice(1)).to.deep.equal((layer.computeOutputShape(shape) as tf.Shape).slice(1))
  expect(difference(got, want), 'output').to.be.lessThan(1e-4)
  // some gradients are 0 but for roundings of others
  const least = 0.1 * Math.max(...Object.values(stockGradients.grads).map(largest))
  for (const [name, gradient] of Object.entries(stockGradients.grads))
    expect(difference(ours.grads[name] as tf.Tensor, gradient, least), `gradient of ${name}`).to.be.lessThan(1e-4)
  tf.dispose([x, want, dy, got, stockGradients.value, stockGradients.grads, ours.value, ours.grads])
  tf.dispose(variablesOf(layer))
}

const conv3d = (x: tf.Tensor, filter: tf.Tensor, strides: [number, number, number], padding: 'same' | 'valid') =>
  tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, strides, padding) as tf.Tensor
/** Of every frame. (A stock conv3d places strides that are larger than its kernel otherwise than TensorFlow.) */
function conv2d(x: tf.Tensor, filter: tf.Tensor, strides: [number, number], padding: 'same' | 'valid'): tf.Tensor {
  const [n, t, h, w, c] = x.shape as Shape5
  const y = tf.conv2d(x.reshape([n * t, h, w, c]) as tf.Tensor4D, filter.squeeze([0]) as tf.Tensor4D, strides, padding)
  return y.reshape([n, t, ...y.shape.slice(1)])
}
const gated = (x: tf.Tensor, z: tf.Tensor) => x.mul(z.reshape([x.shape[0], 1, 1, 1, x.shape[4] as number]).sigmoid())
const meanOf = (x: tf.Tensor) => x.mean([1, 2, 3])
const matrix = (w: tf.Tensor) => w.reshape(w.shape.slice(-2) as [number, number])

function normalized(x: tf.Tensor, read: Read, prefix: string, training: boolean, names = ['moving_mean', 'moving_variance']): tf.Tensor {
  const { mean, variance } = training ? tf.moments(x, [0, 1, 2, 3]) : { mean: read(`${prefix}${names[0]}`), variance: read(`${prefix}${names[1]}`) }
  return x
    .sub(mean)
    .div(variance.add(1e-3).sqrt())
    .mul(read(`${prefix}gamma`))
    .add(read(`${prefix}beta`))
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
        const [sh, sw] = typeof strides === 'number' ? [strides, strides] : strides
        const activate = (x: tf.Tensor) => (args.activation === 'relu' ? x.relu() : x)
        const after = (y: tf.Tensor, read: Read, training: boolean) => {
          const between = activate(batchNormalization ? normalized(y, read, '', training) : y.add(read('spatial_bias')))
          return activate(conv3d(between, read('temporal_kernel'), [temporalStrides, 1, 1], padding).add(read('temporal_bias')))
        }
        const title = `[${shape.join(', ')}], ${padding}, kernel ${String(kernel)}, strides ${String(strides)}${batchNormalization ? ', batch normalisation' : ''}`
        it(`conv2Plus1d is conv2d and conv3d: ${title}`, () => {
          for (const training of [false, true])
            compare(
              conv2Plus1d({ filters: 5, intermediateFilters: 7, ...args }),
              shape,
              (x, read) => after(conv2d(x, read('spatial_kernel'), [sh, sw], padding), read, training),
              training,
            )
        })
        it(`depthwiseConv2Plus1d is depthwiseConv2d and conv3d: ${title}`, () => {
          // the stock op has one stride for both axes
          if (sh !== sw) return
          for (const training of [false, true])
            compare(
              depthwiseConv2Plus1d({ ...args, ...(i === 1 && { filters: 6 }) }),
              shape,
              (x, read) => {
                const [n, t, h, w, c] = x.shape as Shape5
                const filter = read('spatial_kernel')
                const y = tf.depthwiseConv2d(x.reshape([n * t, h, w, c]) as tf.Tensor4D, filter.reshape([...filter.shape, 1]) as tf.Tensor4D, [sh, sw], padding)
                return after(y.reshape([n, t, ...y.shape.slice(1)]), read, training)
              },
              training,
            )
        })
      }

  for (const shape of shapes) {
    it(`squeezeExcite is two dense layers on the mean: [${shape.join(', ')}]`, () =>
      compare(squeezeExcite({ ratio: 0.25 }), shape, (x, read) => {
        const reduced = meanOf(x)
          .matMul(matrix(read('squeeze.reduce.weight')))
          .add(read('squeeze.reduce.bias'))
          .relu()
        return gated(x, reduced.matMul(matrix(read('squeeze.expand.weight'))).add(read('squeeze.expand.bias')))
      }))

    it(`contextGating is a dense layer on the mean: [${shape.join(', ')}]`, () =>
      compare(contextGating(), shape, (x, read) =>
        gated(
          x,
          meanOf(x)
            .matMul(matrix(read('gate.weight')))
            .add(read('gate.bias')),
        ),
      ))

    it(`nonLocal is attention: [${shape.join(', ')}]`, () => {
      for (const training of [false, true])
        compare(
          nonLocal({ intermediateFilters: 8 }),
          shape,
          (x, read) => {
            const part = (name: string) => conv3d(x, read(`nonLocal.${name}.weight`), [1, 1, 1], 'same').add(read(`nonLocal.${name}.bias`))
            const rows = (y: tf.Tensor) => y.reshape([x.shape[0], -1, 8])
            const pooled = (y: tf.Tensor) => tf.maxPool3d(y as tf.Tensor5D, [1, 2, 2], [1, 2, 2], 'valid')
            const scores = tf.matMul(rows(part('theta')), rows(pooled(part('phi'))), false, true).div(Math.sqrt(8))
            const attention = tf.matMul(scores.softmax(), rows(pooled(part('g')))).reshape([...x.shape.slice(0, 4), 8])
            const out = conv3d(attention, read('nonLocal.out.weight'), [1, 1, 1], 'same').add(read('nonLocal.out.bias'))
            return x.add(normalized(out, read, 'nonLocal.out.norm.', training, ['mean', 'variance']))
          },
          training,
        )
    })
  }

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
    for (const layer of model.layers) fill(layer)
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
