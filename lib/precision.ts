import { checkOneOf } from './check.js'
import { TvnError } from './errors.js'
import { type Isa, isas, native, type Precision } from './native.js'

/** Arithmetic that a plan may use, and the lowest instruction set that has it. */
const needs: Readonly<Record<Precision, Isa>> = { f32: 'reference', bf16: 'avx512_bf16' }

export const precisions = Object.keys(needs) as readonly Precision[]

/** A precision that this CPU has. Throws ERR_ARGUMENT for an unknown one, ERR_PRECISION for one that the CPU, or TVN_MAX_ISA, lacks. */
export function checkPrecision(value: unknown): Precision {
  return precisionFor(value, needs, native().cpu().isa)
}

/** The same for any table of needs and any instruction set. */
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
export function availablePrecisions(): Precision[] {
  const { isa } = native().cpu()
  return precisions.filter((precision) => isas.indexOf(isa) >= isas.indexOf(needs[precision]))
}
