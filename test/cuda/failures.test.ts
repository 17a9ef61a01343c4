import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { loadModel } from '../../lib/model/model.js'
import { createTrainer, type Trainer, type TrainingStep } from '../../lib/train/trainer.js'
import { Network } from '../../lib/network/network.js'
import { tvn } from '../cli/run.js'
import { makeColourVideos, network } from '../data/colours.js'
import { temporaryFolder } from '../data/videos.js'
import { emulatedEnv, withEmulation, withEnvironment } from './emulation.js'
import { clipsFor } from './small-networks.js'

const golden = new URL('../fixtures/golden/one-frame.safetensors', import.meta.url).pathname

async function refusal(call: () => Promise<unknown>): Promise<TvnError> {
  const error = await call().catch((reason: unknown) => reason)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

async function logitsOf(device: 'cpu' | 'cuda'): Promise<Float32Array> {
  using model = await loadModel(golden, { device })
  const { frames, size } = model.network.streams[0]
  return await model.logits(new Uint8Array(frames * size * size * 3), [1, frames, size, size, 3])
}

describe('a GPU that cannot be used', () => {
  withEmulation()
  const cases: [what: string, variables: Record<string, string>, reason: RegExp][] = [
    ['is not there', { TVN_EMULATION_DEVICES: '0' }, /^cuda cannot be used: no NVIDIA GPU is there$/],
    [
      'has too old a driver',
      { TVN_EMULATION_DRIVER: '11020' },
      /^cuda cannot be used: the driver speaks CUDA 11\.2, this backend needs [\d.]+: update the driver$/,
    ],
    [
      'has no code in the library',
      { TVN_EMULATION_CAPABILITY: '7.0', TVN_EMULATION_OLDEST_CODE: '7.5' },
      /^cuda cannot be used: emulated \(sm_70\): the backend, built with CUDA [\d.]+, has no code for compute capability 7\.0: build it with -DTVN_CUDA_ARCHITECTURES=70 and CUDA 12\.9 or older$/,
    ],
    ['has no tensor cores', { TVN_EMULATION_CAPABILITY: '6.1' }, /^cuda cannot be used: .*compute capability 6\.1 < 7\.0/],
  ]
  for (const [what, variables, reason] of cases) {
    describe(what, () => {
      withEnvironment(variables)

      it('is refused with the reason, and the CPU works', async () => {
        const { code, message, hint } = await refusal(() => loadModel(golden, { device: 'cuda' }))
        expect(code).to.equal('ERR_DEVICE')
        expect(message).to.match(reason)
        expect(hint).to.equal('npx tvn doctor says what there is; cpu needs no GPU')
        expect((await logitsOf('cpu')).every(Number.isFinite)).to.equal(true)
      })

      it('is a failed check of tvn doctor, for it was asked for', async () => {
        const { code, stdout } = await tvn(['doctor', '--json'], { env: { ...emulatedEnv, ...variables } })
        const { cuda, checks } = JSON.parse(stdout)
        expect(code).to.equal(1)
        expect(cuda.available).to.equal(false)
        expect(`cuda cannot be used: ${cuda.reason}`).to.match(reason)
        expect(checks.find(({ name }: { name: string }) => name === 'cuda').ok).to.equal(false)
      })
    })
  }
})

describe('a cuDNN that is asked for and cannot be used', function () {
  this.timeout(60_000)
  withEmulation()
  const cases: [setting: string, reason: string][] = [
    ['bogus', 'TVN_CUDNN is bogus, which is neither on nor off nor a path'],
    ['/nowhere/libcudnn.so.9', '/nowhere/libcudnn.so.9 is not there'],
  ]
  for (const [TVN_CUDNN, reason] of cases) {
    it(`is ERR_DEVICE before any work, and a failed check of tvn doctor: ${TVN_CUDNN}`, async () => {
      const env = { ...emulatedEnv, TVN_CUDNN }
      const profile = await tvn(['profile', golden, '--device', 'cuda'], { env })
      expect([profile.code, profile.stdout, profile.stderr]).to.deep.equal([2, '', `tvn: cuDNN cannot be used: ${reason}\n     unset TVN_CUDNN\n`])
      const { code, stdout } = await tvn(['doctor', '--json'], { env })
      const check = JSON.parse(stdout).checks.find(({ name }: { name: string }) => name === 'cudnn')
      expect([code, check]).to.deep.equal([1, { name: 'cudnn', ok: false, detail: `cannot be used: ${reason}; unset TVN_CUDNN` }])
    })
  }

  it('is nothing where it is switched off', async () => {
    const { code, stdout } = await tvn(['doctor', '--json'], { env: { ...emulatedEnv, TVN_CUDNN: 'off' } })
    expect([code, JSON.parse(stdout).cuda.cudnn]).to.deep.equal([0, 'not used: TVN_CUDNN is off'])
  })
})

describe('a GPU whose memory is full', function () {
  this.timeout(120_000)
  withEmulation({ TVN_EMULATION_MEMORY: '20000' })

  it('is ERR_MEMORY for inference and training, and the process goes on', async () => {
    for (const call of [() => logitsOf('cuda'), () => train(network)]) {
      const { code, message, hint } = await refusal(call)
      expect(code).to.equal('ERR_MEMORY')
      expect(message).to.match(/memory/)
      expect(hint).to.match(/smaller network, batch or input/)
    }
    expect((await logitsOf('cpu')).every(Number.isFinite)).to.equal(true)
    process.env.TVN_EMULATION_MEMORY = String(2 ** 30)
    expect((await logitsOf('cuda')).every(Number.isFinite), 'once there is room').to.equal(true)
  })

  it('is ERR_MEMORY for one batch of a trainer, which goes on with others and with the same once there is room', async () => {
    process.env.TVN_EMULATION_MEMORY = String(2 ** 30)
    using trainer = await createTrainer(network, { classes: 3, device: 'cuda' })
    const before = await trainer.weights()
    process.env.TVN_EMULATION_MEMORY = '200000'
    const { code } = await refusal(() => step(trainer, 16))
    expect(code).to.equal('ERR_MEMORY')
    expect(await trainer.weights()).to.deep.equal(before)
    const again = await refusal(() => step(trainer, 16))
    expect(again.code, 'the same batch').to.equal('ERR_MEMORY')
    process.env.TVN_EMULATION_MEMORY = String(2 ** 30)
    for (const batch of [16, 2]) expect((await step(trainer, batch)).loss, `${batch} clips`).to.be.within(0.1, 10)
    expect((await trainer.weights()).get('head.weight')).to.not.deep.equal(before.get('head.weight'))
  })

  async function train(of: Network): Promise<unknown> {
    using trainer = await createTrainer(of, { classes: 3, device: 'cuda' })
    return await step(trainer, 2)
  }

  async function step(trainer: Trainer, clips: number): Promise<TrainingStep> {
    const { frames, size } = trainer.network.streams[0]
    const labels = Array.from({ length: clips }, (_, i) => i % 3)
    return await trainer.step(clipsFor(trainer.network, clips), [clips, frames, size, size, 3], labels)
  }
})

describe('a GPU that fails in the middle of work', function () {
  this.timeout(300_000)
  const folder = temporaryFolder('lost')
  const data = path.join(folder, 'videos')
  withEmulation()
  before(() => {
    makeColourVideos(data)
    writeFileSync(path.join(folder, 'network.json'), JSON.stringify(network))
  })

  it('is ERR_DEVICE_LOST for every call from then on; the process lives, and the CPU works', () => {
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
    const child = fileURLToPath(new URL('./lost-child.ts', import.meta.url))
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', tsx, child, golden], {
      encoding: 'utf8',
      env: { ...process.env, ...emulatedEnv, TVN_EMULATION_LOST_AFTER: '60' },
    })
    expect(status, stderr).to.equal(0)
    const { endings, onCpu } = JSON.parse(stdout) as { endings: string[]; onCpu: string }
    expect(endings[0], 'before').to.equal('done')
    const after = endings.slice(endings.findIndex((ending) => ending !== 'done'))
    expect(after.length).to.be.at.least(3)
    for (const ending of after) expect(ending).to.match(/^TvnError ERR_DEVICE(_LOST)?: ./)
    expect(after[0]).to.match(/^TvnError ERR_DEVICE_LOST: /)
    expect(onCpu).to.equal('done')
  })

  it('leaves no model before the weights were kept for the first time, and says so', async () => {
    const out = path.join(folder, 'none.safetensors')
    const flags = ['--network', path.join(folder, 'network.json'), '--data', data, '--iterations', '2000', '--device', 'cuda', '--out', out]
    const env = { ...emulatedEnv, TVN_CACHE_DIR: path.join(folder, 'cache'), TVN_EMULATION_LOST_AFTER: '500' }
    const { code, stderr } = await tvn(['train', ...flags, '--json'], { env })
    expect(code).to.equal(1)
    expect(stderr).to.match(/^ +nothing is saved, it failed before the weights were kept for the first time; train again, or on cpu$/m)
    expect(existsSync(out)).to.equal(false)
  })

  it('leaves the model as it was not long before, which can be trained on', async () => {
    const out = path.join(folder, 'model.safetensors')
    const flags = ['--network', path.join(folder, 'network.json'), '--data', data, '--iterations', '12', '--device', 'cuda', '--out', out]
    const env = { ...emulatedEnv, TVN_CACHE_DIR: path.join(folder, 'cache') }
    const { code, stdout, stderr } = await tvn(['train', ...flags, '--json'], { env: { ...env, TVN_EMULATION_LOST_AFTER: '500' } })
    expect([code, stdout], stderr).to.deep.equal([1, ''])
    const [, done] = /the model as trained so far, after (\d+) of 12 iterations, is in .*model\.safetensors$/m.exec(stderr) ?? []
    expect(Number(done), stderr).to.be.within(1, 11)
    expect(existsSync(out)).to.equal(true)
    using model = await loadModel(out)
    expect(model.notes.interrupted).to.equal(`after ${done} of 12 iterations`)
    expect([...model.weights.values()].every((values) => values.every(Number.isFinite))).to.equal(true)
    const again = await tvn(['train', ...flags, '--init-from', out, '--iterations', '2', '--json'], { env })
    expect(again.code, again.stderr).to.equal(0)
    const { history, skipped, metrics } = JSON.parse(again.stdout)
    expect(history).to.have.length(2)
    expect(skipped).to.equal(0)
    expect(metrics.samples).to.be.above(0)
  })
})
