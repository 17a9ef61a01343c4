import { TvnError } from '../errors.js'
import { object, oneOf, parseWith, real, show } from '../validate.js'

/** "The given percentile of the run time stays below `milliseconds`", claimed with a confidence. */
export interface LatencyLimit {
  /** From 0.1 to below 100, e.g. 90; at most a million runs may be needed to prove it. */
  readonly percentile: number
  /** From 1e-6 to 1e9. */
  readonly milliseconds: number
  /** In per cent, from 50 to 99.9999. */
  readonly confidence: number
  /** Where it holds; `cpu` is one thread pinned to one core. */
  readonly device: 'cpu'
}

const example = 'p90<5ms@99%'
const grammar = /^(?:p(?<percentile>\d+(?:\.\d+)?))?<(?<milliseconds>\d*\.?\d+)ms(?:@(?<confidence>\d+(?:\.\d+)?)%)?(?:@(?<device>cpu|cuda(?::\d+)?))?$/
// Numbers within these bounds are never written with an exponent, which the grammar does not know.
const limitSchema = object({
  percentile: real(0.1, 100).lt(100, 'a number below 100'),
  milliseconds: real(1e-6, 1e9),
  confidence: real(50, 99.9999),
  device: oneOf(['cpu']).default('cpu'),
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
 * Reads `p<percentile> < <number>ms [@<confidence>%] [@cpu]`, e.g. `p90<5ms@99%`; blanks may stand anywhere.
 * Defaults: p90, 99 %, cpu. Throws ERR_LIMIT_INVALID.
 */
export function parseLimit(text: string): LatencyLimit {
  if (typeof text !== 'string') throw new TvnError('ERR_LIMIT_INVALID', `a limit must be a text like ${example}, got ${show(text)}`)
  const match = grammar.exec(text.replace(/\s+/g, ''))
  if (!match) throw invalid(text, `expected p<percentile> < <number>ms [@<confidence>%]`)
  const { percentile = '90', milliseconds = '', confidence = '99', device = 'cpu' } = match.groups as Record<string, string | undefined>
  if (device !== 'cpu') throw invalid(text, `limits on ${device} are not available, expected cpu`)
  try {
    return checkLimit({ percentile: Number(percentile), milliseconds: Number(milliseconds), confidence: Number(confidence), device })
  } catch (cause) {
    throw invalid(text, (cause as TvnError).message)
  }
}

/** A limit from a JavaScript caller. Throws ERR_LIMIT_INVALID. */
export function checkLimit(value: unknown): LatencyLimit {
  const limit = parseWith(limitSchema, value, 'ERR_LIMIT_INVALID', 'a limit')
  const samples = samplesToProve(limit)
  if (samples > mostSamples)
    throw new TvnError('ERR_LIMIT_INVALID', `percentile must be one that ${mostSamples} runs can prove, but ${limit.percentile} takes ${samples}`)
  return limit
}

/** The canonical text of a limit; `parseLimit` reads it back. Throws ERR_LIMIT_INVALID. */
export function formatLimit(limit: LatencyLimit): string {
  const { percentile, milliseconds, confidence } = checkLimit(limit)
  return `p${percentile}<${milliseconds}ms@${confidence}%`
}

function invalid(text: string, reason: string): TvnError {
  return new TvnError('ERR_LIMIT_INVALID', `the limit '${text}' is not valid: ${reason}, e.g. ${example}`)
}
