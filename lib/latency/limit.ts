import { z } from 'zod'
import { type Device, deviceGrammar, parseDevice } from '../device.js'
import { TvnError } from '../errors.js'
import { object, parseWith, real, show } from '../validate.js'

/** "The given percentile of the run time stays below `milliseconds`", claimed with a confidence. */
export interface LatencyLimit {
  /** From 0.1 to below 100, e.g. 90; at most a million runs may be needed to prove it. */
  readonly percentile: number
  /** From 1e-6 to 1e9. */
  readonly milliseconds: number
  /** In per cent, from 50 to 99.9999. */
  readonly confidence: number
  /** Where it holds; on the CPU with one thread. */
  readonly device: Device
}

const example = 'p90<5ms@99%'
const grammar = /^(?:p(?<percentile>\d+(?:\.\d+)?))?<(?<milliseconds>\d*\.?\d+)ms(?:@(?<confidence>\d+(?:\.\d+)?)%)?(?:@(?<device>cpu|cuda(?::\d{1,3})?))?$/
// Numbers within these bounds are never written with an exponent, which the grammar does not know.
const limitSchema = object({
  percentile: real(0.1, 100).lt(100, 'a number below 100'),
  milliseconds: real(1e-6, 1e9),
  confidence: real(50, 99.9999),
  device: z
    .string(deviceGrammar)
    .refine((text) => parseDevice(text) !== undefined, deviceGrammar)
    .transform((text) => parseDevice(text) as Device)
    .optional(),
})

/** At 0.1 ms a run so many take two minutes. */
const mostSamples = 1_000_000
/** Share of the error probability that the first look which can prove a limit spends (verdict.ts). */
export const firstShare = 0.98

/** The smallest number of independent calls that proves a limit, when none of them misses it. */
export function samplesToProve({ percentile, confidence }: Pick<LatencyLimit, 'percentile' | 'confidence'>): number {
  return Math.ceil(Math.log(firstShare * (1 - confidence / 100)) / Math.log(percentile / 100))
}

/**
 * Reads `p<percentile> < <number>ms [@<confidence>%] [@cpu|@cuda[:i]]`, e.g. `p90<5ms@99%`; blanks may stand anywhere.
 * Defaults: p90, 99 % and the given device, which is the CPU where none is. Throws ERR_LIMIT_INVALID.
 */
export function parseLimit(text: string, defaultDevice: Device = 'cpu'): LatencyLimit {
  if (typeof text !== 'string') throw new TvnError('ERR_LIMIT_INVALID', `a limit must be a text like ${example}, got ${show(text)}`)
  const match = grammar.exec(text.replace(/\s+/g, ''))
  if (!match) throw invalid(text, `expected p<percentile> < <number>ms [@<confidence>%] [@cpu|@cuda[:i]]`)
  const { percentile = '90', milliseconds = '', confidence = '99', device = defaultDevice } = match.groups as Record<string, string | undefined>
  try {
    return checkLimit({ percentile: Number(percentile), milliseconds: Number(milliseconds), confidence: Number(confidence), device })
  } catch (cause) {
    throw invalid(text, (cause as TvnError).message)
  }
}

/** A limit from a JavaScript caller, on the given device where it names none. Throws ERR_LIMIT_INVALID. */
export function checkLimit(value: unknown, defaultDevice: Device = 'cpu'): LatencyLimit {
  const { device = defaultDevice, ...rest } = parseWith(limitSchema, value, 'ERR_LIMIT_INVALID', 'a limit')
  const limit = { ...rest, device }
  const samples = samplesToProve(limit)
  if (samples > mostSamples)
    throw new TvnError('ERR_LIMIT_INVALID', `percentile must be one that ${mostSamples} runs can prove, but ${limit.percentile} takes ${samples}`)
  return limit
}

/** The canonical text of a limit, without a device on the CPU; `parseLimit` reads it back. Throws ERR_LIMIT_INVALID. */
export function formatLimit(limit: LatencyLimit): string {
  const { percentile, milliseconds, confidence, device } = checkLimit(limit)
  return `p${percentile}<${milliseconds}ms@${confidence}%${device === 'cpu' ? '' : `@${device}`}`
}

/** Limits by the device that they are about, in the order in which they name them; all hold. Without any the given device has none. */
export function limitsByDevice(limits: readonly string[], device: Device): ReadonlyMap<Device, readonly string[]> {
  if (limits.length === 0) return new Map([[device, []]])
  const groups = new Map<Device, string[]>()
  for (const text of limits) {
    const { device: on } = parseLimit(text)
    groups.set(on, [...(groups.get(on) ?? []), text])
  }
  return groups
}

function invalid(text: string, reason: string): TvnError {
  return new TvnError('ERR_LIMIT_INVALID', `the limit '${text}' is not valid: ${reason}, e.g. ${example}`)
}
