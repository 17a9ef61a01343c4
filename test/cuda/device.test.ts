import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { expect } from 'chai'
import { checkDevice, parseDevice, requireDevice } from '../../lib/device.js'
import { TvnError } from '../../lib/errors.js'
import { createTrainer, loadModel, Network, search, train } from '../../lib/index.js'
import type { NativeAddon, NativeCuda } from '../../lib/native.js'
import { opsHash } from '../../lib/network/ops.generated.js'
import { tvn } from '../cli/run.js'
import { temporaryFolder } from '../data/videos.js'
import { library, withEmulation, withEnvironment } from './emulation.js'

const golden = new URL('../fixtures/golden/one-frame.safetensors', import.meta.url).pathname

async function refusal(call: () => Promise<unknown>): Promise<TvnError> {
  const error = await call().catch((reason: unknown) => reason)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

describe('devices', () => {
  it('have one name each', () => {
    expect(['cpu', 'cuda', 'cuda:0', 'cuda:1', 'cuda:01', 'cuda:15'].map(parseDevice)).to.deep.equal(['cpu', 'cuda', 'cuda', 'cuda:1', 'cuda:1', 'cuda:15'])
    for (const text of ['', 'gpu', 'CUDA', 'cuda:', 'cuda:-1', 'cuda:x', 'cuda:1.5', 'cuda:1000', 'cpu:0', ' cuda'])
      expect(parseDevice(text), text).to.equal(undefined)
  })

  it('are refused with what was expected', () => {
    expect(() => checkDevice('device', 'gpu'))
      .to.throw(TvnError, "device must be 'cpu', 'cuda' or 'cuda:<number>', got 'gpu'")
      .with.property('code', 'ERR_ARGUMENT')
    for (const value of [undefined, null, 5, {}, []]) expect(() => checkDevice('device', value)).to.throw(TvnError, /^device must be/)
  })
})

describe('without a GPU', () => {
  withEnvironment({ TVN_CUDA: 'off' })
  const network = Network.preset('tvn-1')
  const data = path.join(temporaryFolder('no-gpu'), 'missing')

  it('everything that computes says so before any work, with the reason', async () => {
    const calls: Record<string, () => Promise<unknown>> = {
      requireDevice: () => requireDevice('cuda'),
      loadModel: () => loadModel(golden, { device: 'cuda:1' }),
      createTrainer: () => createTrainer(network, { classes: 3, device: 'cuda' }),
      train: () => train({ network, data, device: 'cuda' }),
      search: () => search({ data, device: 'cuda' }),
      'search with a limit': () => search({ data, limits: ['p90<1ms@cuda'] }),
    }
    for (const [name, call] of Object.entries(calls)) {
      const { code, message, hint } = await refusal(call)
      expect(code, name).to.equal('ERR_DEVICE')
      expect(message, name).to.match(/^cuda(:1)? cannot be used: it is switched off by TVN_CUDA=off$/)
      expect(hint, name).to.equal('unset TVN_CUDA')
    }
  })

  it('a precision that the device does not have is refused', async () => {
    const other = await refusal(() => loadModel(golden, { device: 'cuda', precision: 'f32' }))
    expect([other.code, other.message]).to.deep.equal(['ERR_PRECISION', 'precision f32 is not available on cuda: a GPU multiplies f16 and adds f32'])
    expect((await refusal(() => loadModel(golden, { precision: 'f16' }))).code).to.equal('ERR_PRECISION')
    expect((await refusal(() => createTrainer(network, { classes: 3, device: 'cuda', precision: 'f32' }))).code).to.equal('ERR_PRECISION')
    expect((await refusal(() => train({ network, data, precision: 'f16' }))).code).to.equal('ERR_PRECISION')
  })

  const commands: readonly (readonly string[])[] = [
    ['predict', 'clip.mp4', '--model', golden],
    ['eval', '--model', golden, '--data', data],
    ['profile', golden],
    ['train', '--network', 'tvn-1', '--data', data, '--out', `${data}.safetensors`],
    ['search', '--data', data, '--out', data],
  ]
  for (const command of commands) {
    it(`tvn ${command[0]} ends with exit code 2, one line and a hint`, async () => {
      const { code, stdout, stderr } = await tvn([...command, '--device', 'cuda'], { env: { TVN_CUDA: 'off' } })
      expect(code).to.equal(2)
      expect(stdout).to.equal('')
      expect(stderr).to.equal('tvn: cuda cannot be used: it is switched off by TVN_CUDA=off\n     unset TVN_CUDA\n')
    })
  }

  it('--device takes only devices, --precision only what they have', async () => {
    const device = await tvn(['profile', golden, '--device', 'gpu'])
    expect([device.code, device.stderr]).to.deep.equal([2, "tvn: --device: 'gpu' is not valid, expected cpu, cuda or cuda:<number>\n"])
    const precision = await tvn(['profile', golden, '--device', 'cuda', '--precision', 'bf16'])
    expect([precision.code, precision.stderr.split('\n')[0]]).to.deep.equal([
      2,
      'tvn: precision bf16 is not available on cuda: a GPU multiplies f16 and adds f32',
    ])
    const limit = await tvn(['search', '--data', data, '--limit', 'p90<1ms@gpu'])
    expect(limit.code).to.equal(2)
    expect(limit.stderr).to.match(/expected p<percentile> < <number>ms \[@<confidence>%\] \[@cpu\|@cuda\[:i\]\]/)
  })

  it('tvn doctor says why, and fails only where a GPU is expected', async () => {
    const doctor = async (setting: string) => {
      const { code, stdout } = await tvn(['doctor', '--json'], { env: { TVN_CUDA: setting } })
      const { cuda, checks } = JSON.parse(stdout)
      return { code, cuda, check: checks.find(({ name }: { name: string }) => name === 'cuda') }
    }
    const off = await doctor('off')
    expect(off.cuda).to.deep.equal({ available: false, reason: 'it is switched off by TVN_CUDA=off', emulated: false, devices: [], cudnn: null })
    expect(off.check).to.equal(undefined)
    const misspelt = await doctor('yes')
    expect(misspelt.code).to.equal(1)
    expect(misspelt.check).to.deep.equal({ name: 'cuda', ok: false, detail: 'not available: TVN_CUDA is "yes", expected auto, on, off or emulated' })
    const { stdout } = await tvn(['doctor'], { env: { TVN_CUDA: 'off' } })
    expect(stdout).to.match(/^cuda {2}not available: it is switched off by TVN_CUDA=off$/m)
  })
})

describe('the emulated backend', () => {
  withEmulation()

  it('exports its entry alone', () => {
    const symbols = execFileSync('nm', ['-D', '--defined-only', library], { encoding: 'utf8' }).trim().split('\n')
    expect(symbols.map((line) => line.split(' ').slice(1).join(' '))).to.deep.equal(['T tvn_cuda_backend'])
  })
})

describe('the backend is loaded from beside the addon', () => {
  const folder = temporaryFolder('backend')
  const addonFile = createRequire(import.meta.url).resolve('../../build/Release/tvn.node')
  withEnvironment({ TVN_CUDA: 'on' })

  /** What an addon says of the library that `make` puts beside it. */
  async function found(name: string, make: (library: string) => void): Promise<NativeCuda> {
    const place = path.join(folder, name)
    mkdirSync(place)
    copyFileSync(addonFile, path.join(place, 'tvn.node'))
    make(path.join(place, 'libtvn_cuda.so'))
    const addon = createRequire(import.meta.url)(path.join(place, 'tvn.node')) as NativeAddon
    return addon.cudaDevices()
  }

  const header = readFileSync(new URL('../../native/cuda/backend.h', import.meta.url), 'utf8')
  const abi = Number(/TVN_CUDA_ABI (\d+)u/.exec(header)?.[1])

  /** A library with a table that begins like that of backend.h. */
  const standIn =
    (version: number, hash: string, reason = '') =>
    (library: string): void => {
      const source = `
        #include <cstdint>
        #include <cstdio>
        static int32_t count(char* to, size_t capacity) { snprintf(to, capacity, "%s", ${JSON.stringify(reason)}); return 0; }
        static const struct { uint32_t abi; const char* hash; int32_t (*device_count)(char*, size_t); } table{${version}u, "${hash}", count};
        extern "C" const void* tvn_cuda_backend() { return &table; }`
      execFileSync(process.env.CXX ?? 'c++', ['-shared', '-fPIC', '-x', 'c++', '-', '-o', library], { input: source })
    }

  const cases: [name: string, make: (library: string) => void, absence: NativeCuda['absence'], reason: RegExp][] = [
    ['nothing', () => {}, 'not-built', /^the CUDA backend is not built$/],
    ['no library', (library) => writeFileSync(library, 'not a library'), 'unloadable', /^the CUDA backend cannot be loaded: .*libtvn_cuda\.so/],
    ['another interface', standIn(abi + 1, opsHash), 'stale', /another version of this package$/],
    ['another op table', standIn(abi, '0123456789abcdef'), 'stale', /another op table$/],
    ['no device', standIn(abi, opsHash, 'the driver speaks CUDA 10.2, this backend needs 11.8'), 'no-device', /^the driver speaks CUDA 10\.2/],
    ['a device that says nothing', standIn(abi, opsHash), 'no-device', /no GPU/],
  ]
  for (const [name, make, absence, reason] of cases) {
    it(`and says why it is not available: ${name}`, async () => {
      const cuda = await found(name, make)
      expect(cuda).to.include({ available: false, absence, emulated: false })
      expect(cuda.reason).to.match(reason)
      expect(cuda.devices).to.deep.equal([])
    })
  }

  it('unless TVN_CUDA says otherwise, or what it says is unknown', async () => {
    const addon = createRequire(import.meta.url)(addonFile) as NativeAddon
    for (const [setting, absence] of [
      ['off', 'off'],
      ['maybe', 'bad-setting'],
    ]) {
      process.env.TVN_CUDA = setting
      expect((await addon.cudaDevices()).absence).to.equal(absence)
    }
  })
})
