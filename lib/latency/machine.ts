import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import type { Gpu } from '../device.js'
import { native } from '../native.js'
import { version } from '../version.js'

/** What a latency depends on besides the network. Figures of machines with different ids are never compared or reused. */
export interface Machine {
  /** 16 hex digits made of all the other fields. */
  readonly id: string
  readonly cpu: string
  readonly features: readonly string[]
  /** The instruction set that kernels are chosen for. */
  readonly isa: string
  /** Frequency governor of the first core; `unknown` where the system does not tell. */
  readonly governor: string
  readonly kernel: string
  /** Version of this package. */
  readonly engine: string
  /** Of what runs on a GPU: its name, capability, driver, and what the backend was built with. */
  readonly gpu?: string
}

export function fingerprint(parts: Omit<Machine, 'id'>): Machine {
  const { cpu, features, isa, governor, kernel, engine, gpu } = parts
  const id = createHash('sha256')
    .update(JSON.stringify([cpu, [...features].sort(), isa, governor, kernel, engine, ...(gpu === undefined ? [] : [gpu])]))
    .digest('hex')
    .slice(0, 16)
  return { id, cpu, features, isa, governor, kernel, engine, ...(gpu !== undefined && { gpu }) }
}

/** This machine, now; with a GPU, as what runs on that sees it. */
export function thisMachine(gpu?: Gpu): Machine {
  const { model, features, isa } = native().cpu()
  const governor = systemFile('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor') ?? 'unknown'
  return fingerprint({ cpu: model, features, isa, governor, kernel: release(), engine: version, ...(gpu && { gpu: describeGpu(gpu) }) })
}

/** E.g. `Tesla V100-SXM2-16GB (7.0), driver 12.4, backend 11.8, cuDNN 9.1 …`. */
function describeGpu({ name, capability, driver, runtime, cudnn, emulated }: Gpu): string {
  return `${name} (${capability})${emulated ? ' emulated' : ''}, driver ${driver}, backend ${runtime}, cuDNN ${cudnn}`
}

/** The core that measurements are pinned to: the last one this process may use, which interrupts and other processes like least; −1 where the system does not tell. */
export function measuringCore(): number {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(systemFile('/proc/self/status') ?? '')?.[1]
  const last = /(\d+)$/.exec(allowed ?? '')?.[1]
  return last === undefined ? -1 : Number(last)
}

function systemFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
