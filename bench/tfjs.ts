import * as tf from '@tensorflow/tfjs'
import { setThreadsCount as setWasmThreads } from '@tensorflow/tfjs-backend-wasm'
import Benchmark from 'benchmark'
import { textTable } from '../lib/text-table.js'
import { conv2Plus1d, registerNativeBackend } from '../lib/tfjs/index.js'

/** A small video model of stock layers, or the same of ours, on a backend of TensorFlow.js. */
interface Subject {
  readonly layers: 'stock' | 'ours'
  readonly backend: 'cpu' | 'wasm' | 'tvn'
  readonly task: 'forward' | 'training-step'
}

export interface TfjsRow extends Subject {
  readonly threads: number
  readonly ms: number
  /** Of the mean, in percent, at 95 %; runs are few where one takes seconds. */
  readonly relativeError: number
  readonly runs: number
  /** How many times as long stock layers take on the cpu backend. */
  readonly timesCpu: number
}

/** Of a clip: frames, size, channels. */
const clip: readonly number[] = [8, 48, 48, 3]
const [batch, classes, threads] = [8, 10, 2]
/** The wasm backend has no gradients of convolutions. */
const subjects: readonly Subject[] = [
  { layers: 'stock', backend: 'cpu', task: 'forward' },
  { layers: 'ours', backend: 'cpu', task: 'forward' },
  { layers: 'stock', backend: 'wasm', task: 'forward' },
  { layers: 'ours', backend: 'wasm', task: 'forward' },
  { layers: 'stock', backend: 'tvn', task: 'forward' },
  { layers: 'ours', backend: 'tvn', task: 'forward' },
  { layers: 'stock', backend: 'cpu', task: 'training-step' },
  { layers: 'ours', backend: 'cpu', task: 'training-step' },
  { layers: 'stock', backend: 'tvn', task: 'training-step' },
  { layers: 'ours', backend: 'tvn', task: 'training-step' },
]

/** Stages of the model: channels, and the stride of each. */
const stages = [
  { filters: 48, strides: 2 },
  { filters: 64, strides: 2 },
  { filters: 96, strides: 2 },
] as const

function modelOf(layers: Subject['layers']): tf.LayersModel {
  const body = stages.flatMap(({ filters, strides }, i): tf.layers.Layer[] => {
    const input = i === 0 ? { inputShape: [...clip] } : {}
    const common = { padding: 'same', activation: 'relu', kernelInitializer: 'heNormal' } as const
    if (layers === 'ours') return [conv2Plus1d({ ...input, ...common, filters, spatialStrides: strides })]
    return [
      tf.layers.conv3d({ ...input, ...common, filters, kernelSize: [1, 3, 3], strides: [1, strides, strides] }),
      tf.layers.conv3d({ ...common, filters, kernelSize: [3, 1, 1] }),
    ]
  })
  // a global average as stock layers have it
  const head = [tf.layers.reshape({ targetShape: [-1, 96] }), tf.layers.globalAveragePooling1d({}), tf.layers.dense({ units: classes, activation: 'softmax' })]
  return tf.sequential({ layers: [...body, ...head] })
}

/** Milliseconds of one model on every backend, by benchmark.js. Its outputs are compared first. */
export async function measureTfjs(progress: (line: string) => void): Promise<TfjsRow[]> {
  registerNativeBackend({ threads })
  setWasmThreads(threads)
  await tf.setBackend('cpu')
  const weights = tf.tidy(() =>
    modelOf('stock')
      .getWeights()
      .map((weight) => ({ shape: weight.shape, values: weight.dataSync().slice() })),
  )
  const x = Float32Array.from({ length: batch * clip.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 0.37))
  let expected: Float32Array | undefined
  const rows: TfjsRow[] = []
  for (const [i, subject] of subjects.entries()) {
    progress(`TensorFlow.js ${i + 1} of ${subjects.length}: ${subject.layers} layers on ${subject.backend}, ${subject.task}`)
    await tf.setBackend(subject.backend)
    const model = modelOf(subject.layers)
    model.setWeights(weights.map(({ shape, values }) => tf.tensor(values, shape)))
    const clips = tf.tensor(x, [batch, ...clip])
    const labels = tf.oneHot(
      tf.tensor1d(
        Array.from({ length: batch }, (_, at) => at % classes),
        'int32',
      ),
      classes,
    )
    const predict = () => tf.tidy(() => (model.predict(clips, { batchSize: batch }) as tf.Tensor).dataSync() as Float32Array)
    const output = predict()
    expected ??= output.slice()
    const difference = Math.max(...output.map((value, at) => Math.abs(value - (expected?.[at] as number))))
    if (!(difference < 1e-4)) throw new Error(`${subject.layers} layers on ${subject.backend} differ by ${difference}`)
    model.compile({ optimizer: tf.train.momentum(1e-3, 0.9), loss: 'categoricalCrossentropy' })
    const { mean, rme, runs } = await time(subject.task === 'forward' ? async () => void predict() : async () => void (await model.trainOnBatch(clips, labels)))
    const cpu = rows.find(({ task }) => task === subject.task)
    rows.push({
      ...subject,
      threads: subject.layers === 'ours' || subject.backend !== 'cpu' ? threads : 1,
      ms: mean,
      relativeError: rme,
      runs,
      timesCpu: (cpu?.ms ?? mean) / mean,
    })
    model.dispose()
    tf.dispose([clips, labels])
  }
  return rows
}

function time(run: () => Promise<void>): Promise<{ mean: number; rme: number; runs: number }> {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      defer: true,
      minSamples: 2,
      maxTime: 3,
      fn: (deferred: { resolve(): void }) => {
        run().then(() => deferred.resolve(), reject)
      },
      onComplete: () => resolve({ mean: benchmark.stats.mean * 1000, rme: benchmark.stats.rme, runs: benchmark.stats.sample.length }),
    })
    benchmark.run({ async: true })
  })
}

export function tfjsTable(rows: readonly TfjsRow[]): string {
  const figures = rows.map(({ layers, backend, task, threads: n, ms, relativeError, timesCpu }) => [
    layers,
    backend,
    task,
    n,
    ms.toFixed(ms < 10 ? 2 : 1),
    `±${relativeError.toFixed(0)} %`,
    `${timesCpu.toFixed(timesCpu < 10 ? 1 : 0)}×`,
  ])
  const right = (title: string) => ({ title, align: 'right' }) as const
  return textTable(['layers', 'backend', 'task', right('threads'), right('ms'), right('mean'), right('stock on cpu takes')], figures)
}
