import { wrong } from './check.js'
import { TvnError } from './errors.js'
import { type NativeCuda, type NativeDevice, type NativeGpu, native } from './native.js'
import { buildCuda, program } from './program.js'

/** Where networks run: `cpu`, or a GPU: `cuda` is the first one, `cuda:1` the second. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`

export const deviceGrammar = "'cpu', 'cuda' or 'cuda:<number>'"

/** A GPU that networks can run on. */
export interface Gpu extends NativeGpu {
  readonly device: Device
  /** Its kernels run on the CPU, for tests: times mean nothing. */
  readonly emulated: boolean
}

/** The device that a text names, the first GPU always as `cuda`; undefined when it names none. */
export function parseDevice(text: string): Device | undefined {
  if (text === 'cpu') return 'cpu'
  const match = /^cuda(?::(\d{1,3}))?$/.exec(text)
  if (!match) return undefined
  const index = Number(match[1] ?? 0)
  return index === 0 ? 'cuda' : `cuda:${index}`
}

/** A device of a JavaScript caller. Throws ERR_ARGUMENT; whether it is there is another question (`requireDevice`). */
export function checkDevice(name: string, value: unknown): Device {
  const device = typeof value === 'string' ? parseDevice(value) : undefined
  if (device === undefined) throw wrong(name, deviceGrammar, value)
  return device
}

/** A device as the addon takes it. */
export function nativeDevice(device: Device): { readonly device?: NativeDevice } {
  return device === 'cpu' ? {} : { device: { kind: 'cuda', index: indexOf(device) } }
}

/** The GPU that a device names, or undefined for the CPU. Throws ERR_DEVICE, with the reason, when networks cannot run on it. */
export async function requireDevice(device: Device): Promise<Gpu | undefined> {
  if (device === 'cpu') return undefined
  const cuda = await native().cudaDevices()
  if (!cuda.available) throw new TvnError('ERR_DEVICE', `${device} cannot be used: ${cuda.reason}`, { hint: hintFor(cuda) })
  const gpu = cuda.devices[indexOf(device)]
  if (gpu) {
    const refusal = cudnnRefusal(gpu)
    if (refusal !== undefined) throw new TvnError('ERR_DEVICE', `cuDNN cannot be used: ${refusal}`, { hint: 'unset TVN_CUDNN' })
    return { device, emulated: cuda.emulated, ...gpu }
  }
  const names = cuda.devices.map((_, i) => (i === 0 ? 'cuda' : `cuda:${i}`))
  throw new TvnError('ERR_DEVICE', `there is no ${device}, this machine has ${names.join(', ')}`, { hint: `${program} doctor lists the GPUs` })
}

/** Why cuDNN is not used although TVN_CUDNN asks for it; undefined where it is used, or not asked for. */
export function cudnnRefusal({ cudnn }: Pick<NativeGpu, 'cudnn'>): string | undefined {
  const isAsked = (process.env.TVN_CUDNN ?? '') !== '' && process.env.TVN_CUDNN !== 'off'
  return isAsked ? /^not used: (.*)$/s.exec(cudnn)?.[1] : undefined
}

/** Throws ERR_DEVICE when times of this device say nothing about any machine. Tests that are not about times set TVN_CUDA_EMULATION_VERDICTS=1. */
export function requireMeaningfulTimes(gpu: Gpu | undefined): void {
  if (gpu?.emulated && process.env.TVN_CUDA_EMULATION_VERDICTS !== '1')
    throw new TvnError('ERR_DEVICE', `${gpu.device} is emulated on the CPU: its times mean nothing, so no limit can be judged by them`, {
      hint: 'unset TVN_CUDA to use a GPU',
    })
}

function indexOf(device: Device): number {
  return Number(device.split(':')[1] ?? 0)
}

/** How to get a backend that is missing or was built from other sources; undefined where that is not what is wrong. */
export function backendAdvice({ absence }: Pick<NativeCuda, 'absence'>): string | undefined {
  return absence === 'not-built' || absence === 'stale' ? buildCuda(process.env.TVN_CUDA === 'emulated') : undefined
}

function hintFor(cuda: NativeCuda): string {
  if (cuda.absence === 'off' || cuda.absence === 'bad-setting') return 'unset TVN_CUDA'
  return backendAdvice(cuda) ?? `${program} doctor says what there is; cpu needs no GPU`
}
