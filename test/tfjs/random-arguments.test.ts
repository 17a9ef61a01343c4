import * as tf from '@tensorflow/tfjs'
import { expect } from 'chai'
import { Random } from '../../lib/random.js'
import { contextGating, conv2Plus1d, depthwiseConv2Plus1d, nonLocal, setThreadsCount, squeezeExcite, tinyBlock } from '../../lib/tfjs/index.js'
import { difference, fillWeights, stockLayer } from './stock-layers.js'

const odd: readonly unknown[] = [
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e9,
  65,
  '3',
  null,
  [],
  [1],
  [2, 3],
  [1, 2, 3],
  {},
  true,
  'same',
  'reluu',
  () => 1,
]

/** Arguments of which most are right, and any may be odd. */
class Maker {
  readonly #random: Random
  constructor(seed: number) {
    this.#random = Random.seeded(seed)
  }
  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.uniform(0, 1) * list.length)] as T
  }
  chance(share: number): boolean {
    return this.#random.uniform(0, 1) < share
  }
  args(good: Readonly<Record<string, readonly unknown[]>>): Record<string, unknown> {
    const entries = Object.entries(good).flatMap(([name, values]) => (this.chance(0.4) ? [] : [[name, this.chance(0.06) ? this.pick(odd) : this.pick(values)]]))
    return Object.fromEntries(entries) as Record<string, unknown>
  }
}

const convolution = {
  filters: [1, 3, 8],
  intermediateFilters: [1, 4],
  spatialKernelSize: [1, 2, 3, 5, [1, 3], [3, 2]],
  temporalKernelSize: [1, 2, 3],
  spatialStrides: [1, 2, 3, [2, 1]],
  temporalStrides: [1, 2],
  padding: ['same', 'valid'],
  activation: ['relu', 'linear', 'sigmoid', 'hardSwish', 'elu', 'relu6', 'tanh'],
  batchNormalization: [true, false],
  useBias: [true, false],
  kernelInitializer: ['heNormal', 'zeros', 'glorotUniform'],
  momentum: [0.9, 0.99],
  epsilon: [1e-3, 1e-5],
}
const block = {
  spatialType: ['std', 'depth', 'maxpool', 'avgpool'],
  spatialKernel: [1, 2, 3],
  spatialStride: [1, 2],
  temporalType: ['1d', 'maxpool', 'avgpool'],
  temporalKernel: [1, 2, 3],
  temporalStride: [1, 2],
  filters: [1, 4, 9],
  expand: [0, 1, 2],
  repeats: [1, 2],
  skip: [true, false],
  squeeze: [0, 0.25],
  contextGate: [true, false],
  nonLocal: [0, 8],
}
const layers: Readonly<Record<string, (make: Maker) => tf.layers.Layer>> = {
  conv2Plus1d: (make) => conv2Plus1d({ filters: 4, ...make.args(convolution) }),
  depthwiseConv2Plus1d: (make) => depthwiseConv2Plus1d(make.args(convolution)),
  squeezeExcite: (make) => squeezeExcite(make.args({ ratio: [0, 0.1, 1] })),
  contextGating: () => contextGating(),
  nonLocal: (make) => nonLocal(make.args({ intermediateFilters: [1, 5, 8], momentum: [0.9], epsilon: [1e-3] })),
  tinyBlock: (make) =>
    tinyBlock({ block: { ...Object.fromEntries(Object.entries(block).map(([name, [first]]) => [name, first])), ...make.args(block) } as never }),
}

/** Clips of any shape, sometimes of a wrong rank or type, empty or disposed of. */
function clipFor(make: Maker): tf.Tensor {
  const shape = [make.pick([1, 2]), make.pick([1, 2, 3, 5]), make.pick([1, 2, 3, 6, 7]), make.pick([1, 2, 3, 5]), make.pick([1, 2, 3, 8])]
  if (make.chance(0.03)) shape[make.pick([0, 1, 2, 3, 4])] = 0
  if (make.chance(0.03)) shape.pop()
  if (make.chance(0.03)) return tf.randomUniform(shape, 0, 2, 'int32', 1).cast(make.pick(['int32', 'bool'] as const))
  const x = tf.randomUniform(shape, -1, 1, 'float32', 1)
  if (make.chance(0.02)) x.dispose()
  return x
}

describe('random arguments to the layers for TensorFlow.js', function () {
  this.timeout(240_000)
  before(async () => {
    setThreadsCount(2)
    await tf.setBackend('cpu')
  })

  it('give what stock ops give or an error in words, 10,000 times', () => {
    const outcomes = { results: 0, compared: 0, gradients: 0, errors: new Set<string>() }
    for (let i = 0; i < 10_000; i++) {
      const make = new Maker(i)
      const name = make.pick(Object.keys(layers))
      tf.engine().startScope()
      try {
        const layer = (layers[name] as (make: Maker) => tf.layers.Layer)(make)
        const x = clipFor(make)
        const y = layer.apply(x) as tf.Tensor
        expect(y.shape, `seed ${i}: ${name}`).to.deep.equal(layer.computeOutputShape(x.shape))
        expect(y.dataSync().every(Number.isFinite), `seed ${i}: ${name}`).to.equal(true)
        if (name !== 'tinyBlock' && x.size > 0) {
          fillWeights(layer)
          const input = x.toFloat()
          expect(difference(layer.call(input, {}) as tf.Tensor, stockLayer(layer, input, false), 0.1), `seed ${i}: ${name}`).to.be.lessThan(1e-4)
          outcomes.compared++
        }
        outcomes.results++
        if (make.chance(0.3)) {
          const dx = tf.grad((input: tf.Tensor) => layer.call(input, { training: make.chance(0.5) }) as tf.Tensor)(x)
          expect(dx.shape, `seed ${i}: ${name}`).to.deep.equal(x.shape)
          outcomes.gradients++
        }
      } catch (error) {
        const { name: kind, message } = error as Error
        if (kind === 'AssertionError') throw error
        // what TensorFlow.js and we say of arguments; never of our own insides
        expect(message, `seed ${i}: ${name}: ${(error as Error).stack}`).not.to.match(/undefined|is not a function|Cannot read|NaN is not|ERR_/)
        outcomes.errors.add(message.replace(/[\d.,-]+/g, '#').slice(0, 60))
      }
      tf.engine().endScope()
    }
    expect(outcomes.results).to.be.greaterThan(4000)
    expect(outcomes.compared).to.be.greaterThan(3000)
    expect(outcomes.gradients).to.be.greaterThan(1000)
    expect(outcomes.errors.size).to.be.greaterThan(10)
  })
})
