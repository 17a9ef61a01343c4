import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import os from 'node:os'
import { cacheDirectory } from '../cache.js'
import { findDecoder } from '../data/decoder/find.js'
import { backendAdvice, cudnnRefusal, type Device } from '../device.js'
import { type NativeCpu, type NativeCuda, type NativeGpu, native } from '../native.js'
import { Network } from '../network/network.js'
import { rebuildAddon } from '../program.js'
import { createTrainer } from '../train/trainer.js'
import { makeFolder } from '../folder.js'

export interface Check {
  readonly name: string
  readonly ok: boolean
  /** What was found or, when it is not well, what to do. */
  readonly detail: string
}

export interface DoctorReport {
  readonly node: string
  readonly cpu: Pick<NativeCpu, 'model' | 'features' | 'isa'>
  /** What decodes videos, null when nothing does. */
  readonly decoder: string | null
  readonly cuda: {
    readonly available: boolean
    /** Why it is not available; empty where it is. */
    readonly reason: string
    /** Kernels run on the CPU, for tests. */
    readonly emulated: boolean
    readonly devices: readonly NativeGpu[]
    /** Version and path, or why it is not used; null without a GPU. */
    readonly cudnn: string | null
  }
  readonly checks: readonly Check[]
}

const oldestNode = [20, 12] as const

/** Looks at everything that a search needs. Never throws: what fails is a check that is not well. */
export async function examine(): Promise<DoctorReport> {
  const cuda = await findCuda()
  const decoder = await check('video decoder', async () => (await findDecoder()).detail)
  const checks = [
    await check('node', async () => nodeVersion()),
    await check('addon', async () => `loaded, kernels for ${native().cpu().isa}`),
    await check('training', () => trainOneStep('cpu')),
    ...(await checkCuda(cuda)),
    decoder,
    await check('storage', openDatabase),
    await check('cache folder', writableCache),
    await check('memory', async () => `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB, ${os.availableParallelism()} cores`),
  ]
  return {
    node: process.version,
    cpu: cpu(),
    decoder: decoder.ok ? decoder.detail : null,
    cuda: { available: cuda.available, reason: cuda.reason, emulated: cuda.emulated, devices: cuda.devices, cudnn: cuda.devices[0]?.cudnn ?? null },
    checks,
  }
}

async function findCuda(): Promise<NativeCuda> {
  try {
    const cuda = await native().cudaDevices()
    const advice = backendAdvice(cuda)
    return advice === undefined ? cuda : { ...cuda, reason: `${cuda.reason}; ${advice}` }
  } catch {
    return { available: false, absence: 'unloadable', reason: 'the native addon cannot be loaded', emulated: false, devices: [] }
  }
}

/**
 * A step on every GPU. None is a failure only where one is expected (TVN_CUDA=on, emulated) or where TVN_CUDA says what it cannot; nothing runs
 * on any while TVN_CUDNN asks for what cannot be used.
 */
async function checkCuda({ available, absence, reason, devices }: NativeCuda): Promise<Check[]> {
  const expected = process.env.TVN_CUDA === 'on' || process.env.TVN_CUDA === 'emulated' || absence === 'bad-setting'
  if (!available) return expected ? [{ name: 'cuda', ok: false, detail: `not available: ${reason}` }] : []
  const refusal = devices[0] && cudnnRefusal(devices[0])
  if (refusal !== undefined) return [{ name: 'cudnn', ok: false, detail: `cannot be used: ${refusal}; unset TVN_CUDNN` }]
  const names = devices.map((_, i): Device => (i === 0 ? 'cuda' : `cuda:${i}`))
  return Promise.all(names.map((name) => check(name, () => trainOneStep(name))))
}

async function check(name: string, find: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await find() }
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string }
    return { name, ok: false, detail: `${message.split('\n')[0]}${hint === undefined ? '' : `; ${hint}`}` }
  }
}

function cpu(): DoctorReport['cpu'] {
  try {
    const { model, features, isa } = native().cpu()
    return { model, features, isa }
  } catch {
    return { model: os.cpus()[0]?.model ?? 'unknown', features: [], isa: 'reference' }
  }
}

function nodeVersion(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldMajor, oldMinor] = oldestNode
  if (major < oldMajor || (major === oldMajor && minor < oldMinor)) throw new Error(`${process.version} is too old, expected at least ${oldMajor}.${oldMinor}`)
  return process.version
}

/** One training step of a small network: with fresh weights, the loss of ten classes is about ln 10. */
async function trainOneStep(device: Device): Promise<string> {
  const network = Network.parse({
    format: 'tiny-video-nets/network/1',
    name: 'doctor',
    streams: [{ frames: 2, size: 16, fps: 6 }],
    blocks: [
      {
        spatialType: 'std',
        spatialKernel: 3,
        spatialStride: 2,
        temporalType: '1d',
        temporalKernel: 3,
        temporalStride: 1,
        filters: 8,
        expand: 2,
        repeats: 1,
        skip: true,
        squeeze: 0.5,
        contextGate: true,
        nonLocal: 8,
      },
    ],
    head: 'mean',
  })
  using trainer = await createTrainer(network, { classes: 10, dropout: 0, seed: 1, device })
  const shape = [4, 2, 16, 16, 3]
  const clips = Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => (i * 97) % 251)
  const { loss } = await trainer.step(clips, shape, Int32Array.of(0, 1, 2, 3))
  if (!(Math.abs(loss - Math.log(10)) < 0.2)) throw new Error(`the first loss is ${loss}, expected about ${Math.log(10).toFixed(3)}; ${rebuildAddon}`)
  return `one step of a small network, loss ${loss.toFixed(3)}`
}

async function openDatabase(): Promise<string> {
  const { default: Database } = await import('libsql')
  const database = new Database(':memory:')
  const { version } = database.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  database.close()
  return `SQLite ${version}`
}

async function writableCache(): Promise<string> {
  const folder = cacheDirectory()
  await makeFolder(folder)
  await access(folder, constants.W_OK)
  return folder
}
