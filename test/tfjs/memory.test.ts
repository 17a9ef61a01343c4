import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { expect } from 'chai'
import { conv2Plus1d } from '../../lib/tfjs/index.js'
import { conv, depthwise } from '../../lib/tfjs/kernels/convolution.js'
import { activation, attention, gate, mean, pool } from '../../lib/tfjs/kernels/pointwise.js'
import { batchNorm } from '../../lib/tfjs/kernels/batch-norm.js'

const window = { strides: [1, 2, 2], padding: 'same' } as const
const values = (shape: readonly number[], seed: number) => Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 0.7 + seed))

/** Every kernel of ours: a function of tensors, and their shapes. */
const cases: readonly [name: string, f: (...x: tf.Tensor[]) => tf.Tensor, shapes: readonly number[][]][] = [
  ['conv', (x, w, b) => conv(x as tf.Tensor, w as tf.Tensor, b, window, 'relu'), [[2, 3, 7, 6, 5], [1, 3, 3, 5, 9], [9]]],
  ['depthwise', (x, w, b) => depthwise(x as tf.Tensor, w as tf.Tensor, b, window), [[2, 3, 7, 6, 5], [3, 3, 5], [5]]],
  ['max pool', (x) => pool(x as tf.Tensor, 'max', { ...window, kernel: [1, 3, 3] }), [[2, 3, 7, 6, 5]]],
  ['average pool', (x) => pool(x as tf.Tensor, 'avg', { ...window, kernel: [1, 3, 3] }), [[2, 3, 7, 6, 5]]],
  ['relu', (x) => activation(x as tf.Tensor, 'relu'), [[4, 50]]],
  ['hswish', (x) => activation(x as tf.Tensor, 'hswish'), [[4, 50]]],
  ['mean', (x) => mean(x as tf.Tensor, 'clip'), [[2, 3, 7, 6, 5]]],
  [
    'gate',
    (x, z) => gate(x as tf.Tensor, z as tf.Tensor),
    [
      [2, 3, 7, 6, 5],
      [2, 1, 1, 1, 5],
    ],
  ],
  [
    'attention',
    (x, y, z) => attention(x as tf.Tensor, y as tf.Tensor, z as tf.Tensor),
    [
      [2, 3, 4, 4, 8],
      [2, 3, 2, 2, 8],
      [2, 3, 2, 2, 8],
    ],
  ],
  [
    'batch norm',
    (x, gamma, beta) => batchNorm(x as tf.Tensor, { gamma: gamma as tf.Tensor, beta: beta as tf.Tensor }, 1e-3, 'relu')[0],
    [[2, 3, 7, 6, 5], [5], [5]],
  ],
]

/** Results and all gradients on the backend in use; they need no kernels but ours. */
function run(): Float32Array[] {
  return cases.flatMap(([, f, shapes]) =>
    tf.tidy(() => {
      const inputs = shapes.map((shape, i) => tf.tensor(values(shape, i), shape))
      const y = f(...inputs)
      const gradients = tf.grads(f)(inputs, tf.tensor(values(y.shape, 9), y.shape))
      return [y, ...gradients].map((tensor) => (tensor.dataSync() as Float32Array).slice())
    }),
  )
}

/** A backend whose tensors can be read and written by the public interface alone, each time a copy, as that of @tensorflow/tfjs-node. */
class StandIn extends tf.KernelBackend {
  readonly tensors = new Map<object, { values: tf.backend_util.BackendValues; references: number }>()
  reads = 0
  writes = 0
  override write(data: tf.backend_util.BackendValues, _shape: number[], _dtype: tf.DataType): object {
    this.writes++
    const id = {}
    this.tensors.set(id, { values: (data as Float32Array).slice(), references: 1 })
    return id
  }
  override move(id: object, data: tf.backend_util.BackendValues, _shape: number[], _dtype: tf.DataType, references: number): void {
    this.tensors.set(id, { values: (data as Float32Array).slice(), references })
  }
  override readSync(id: object): tf.backend_util.BackendValues {
    this.reads++
    const found = this.tensors.get(id)
    if (!found) throw new Error('no such tensor')
    return (found.values as Float32Array).slice()
  }
  override read(id: object): Promise<tf.backend_util.BackendValues> {
    return Promise.resolve(this.readSync(id))
  }
  override numDataIds(): number {
    return this.tensors.size
  }
  override refCount(id: object): number {
    return this.tensors.get(id)?.references ?? 0
  }
  override incRef(id: object): void {
    const found = this.tensors.get(id)
    if (found) found.references++
  }
  override disposeData(id: object): boolean {
    const found = this.tensors.get(id)
    if (found && --found.references > 0) return false
    this.tensors.delete(id)
    return true
  }
  override floatPrecision(): 32 {
    return 32
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: false }
  }
  override dispose(): void {}
}

describe('memory of TensorFlow.js backends', () => {
  let expected: Float32Array[]
  const compare = (got: Float32Array[]) => {
    expect(got.length).to.equal(expected.length)
    for (const [i, result] of got.entries())
      expect(Buffer.from(result.buffer).equals(Buffer.from(expected[i]?.buffer as ArrayBuffer)), `result ${i}`).to.equal(true)
  }

  before(async () => {
    await tf.setBackend('cpu')
    expected = run()
  })
  after(() => tf.setBackend('cpu'))

  it('is used as it is on wasm: the same bits, and no tensor is left', async () => {
    expect(await tf.setBackend('wasm')).to.equal(true)
    const before = tf.memory().numTensors
    compare(run())
    expect(tf.memory().numTensors).to.equal(before)
  })

  it('moves when WebAssembly’s memory grows, which is noticed', async () => {
    await tf.setBackend('wasm')
    const kept: tf.Tensor[] = []
    const x = tf.tensor(values([1, 4, 64, 64, 16], 1), [1, 4, 64, 64, 16])
    const first = activation(x, 'relu').dataSync().slice()
    const size = () => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length
    for (const before = size(); size() === before; ) kept.push(activation(x, 'relu'))
    expect(activation(x, 'relu').dataSync()).to.deep.equal(first)
    for (const tensor of kept) expect(tensor.dataSync()).to.deep.equal(first)
    tf.dispose([x, ...kept])
  })

  it('is copied at most once each way on a backend with the public interface alone', async () => {
    const backend = new StandIn()
    tf.registerBackend('stand-in', () => backend)
    tf.registerKernel({
      kernelName: 'Identity',
      backendName: 'stand-in',
      kernelFunc: ({ inputs }) => {
        const { dataId, shape, dtype } = inputs.x as tf.TensorInfo
        backend.incRef(dataId)
        return { dataId, shape, dtype }
      },
    })
    await tf.setBackend('stand-in')
    compare(run())
    expect(backend.numDataIds()).to.equal(0)
    const x = tf.tensor(values([1, 2, 5, 5, 3], 1), [1, 2, 5, 5, 3])
    const w = tf.tensor(values([1, 3, 3, 3, 4], 2), [1, 3, 3, 3, 4])
    backend.reads = backend.writes = 0
    const y = conv(x, w, undefined, window)
    expect([backend.reads, backend.writes]).to.deep.equal([2, 1])
    tf.dispose([x, w, y])
    await tf.setBackend('cpu')
    tf.removeBackend('stand-in')
  })

  it('holds whole numbers and booleans too, which layers take as floats on every backend', async () => {
    for (const dtype of ['int32', 'bool'] as const) {
      const results: number[][] = []
      for (const backend of ['cpu', 'wasm']) {
        await tf.setBackend(backend)
        const clip = tf.tensor(
          Array.from({ length: 2 * 4 * 36 * 3 }, (_, i) => i % 2),
          [2, 4, 6, 6, 3],
          dtype,
        )
        results.push([...(conv2Plus1d({ filters: 2, kernelInitializer: 'ones' }).apply(clip) as tf.Tensor).dataSync()])
      }
      expect(results[1]).to.deep.equal(results[0])
      expect(results[0]?.[0]).to.be.greaterThan(10)
    }
  })

  it('takes tensors that lie in another backend', async () => {
    await tf.setBackend('wasm')
    const x = tf.tensor(values([1, 2, 5, 5, 3], 1), [1, 2, 5, 5, 3])
    const there = activation(x, 'hswish').dataSync().slice()
    await tf.setBackend('cpu')
    expect(activation(x, 'hswish').dataSync()).to.deep.equal(there)
    tf.dispose(x)
  })
})
