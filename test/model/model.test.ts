import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { loadModel, type Model } from '../../lib/model/model.js'
import { readSafetensors, type Tensor } from '../../lib/model/safetensors.js'
import { native } from '../../lib/native.js'

const path = new URL('../fixtures/golden/maxpool-temporal-conv-squeeze.safetensors', import.meta.url).pathname

async function refusal(call: () => Promise<unknown>): Promise<TvnError> {
  const error = await call().catch((reason: unknown) => reason)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

describe('model', () => {
  let clips: Tensor
  let bytes: Uint8Array
  let expected: Float32Array
  let model: Model
  const shapeOf = (n: number) => [n, ...clips.shape.slice(1)]

  before(async () => {
    clips = (await readSafetensors(path)).tensors.get('golden.clips') as Tensor
    bytes = clips.data as Uint8Array
    model = await loadModel(path)
    expected = await model.logits(bytes, clips.shape)
  })
  after(() => model.dispose())

  it('gives each clip the same bits in whatever number they come, for 1 and 2 threads', async () => {
    const one = bytes.length / 6
    using threaded = await loadModel(path, { threads: 2 })
    const many = new Uint8Array(19 * one)
    for (let i = 0; i < 19; i++) many.set(bytes.subarray((i % 6) * one, ((i % 6) + 1) * one), i * one)
    for (const any of [model, threaded]) {
      for (const n of [1, 2, 5, 8, 9, 19]) {
        const logits = await any.logits(many.subarray(0, n * one), shapeOf(n))
        expect([...logits], `${n} clips`).to.deep.equal(Array.from({ length: 5 * n }, (_, i) => expected[i % 30]))
      }
    }
  })

  it('takes calls that overlap', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => model.logits(bytes, clips.shape)))
    for (const result of results) expect(result).to.deep.equal(expected)
  })

  it('leaves the event loop a turn between short calls, which run on its thread', async () => {
    const clip = bytes.subarray(0, bytes.length / 6)
    let turns = 0
    const tick = () => {
      turns++
      ticking = setImmediate(tick)
    }
    let ticking = setImmediate(tick)
    await model.logits(clip, shapeOf(1))
    const before = turns
    const calls = 200
    const all = await Promise.all(Array.from({ length: calls }, () => model.logits(clip, shapeOf(1))))
    clearImmediate(ticking)
    expect(turns - before).to.be.at.least(calls - 1)
    for (const logits of all) expect(logits).to.deep.equal(expected.slice(0, 5))
  })

  const wrong: [what: string, call: () => Promise<unknown>, message: RegExp][] = [
    ['clips of another type', () => model.logits(new Float32Array(10) as never, shapeOf(1)), /clips must be a Uint8Array, got an object of type Float32Array/],
    ['no clips', () => model.logits(undefined as never, shapeOf(1)), /clips must be a Uint8Array/],
    ['a shape of another network', () => model.logits(bytes, [1, 2, 224, 224, 3]), /shape must be \[N, 3, 18, 18, 3\], got \[1, 2, 224, 224, 3\]/],
    ['a shape that is no array', () => model.logits(bytes, 'all' as never), /shape must be/],
    ['zero clips', () => model.logits(new Uint8Array(0), shapeOf(0)), /shape must be/],
    ['bytes that the shape does not fit', () => model.logits(bytes.subarray(1), clips.shape), /clips must hold \d+ bytes/],
    ['an absurd number of clips', () => model.logits(bytes, shapeOf(2 ** 40)), /clips must hold/],
    ['a file that is no path', () => model.predict(7 as never), /path of a video/],
    ['no classes', () => model.predict('x.mp4', { top: 0 }), /top must be a whole number/],
  ]
  for (const [what, call, message] of wrong) {
    it(`refuses ${what} and goes on`, async () => {
      const error = await refusal(call)
      expect(error.code).to.equal('ERR_ARGUMENT')
      expect(error.message).to.match(message)
      expect(await model.logits(bytes, clips.shape)).to.deep.equal(expected)
    })
  }

  for (const [option, value] of [
    ['threads', 0],
    ['threads', 1.5],
    ['precision', 'f8'],
    ['device', 'gpu'],
    ['device', 'cuda:'],
  ] as const) {
    it(`refuses ${option} ${value} when it is loaded`, async () => {
      const error = await refusal(() => loadModel(path, { [option]: value }))
      expect(error.code).to.equal('ERR_ARGUMENT')
      expect(error.message).to.include(option)
    })
  }

  it('runs in bf16 where the CPU can, close to f32, and says where it cannot', async () => {
    if (native().cpu().isa !== 'avx512_bf16') {
      expect((await refusal(() => loadModel(path, { precision: 'bf16' }))).code).to.equal('ERR_PRECISION')
      return
    }
    using bf16 = await loadModel(path, { precision: 'bf16' })
    expect(bf16.precision).to.equal('bf16')
    const got = await bf16.logits(bytes, clips.shape)
    const largest = Math.max(...expected.map(Math.abs))
    expect(got).to.not.deep.equal(expected)
    got.forEach((logit, i) => expect(logit).to.be.closeTo(expected[i] as number, 3e-2 * largest))
  })

  it('names a video that is missing', async () => {
    const error = await refusal(() => model.predict('/nowhere/clip.mp4'))
    expect(error.code).to.equal('ERR_DECODE')
    expect(error.message).to.include('/nowhere/clip.mp4')
  })

  it('hears an AbortSignal', async () => {
    expect((await refusal(() => model.logits(bytes, clips.shape, { signal: AbortSignal.abort() }))).code).to.equal('ERR_ABORTED')
  })

  it('measures itself against a limit, and refuses one without sense', async () => {
    const report = await model.measure({ limit: 'p90<10000ms@50%', coldRuns: 0 })
    expect(report.verdict).to.equal('meets')
    expect(report.p50).to.be.above(0).and.at.most(report.p90)
    expect((await refusal(() => model.measure({ limit: 'fast' }))).code).to.equal('ERR_LIMIT_INVALID')
  })

  it('cannot be used after dispose; what runs then ends well', async () => {
    const mine = await loadModel(path)
    const running = mine.logits(bytes, clips.shape)
    await new Promise((resolve) => setImmediate(resolve))
    mine.dispose()
    mine.dispose()
    await running.then(
      (logits) => expect(logits).to.deep.equal(expected),
      (error: TvnError) => expect(error.code).to.equal('ERR_DISPOSED'),
    )
    for (const call of [() => mine.logits(bytes, clips.shape), () => mine.predict('x.mp4'), () => mine.measure()]) {
      expect((await refusal(call)).code).to.equal('ERR_DISPOSED')
    }
    expect(() => mine.weights).to.throw(TvnError)
  })
})
