import { TvnError } from '../errors.js'

/** "The given percentile of the run time stays below `milliseconds`", claimed with a confidence. */
export interface LatencyLimit {
  /** In (0, 100), e.g. 90. */
  readonly percentile: number
  readonly milliseconds: number
  /** In per cent, from 50 to below 100. */
  readonly confidence: number
  /** Where it holds; `cpu` is one thread pinned to one core. */
  readonly device: 'cpu'
}

const example = 'p90<5ms@99%'
const grammar = /^(?:p(?<percentile>\d+(?:\.\d+)?))?<(?<milliseconds>\d*\.?\d+)ms(?:@(?<confidence>\d+(?:\.\d+)?)%)?(?:@(?<device>cpu|cuda(?::\d+)?))?$/

/**
 * Reads `p<percentile> < <number>ms [@<confidence>%] [@cpu]`, e.g. `p90<5ms@99%`; blanks may stand anywhere.
 * Defaults: p90, 99 %, cpu. Throws ERR_LIMIT_INVALID.
 */
export function parseLimit(text: string): LatencyLimit {
  const match = grammar.exec(text.replace(/\s+/g, ''))
  if (!match) throw invalid(text, `expected p<percentile> < <number>ms [@<confidence>%], e.g. ${example}`)
  const { percentile = '90', milliseconds = '', confidence = '99', device = 'cpu' } = match.groups as Record<string, string | undefined>
  if (device !== 'cpu') throw invalid(text, `limits on ${device} are not available, expected cpu, e.g. ${example}`)
  const limit: LatencyLimit = { percentile: Number(percentile), milliseconds: Number(milliseconds), confidence: Number(confidence), device: 'cpu' }
  if (!(limit.percentile > 0 && limit.percentile < 100)) throw invalid(text, `expected a percentile between 0 and 100, e.g. ${example}`)
  if (!(limit.milliseconds > 0)) throw invalid(text, `expected a time above 0 ms, e.g. ${example}`)
  if (!(limit.confidence >= 50 && limit.confidence < 100)) throw invalid(text, `expected a confidence from 50 % to below 100 %, e.g. ${example}`)
  return limit
}

/** The canonical text of a limit; `parseLimit` reads it back. */
export function formatLimit({ percentile, milliseconds, confidence }: LatencyLimit): string {
  return `p${percentile}<${decimal(milliseconds)}ms@${confidence}%`
}

/** Never in exponent notation, which the grammar does not know. */
function decimal(x: number): string {
  const text = String(x)
  return text.includes('e') ? x.toFixed(20).replace(/\.?0+$/, '') : text
}

function invalid(text: string, reason: string): TvnError {
  return new TvnError('ERR_LIMIT_INVALID', `the limit '${text}' is not valid: ${reason}`)
}
