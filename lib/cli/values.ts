import { type Device, parseDevice } from '../device.js'
import { TvnError } from '../errors.js'
import { nearest } from '../nearest.js'

/** Readers for option values with units; each throws ERR_ARGUMENT with what it expected. */

const shown = (text: string) => (text === '' ? 'nothing' : `'${text}'`)

function invalid(text: string, expected: string): TvnError {
  return new TvnError('ERR_ARGUMENT', `${shown(text)} is not valid, expected ${expected}`)
}

function range(min: number, max: number): string {
  if (max === Number.MAX_SAFE_INTEGER) return `of at least ${min}`
  return `from ${min} to ${max}`
}

/** Any text but the empty one. */
export function text(given: string): string {
  if (given === '') throw invalid(given, 'a text')
  return given
}

/** A whole number, with k, M or G where it is long: `250`, `100k`, `2.5M`. */
export function count(min = 1, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (given) => {
    const match = /^(\d+(?:\.\d+)?)([kKMG]?)$/.exec(given)
    const scale = { '': 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9 }[match?.[2] ?? ''] ?? 1
    const number = match ? Math.round(Number(match[1]) * scale * 1e6) / 1e6 : Number.NaN
    if (!Number.isSafeInteger(number) || number < min || number > max) throw invalid(given, `a whole number ${range(min, max)}`)
    return number
  }
}

/** A number: `0.1`, `1e-4`. */
export function number(min: number, max: number): (text: string) => number {
  return (given) => {
    const parsed = /^\d*\.?\d+(e-?\d+)?$/i.test(given) ? Number(given) : Number.NaN
    if (!(parsed >= min && parsed <= max)) throw invalid(given, `a number ${range(min, max)}`)
    return parsed
  }
}

/** A time span in seconds: `500ms`, `90s`, `10m`, `2h`. */
export function duration(given: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(given)
  const seconds = match ? Number(match[1]) * ({ ms: 1e-3, s: 1, m: 60, h: 3600 }[match[2] as string] as number) : 0
  if (!(seconds > 0)) throw invalid(given, 'a time like 90s, 10m or 2h')
  return seconds
}

/** A device: `cpu`, `cuda`, `cuda:1`. */
export function device(given: string): Device {
  const parsed = parseDevice(given)
  if (parsed === undefined) throw invalid(given, 'cpu, cuda or cuda:<number>')
  return parsed
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): (text: string) => T {
  return (given) => {
    const found = words.find((word) => word === given)
    if (found !== undefined) return found
    const near = nearest(given, words)
    throw new TvnError(
      'ERR_ARGUMENT',
      `${shown(given)} is not valid, expected ${words.join(' or ')}`,
      near === undefined ? {} : { hint: `did you mean ${near}?` },
    )
  }
}
