import { checkOneOf } from './check.js'
import type { Device } from './device.js'
import { TvnError } from './errors.js'
import { type CpuPrecision, type Isa, isas, native, type Precision } from './native.js'

/** Arithmetic that a plan on the CPU may use, and the lowest instruction set that has it. */
const needs: Readonly<Record<CpuPrecision, Isa>> = { f32: 'reference', bf16: 'avx512_bf16' }

export const cpuPrecisions = Object.keys(needs) as readonly CpuPrecision[]
export const precisions: readonly Precision[] = [...cpuPrecisions, 'f16']

/**
 * The precision of inference on a device, by default its usual one. Throws ERR_ARGUMENT for an unknown one, ERR_PRECISION for one that the device
 * lacks: a CPU's depend on its instruction set (and TVN_MAX_ISA), a GPU's is `f16`.
 */
export function precisionOn(device: Device, value?: unknown): Precision {
  const precision = value === undefined ? usualPrecision(device) : checkOneOf('precision', value, precisions)
  requireKind(device, precision)
  return precision === 'f16' ? precision : precisionFor(precision, needs, native().cpu().isa)
}

/** The same of training, which is in `f32` on a CPU. */
export function trainingPrecisionOn(device: Device, value?: unknown): 'f32' | 'f16' {
  const precision = value === undefined ? usualPrecision(device) : checkOneOf('precision', value, ['f32', 'f16'])
  requireKind(device, precision)
  return precision
}

function usualPrecision(device: Device): 'f32' | 'f16' {
  return device === 'cpu' ? 'f32' : 'f16'
}

function requireKind(device: Device, precision: Precision): void {
  if (device !== 'cpu' && precision !== 'f16')
    throw new TvnError('ERR_PRECISION', `precision ${precision} is not available on ${device}: a GPU multiplies f16 and adds f32`, {
      hint: 'leave the precision out, or use the cpu',
    })
  if (device === 'cpu' && precision === 'f16')
    throw new TvnError('ERR_PRECISION', 'precision f16 is that of a GPU, not available on cpu', { hint: 'use the device cuda, or another precision' })
}

/** A precision of a table of needs that an instruction set has. */
export function precisionFor<P extends string>(value: unknown, table: Readonly<Record<P, Isa>>, isa: Isa): P {
  const known = Object.keys(table) as P[]
  const precision = checkOneOf('precision', value, known)
  const has = (wanted: P) => isas.indexOf(isa) >= isas.indexOf(table[wanted])
  if (!has(precision))
    throw new TvnError('ERR_PRECISION', `precision ${precision} needs ${table[precision].toUpperCase()}, this CPU has ${isa} at most`, {
      hint: `here it can be ${known.filter(has).join(' or ')}; TVN_MAX_ISA caps the instruction set`,
    })
  return precision
}

/** Those that this CPU has. */
export function availablePrecisions(): CpuPrecision[] {
  const { isa } = native().cpu()
  return cpuPrecisions.filter((precision) => isas.indexOf(isa) >= isas.indexOf(needs[precision]))
}
