import { readdirSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect } from 'chai'
import { requireDevice } from '../../lib/device.js'
import { TvnError } from '../../lib/errors.js'
import { thisMachine } from '../../lib/latency/machine.js'
import { Inference } from '../../lib/model/inference.js'
import { loadModel } from '../../lib/model/model.js'
import { readModel } from '../../lib/model/model-file.js'
import { readSafetensors, type Tensor } from '../../lib/model/safetensors.js'
import { createTunedPlan } from '../../lib/model/tuning.js'
import { Random } from '../../lib/random.js'
import { initialize } from '../../lib/train/initialize.js'
import { createTrainer } from '../../lib/train/trainer.js'
import { tvn } from '../cli/run.js'
import { temporaryFolder } from '../data/videos.js'
import { emulatedEnv, withEmulation, withEnvironment } from './emulation.js'
import { clipsFor, presets, shrunk } from './small-networks.js'

const folder = new URL('../fixtures/golden/', import.meta.url).pathname
const golden = path.join(folder, 'one-frame.safetensors')
/** Largest difference of half precision from f32, relative to the largest logit. */
const tolerance = 2e-2

function difference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).to.equal(want.length)
  let [most, largest] = [0, 0]
  for (let i = 0; i < want.length; i++) {
    const distance = Math.abs((got[i] as number) - (want[i] as number))
    most = Math.max(most, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance)
    largest = Math.max(largest, Math.abs(want[i] as number))
  }
  return most / largest
}

describe('inference on a GPU', function () {
  this.timeout(300_000)
  withEmulation()

  for (const file of readdirSync(folder).filter((name) => name.endsWith('.safetensors'))) {
    it(`agrees with f64 within ${tolerance}: ${file}`, async () => {
      const { tensors } = await readSafetensors(path.join(folder, file))
      const { data, shape } = tensors.get('golden.clips') as Tensor
      const { data: logits } = tensors.get('golden.logits') as Tensor
      const classes = logits.length / (shape[0] as number)
      using model = await loadModel(path.join(folder, file), { device: 'cuda' })
      expect([model.device, model.precision]).to.deep.equal(['cuda', 'f16'])
      const clipBytes = data.length / (shape[0] as number)
      const got = await model.logits((data as Uint8Array).subarray(0, 2 * clipBytes), [2, ...shape.slice(1)])
      expect(difference(got, logits.subarray(0, 2 * classes))).to.be.below(tolerance)
    })
  }

  for (const name of presets) {
    it(`agrees with the CPU within ${tolerance}: ${name} on small frames`, async () => {
      const network = shrunk(name, 32)
      const graph = network.graph({ classes: 10 })
      const weights = await initialize(graph, Random.seeded(1))
      const clips = clipsFor(network, 1)
      using cpu = new Inference(graph, weights, { threads: 1, precision: 'f32' })
      using gpu = new Inference(graph, weights, { device: 'cuda', threads: 1, precision: 'f16' })
      expect(difference(await gpu.logits(clips, 1), await cpu.logits(clips, 1))).to.be.below(tolerance)
    })
  }

  it('gives the same bits in every call, whatever the batch, and calls may overlap', async () => {
    using model = await loadModel(golden, { device: 'cuda:0' })
    const clips = clipsFor(model.network, 3)
    const { frames, size } = model.network.streams[0]
    const shape = (n: number) => [n, frames, size, size, 3]
    const classes = model.labels.length
    const [whole, again, last] = await Promise.all([
      model.logits(clips, shape(3)),
      model.logits(clips, shape(3)),
      model.logits(clips.subarray((2 * clips.length) / 3), shape(1)),
    ])
    expect(again).to.deep.equal(whole)
    expect(difference(last as Float32Array, (whole as Float32Array).subarray(2 * classes))).to.be.below(1e-3)
  })

  describe('with a second one', () => {
    withEnvironment({ TVN_EMULATION_DEVICES: '2' })

    it('computes and trains on either, also at the same time', async () => {
      using first = await loadModel(golden, { device: 'cuda' })
      using second = await loadModel(golden, { device: 'cuda:1' })
      expect([first.device, second.device]).to.deep.equal(['cuda', 'cuda:1'])
      const clips = clipsFor(first.network, 2)
      const { frames, size } = first.network.streams[0]
      const shape = [2, frames, size, size, 3]
      const all = await Promise.all([first, second, first, second].map((model) => model.logits(clips, shape)))
      for (const logits of all) expect(logits).to.deep.equal(all[0])
      const steps = await Promise.all(
        (['cuda', 'cuda:1', 'cuda'] as const).map(async (device) => {
          using trainer = await createTrainer(first, { device, seed: 1 })
          await trainer.step(clips, shape, [0, 1])
          return { ...(await trainer.step(clips, shape, [0, 1])), weights: await trainer.weights() }
        }),
      )
      for (const step of steps) expect(step).to.deep.equal(steps[0])
      const absent = await loadModel(golden, { device: 'cuda:2' }).catch((error: unknown) => error)
      expect(absent).to.have.property('code', 'ERR_DEVICE')
    })
  })

  it('has stages that hold every op once, times of its kernels, and memory', async () => {
    const { network, labels, weights } = await readModel(golden)
    const graph = network.graph({ classes: labels.length })
    using inference = new Inference(graph, weights, { device: 'cuda', threads: 1, precision: 'f16' })
    await inference.withPlan(async (plan) => {
      const stages = plan.stages()
      const ops = stages.flatMap((stage) => stage.ops)
      expect(new Set(ops).size).to.equal(ops.length)
      expect(ops).to.include('head')
      for (const { name, kernel, shape, macs, bytes } of stages) {
        expect(name).to.not.equal('')
        expect(kernel, name).to.not.equal('')
        expect(shape, name).to.include('→')
        expect(macs, name).to.be.at.least(0)
        expect(bytes, name).to.be.above(0)
      }
      const [times] = await plan.profile(clipsFor(network, 1), 1)
      expect(times).to.have.length(stages.length)
      const { weights: bytes, arena, activations, scratch } = plan.memory()
      expect(bytes).to.be.above(0)
      expect(arena).to.be.above(0)
      expect(activations).to.be.within(1, arena)
      expect(scratch).to.be.at.least(0)
      const { ms, deviceMs } = await plan.measure({ runs: 3, clips: clipsFor(network, 2), cold: false, core: -1 })
      expect([ms.length, deviceMs?.length]).to.deep.equal([3, 3])
      const cold = await plan.measure({ runs: 1, clips: clipsFor(network, 1), cold: true, core: -1 }).catch((error: unknown) => error)
      expect(cold).to.have.property('code', 'ERR_ARGUMENT')
    })
  })

  it('is measured in calls and by the clock of the device; times of the emulation give no verdict', async () => {
    using model = await loadModel(golden, { device: 'cuda' })
    const report = await model.measure({ maxSeconds: 0.5 })
    expect(report).to.include({ device: 'emulated', machine: thisMachine(await requireDevice('cuda')).id })
    expect(report.machine, 'figures of a GPU are not those of the CPU').to.not.equal(thisMachine().id)
    expect(report.p50).to.be.above(0)
    expect(report.kernels?.samples).to.equal(report.compute.samples)
    expect(report).to.not.have.any.keys('cold', 'verdict')
    const refusal = async (call: Promise<unknown>) => (await call.catch((error: unknown) => error)) as TvnError
    const judged = await refusal(model.measure({ limit: 'p90<1ms' }))
    expect([judged.code, judged.message]).to.deep.equal([
      'ERR_DEVICE',
      'cuda is emulated on the CPU: its times mean nothing, so no limit can be judged by them',
    ])
    expect((await refusal(model.measure({ limit: 'p90<1ms@cpu' }))).message).to.equal('the limit is about cpu, but the model runs on cuda')
    expect((await refusal(model.measure({ coldRuns: 5 }))).message).to.equal('coldRuns must be 0 on cuda, got 5')
  })

  it('refuses a GPU that is not there', async () => {
    const error = await loadModel(golden, { device: 'cuda:3' }).catch((reason: unknown) => reason)
    expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_DEVICE', message: 'there is no cuda:3, this machine has cuda' })
  })

  it('tvn profile shows stages without a share of a peak, and says what emulated times are worth', async () => {
    const { code, stdout, stderr } = await tvn(['profile', golden, '--device', 'cuda', '--repetitions', '2'], { env: emulatedEnv })
    expect([code, stderr]).to.deep.equal([0, ''])
    expect(stdout).to.match(
      /^the GPU is emulated on the CPU: these times mean nothing\nwarm +p50 .*\ncompute +p50 .*\nkernels +p50 .*\n\nstage +fused into it +kernel/,
    )
    expect(stdout).to.not.match(/of peak|cold/)
    const json = JSON.parse((await tvn(['profile', golden, '--device', 'cuda', '--repetitions', '2', '--json'], { env: emulatedEnv })).stdout)
    expect(json.latency.device).to.equal('emulated')
    expect(json.stages.every(({ peakFraction }: { peakFraction: unknown }) => peakFraction === null)).to.equal(true)
  })

  it('tvn doctor runs a step on it', async () => {
    const { code, stdout } = await tvn(['doctor', '--json'], { env: emulatedEnv })
    expect(code).to.equal(0)
    const { cuda, checks } = JSON.parse(stdout)
    expect(cuda).to.include({ available: true, reason: '', emulated: true })
    expect(cuda.devices[0]).to.have.keys('name', 'capability', 'multiprocessors', 'memory', 'driver', 'runtime', 'cudnn')
    expect(cuda.cudnn).to.equal(cuda.devices[0].cudnn)
    expect(checks.find(({ name }: { name: string }) => name === 'cuda')).to.include({ ok: true })
    expect((await tvn(['doctor'], { env: emulatedEnv })).stdout).to.match(
      /^cuda +\S.*emulated on the CPU, compute capability \d\.\d, [\d.]+ GiB; driver for CUDA /m,
    )
  })
})

describe('tuning on a GPU', function () {
  this.timeout(300_000)
  const cache = temporaryFolder('cuda-tuning')
  withEmulation({ TVN_CACHE_DIR: cache })
  withEnvironment({ TVN_TUNING: undefined })

  it('keeps what a search has found, under the name of the GPU, for later plans', async () => {
    const { network, labels, weights } = await readModel(golden)
    const graph = network.graph({ classes: labels.length })
    const { name } = (await requireDevice('cuda')) as { name: string }
    const how = { batch: 1, threads: 1, precision: 'f16', device: { kind: 'cuda', index: 0 } } as const
    const first = await createTunedPlan(graph, weights, { ...how, search: true })
    const choices = Object.entries(first.choices())
    expect(choices.length).to.be.above(0)
    for (const [key] of choices) expect(key).to.include(name)
    const logits = await first.run(clipsFor(network, 1))
    const [file] = await readdir(path.join(cache, 'tuning'))
    const written = await readFile(path.join(cache, 'tuning', file as string), 'utf8')
    for (const choice of choices) expect(written).to.include(JSON.stringify(choice))
    const second = await createTunedPlan(graph, weights, { ...how, search: false })
    expect(second.choices()).to.deep.equal(first.choices())
    expect(second.stages().map(({ cut }) => cut)).to.deep.equal(first.stages().map(({ cut }) => cut))
    expect(await second.run(clipsFor(network, 1)), 'the same bits however it is cut').to.deep.equal(logits)
    for (const plan of [first, second]) plan.dispose()
  })
})
