import { expect } from 'chai'
import { type NativeAddon, type NativeLayerOptions, native } from '../lib/native.js'
import { Random } from '../lib/random.js'

const convolution: NativeLayerOptions = {
  op: 'conv',
  x: [[1, 2, 5, 5, 3]],
  y: [1, 2, 3, 3, 4],
  kernel: [1, 3, 3],
  stride: [1, 2, 2],
  pad: [0, 1, 1],
  bias: true,
  training: true,
  threads: 2,
}
const floats = (n: number) => new Float32Array(n).fill(0.5)

/** Calls that are right; each of their arguments, and what these hold, is replaced by anything. */
const calls: Readonly<Record<string, (addon: NativeAddon) => unknown[]>> = {
  createLayer: () => [{ ...convolution }],
  forward: () => [[floats(150)], [floats(108), floats(4)], floats(72)],
  backward: () => [[floats(150)], null, floats(72), [floats(108), floats(4)], [floats(150)], [floats(108), floats(4)]],
  allocate: () => [40_000],
  unary: () => ['exp', floats(100), floats(100), 2],
  binary: () => ['mul', floats(60), [2, 5, 6], floats(6), [1, 1, 6], floats(60), 2],
  compare: () => ['less', floats(100), floats(1), new Uint8Array(100), 2],
  select: () => [new Uint8Array(50), floats(50), floats(50), floats(50), 2],
  clip: () => [floats(50), 0, 1, floats(50), 2],
  sum: () => [floats(60), [2, 5, 6], 1, floats(12), 2],
  batchNormStatistics: () => [floats(60), floats(6), floats(6), 2],
  batchNormApply: () => [floats(60), floats(6), floats(6), 'relu', floats(60), 2],
  batchNormBackward: () => [floats(60), floats(60), floats(6), floats(6), floats(6), floats(6), 1e-3, 'relu', floats(6), floats(6), floats(60), 2],
}

function detached(): Float32Array {
  const array = floats(60)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}
const odd = (): unknown[] => [
  undefined,
  null,
  0,
  -1,
  2,
  257,
  1e300,
  Number.NaN,
  'x',
  true,
  5n,
  Symbol('x'),
  () => 1,
  [],
  [0],
  [2 ** 31, 2 ** 31],
  [1, 2, 3],
  {},
  floats(0),
  floats(1),
  floats(61),
  new Float64Array(60),
  new Uint8Array(60),
  detached(),
  new Float32Array(new SharedArrayBuffer(240)),
  new Proxy([], {}),
]

function replaceSomewhere(value: unknown, random: Random): unknown {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random.uniform(0, 1) * list.length)] as T
  const deeper = random.uniform(0, 1) < 0.6
  if (deeper && Array.isArray(value) && value.length > 0) {
    const copy = [...(value as unknown[])]
    const at = Math.floor(random.uniform(0, 1) * copy.length)
    copy[at] = replaceSomewhere(copy[at], random)
    return copy
  }
  if (deeper && value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const [name, inner] = pick(Object.entries(value))
    return { ...value, [name]: replaceSomewhere(inner, random) }
  }
  return pick(odd())
}

describe('native layers and tensor functions', () => {
  it('weights are packed when they are others, also after a call that failed', () => {
    const made = native().createLayer({ ...convolution, bias: false, training: false })
    const [x, y, weights] = [floats(150), floats(72), floats(108)]
    const run = (w: Float32Array, from: Float32Array = x) => {
      made.forward([from], [w, null], y)
      return y[20] as number
    }
    const first = run(weights)
    const double = weights.map((w) => 2 * w)
    expect(() => run(double, detached()))
      .to.throw()
      .with.property('code', 'ERR_ARGUMENT')
    expect(run(double)).to.equal(2 * first)
    double[0] = 9 // in place
    expect(run(double)).not.to.equal(2 * first)
    expect(run(weights)).to.equal(first)
    expect(made.bytes).to.be.greaterThan(400)
    made.dispose()
    made.dispose()
    expect(() => run(weights))
      .to.throw()
      .with.property('code', 'ERR_DISPOSED')
    expect(() => made.bytes)
      .to.throw()
      .with.property('code', 'ERR_DISPOSED')
  })

  const layer = native().createLayer(convolution)
  const receiver = (name: string) =>
    (name === 'forward' || name === 'backward' ? layer : native()) as unknown as Record<string, (...args: unknown[]) => unknown>

  for (const [name, args] of Object.entries(calls))
    it(`${name} takes what is right, and answers anything else with ERR_ARGUMENT`, function () {
      this.timeout(20_000)
      receiver(name)[name]?.(...args(native()))
      let refused = 0
      for (let seed = 0; seed < 1000; seed++) {
        const random = Random.seeded(seed)
        const replaced = args(native())
        const at = Math.floor(random.uniform(0, 1) * replaced.length)
        replaced[at] = replaceSomewhere(replaced[at], random)
        try {
          receiver(name)[name]?.(...replaced)
        } catch (error) {
          refused++
          expect((error as { code?: unknown }).code, `seed ${seed}: ${(error as Error).stack}`).to.equal('ERR_ARGUMENT')
        }
      }
      expect(refused).to.be.greaterThan(300)
      receiver(name)[name]?.(...args(native())) // and goes on
    })

  it('a list that takes the arrays’ memory away while it is read harms nobody', () => {
    const x = floats(150)
    const list = new Proxy([floats(108), floats(4)], {
      get(target, key, self) {
        if (key === '1' && x.length > 0) structuredClone(x.buffer, { transfer: [x.buffer] })
        return Reflect.get(target, key, self)
      },
    })
    expect(() => layer.forward([x], list, floats(72)))
      .to.throw()
      .with.property('code', 'ERR_ARGUMENT')
  })

  it('a layer of inference has no backward pass, one for training needs what its gradients need', () => {
    const inference = native().createLayer({ ...convolution, training: false })
    expect(() => inference.backward([floats(150)], null, floats(72), [floats(108), floats(4)], [floats(150)], [null, null])).to.throw('made without training')
    expect(() => layer.backward([null], null, floats(72), [null, null], [null], [floats(108), null])).to.throw('x[0]')
    expect(() => layer.backward([null], null, floats(72), [null, null], [floats(150)], [null, null])).to.throw('parameters[0]')
    expect(() => layer.backward([floats(150)], null, floats(72), [null, null], [null], [null, floats(4)])).to.throw('the weight')
    layer.backward([null], null, floats(72), [null, null], [null], [null, null])
  })

  it('windows that hold no element are refused', () => {
    for (const wrong of [
      { pad: [0, 3, 3] as const },
      { y: [1, 2, 5, 3, 4] },
      { y: [2, 2, 3, 3, 4] },
      { op: 'pool' as const, bias: false },
      { op: 'depthwise' as const, kernel: [2, 3, 3] as const },
      { x: [[1, 2, 5, 5, 2 ** 31]] },
      { x: [] },
      { op: 'gate' as const },
      { op: 'dense' as never },
    ])
      expect(() => native().createLayer({ ...convolution, ...wrong }))
        .to.throw()
        .with.property('code', 'ERR_ARGUMENT')
  })
})
