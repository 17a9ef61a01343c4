import { open } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { expect } from 'chai'
import { type ErrorCode, TvnError } from '../lib/errors.js'
import { loadModel, type Model } from '../lib/model/model.js'
import { readModel, writeModel } from '../lib/model/model-file.js'
import { readSafetensors } from '../lib/model/safetensors.js'
import { native } from '../lib/native.js'
import { callNative } from '../lib/native-error.js'
import { Network } from '../lib/network/network.js'
import { Random } from '../lib/random.js'
import { initialize } from '../lib/train/initialize.js'
import { temporaryFolder } from './data/videos.js'

const golden = new URL('./fixtures/golden/std-even-kernel.safetensors', import.meta.url).pathname

describe('the engine answers bad input with a typed error and goes on', () => {
  const folder = temporaryFolder('bad-input')
  let model: Model
  let clips: Uint8Array
  let shape: readonly number[]
  let expected: Float32Array
  before(async () => {
    const tensor = (await readSafetensors(golden)).tensors.get('golden.clips')
    clips = tensor?.data as Uint8Array
    shape = tensor?.shape as number[]
    model = await loadModel(golden)
    expected = await model.logits(clips, shape)
  })
  after(() => model.dispose())
  afterEach(async () => expect(await model.logits(clips, shape)).to.deep.equal(expected))

  async function refuses(call: () => Promise<unknown>, code: ErrorCode, message: RegExp, hint?: RegExp): Promise<void> {
    const error = (await call().then(
      () => undefined,
      (reason: unknown) => reason,
    )) as TvnError
    expect(error).to.be.instanceOf(TvnError)
    expect(error.code).to.equal(code)
    expect(error.message).to.match(message).and.not.include('\n')
    if (hint) expect(error.hint).to.match(hint)
  }

  it('an unknown precision', () => refuses(() => loadModel(golden, { precision: 'fp12' as never }), 'ERR_ARGUMENT', /^precision must be 'f32'.*, got 'fp12'$/))

  for (const threads of [0, -1, 1.5, 257, '2' as never]) {
    it(`${JSON.stringify(threads)} threads`, () =>
      refuses(() => loadModel(golden, { threads }), 'ERR_ARGUMENT', /^threads must be a whole number from 1 to 256, got/))
  }

  it('clips of another shape, type or size', async () => {
    await refuses(() => model.logits(clips, [1, 1, 1, 1, 3]), 'ERR_ARGUMENT', /^shape must be \[N, .*\], got \[1, 1, 1, 1, 3\]$/)
    await refuses(() => model.logits(Float32Array.from(clips) as never, shape), 'ERR_ARGUMENT', /^clips must be a Uint8Array/)
    await refuses(() => model.logits(clips.subarray(1), shape), 'ERR_ARGUMENT', /^clips must hold \d+ bytes/)
  })

  it('the same behind the checks of the library: the addon checks again', async () => {
    const { network, weights } = await readModel(golden)
    const graph = network.graph({ classes: 5 })
    const create = async (change: object) =>
      native().createPlan(graph, Object.fromEntries(weights), { batch: 1, threads: 1, precision: 'f32', ...change } as never)
    for (const wrong of [{ precision: 'fp12' }, { threads: 0 }, { threads: 1e9 }, { batch: 0 }, { batch: Number.NaN }])
      expect(await create(wrong).catch((error: unknown) => error), JSON.stringify(wrong))
        .to.be.instanceOf(Error)
        .and.have.property('code')
        .that.matches(/^ERR_/)
    for (const tuning of [null, 5, 'x', {}, { known: 5, seconds: 0 }, { known: { a: 1 }, seconds: 0 }, { known: {}, seconds: -1 }, { known: {} }])
      expect(await create({ tuning }).catch((error: unknown) => error), JSON.stringify(tuning)).to.have.property('code', 'ERR_ARGUMENT')
    const plan = await create({})
    for (const run of [async () => plan.run(new Uint8Array(5)), async () => plan.runHere(new Uint8Array(5)), async () => plan.runHere('clips' as never)])
      expect(await run().catch((error: unknown) => error)).to.have.property('code', 'ERR_ARGUMENT')
    const running = plan.run(new Uint8Array(clips.subarray(0, clips.length / (shape[0] as number))))
    expect(() => plan.runHere(new Uint8Array(clips.subarray(0, clips.length / (shape[0] as number)))), 'while it runs')
      .to.throw()
      .with.property('code', 'ERR_BUSY')
    await running
    plan.dispose()
  })

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    it(`${value} among the weights of a file`, async () => {
      const file = `${folder}/weights.safetensors`
      const whole = await readModel(golden)
      await writeModel(file, whole)
      const handle = await open(file, 'r+')
      const { size } = await handle.stat()
      await handle.write(new Uint8Array(Float32Array.of(value).buffer), 0, 4, size - 4)
      await handle.close()
      await refuses(() => loadModel(file), 'ERR_MODEL_TENSOR', new RegExp(`weights\\.safetensors: \\S+ holds ${value} at \\d+$`), /weights/)
    })
  }

  it('a file larger than the memory, before any of it is allocated', async () => {
    const file = `${folder}/large.safetensors`
    const floats = Math.ceil((totalmem() + 2 ** 30) / 4)
    const header = Buffer.from(JSON.stringify({ x: { dtype: 'F32', shape: [floats], data_offsets: [0, 4 * floats] } }).padEnd(128))
    const handle = await open(file, 'w')
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    await handle.write(Buffer.concat([length, header]))
    await handle.truncate(8 + header.length + 4 * floats) // a hole: takes no room on the disk
    await handle.close()
    const before = process.memoryUsage().rss
    await refuses(() => loadModel(file), 'ERR_MEMORY', /large\.safetensors takes \d+ MiB, this machine has \d+ MiB left$/, /memory/)
    expect(process.memoryUsage().rss - before).to.be.below(64 * 2 ** 20)
  })

  it('activations larger than the memory', async () => {
    const graph = Network.preset('tvn-mobile-1').graph({ classes: 2 })
    const weights = Object.fromEntries(await initialize(graph, Random.seeded(0)))
    const create = () => callNative(() => native().createPlan(graph, weights, { batch: 65_536, threads: 1, precision: 'f32' }))
    await refuses(create, 'ERR_MEMORY', /^needs \d+ MiB, this machine has \d+ MiB left$/, /smaller network/)
  })
})
