import { z } from 'zod'
import { type ErrorCode, TvnError } from './errors.js'
import { nearest } from './nearest.js'

/**
 * Schemas for JSON that users write. Each leaf's message says what is expected, so that every error has one voice:
 * `blocks[2].spatialKernel must be a whole number from 1 to 7, got 9`.
 */

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`
  return z.number(error).int(error).min(min, error).max(max, error)
}

/** Any number from `min` to `max`. */
export function real(min: number, max: number) {
  const error = `a number from ${min} to ${max}`
  return z.number(error).min(min, error).max(max, error)
}

/** One of some strings. */
export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, `one of ${values.join(', ')}`)
}

export function flag() {
  return z.boolean('true or false')
}

/** A name that can be printed on one line of a terminal. */
export function label() {
  const error = 'a text of 1 to 100 characters on one line'
  return z
    .string(error)
    .min(1, error)
    .max(100, error)
    .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, error)
}

/** An array of `min` to `max` items. */
export function list<T extends z.ZodType>(item: T, min: number, max: number, what: string) {
  const error = `an array of ${min === max ? min : `${min} to ${max}`} ${what}`
  return z.array(item, error).min(min, error).max(max, error)
}

/** An object with these keys and no others. */
export function object<const T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? unknownKey(issue.keys, keys) : `an object with the keys ${keys.join(', ')}`),
  })
}

/** Messages that are a whole sentence about the value, not what is expected of it, start with this. */
const sentence = '= '

function unknownKey(unknown: readonly string[], valid: readonly string[]): string {
  const key = unknown[0] ?? ''
  return `${sentence}${cut(key)} is not a known key: ${didYouMean(key, valid)}`
}

/** `did you mean filters? Known are …`, or the known names alone when none is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  return near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}? Known are ${known.join(', ')}`
}

/** A check that several values fail together: the message is a sentence that follows the path. */
export function fail(path: (string | number)[], message: string, input: unknown) {
  return { code: 'custom' as const, path, message: sentence + message, input }
}

/**
 * The value that a schema makes of JSON, or a TvnError of the given code. Its message is one line: the path, what is
 * expected and what came; unknown keys are told first because a mistyped key is also a missing one, the outermost before the others.
 *
 * @param what what the whole value is, for errors without a path, e.g. `a network`
 */
export function parseWith<T extends z.ZodType>(schema: T, value: unknown, code: ErrorCode, what: string): z.output<T> {
  const result = schema.safeParse(value, { reportInput: true })
  if (result.success) return result.data
  const { issues } = result.error
  const unknown = issues.filter(({ code }) => code === 'unrecognized_keys').toSorted((a, b) => a.path.length - b.path.length)
  const issue = unknown[0] ?? issues[0]
  if (issue === undefined) throw new TvnError(code, `${what} is invalid`)
  const more = issues.length - 1
  throw new TvnError(code, describe(issue, what) + (more > 0 ? ` (and ${more} more ${more === 1 ? 'problem' : 'problems'})` : ''))
}

function describe(issue: z.core.$ZodIssue, what: string): string {
  const path = formatPath(issue.path)
  if (issue.message.startsWith(sentence)) {
    const text = issue.message.slice(sentence.length)
    if (issue.code === 'unrecognized_keys') return path ? `${path}.${text}` : `${what}: ${text}`
    return path ? `${path} ${text}` : `${what} ${text}`
  }
  const got = issue.input === undefined ? 'nothing' : show(issue.input)
  return `${path || what} must be ${issue.message}, got ${got}`
}

/** `blocks[2].spatialKernel` */
export function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key)), '')
}

/** A value as JSON, short enough for a message. */
export function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return cut(String(value))
  try {
    return cut(JSON.stringify(value) ?? typeof value)
  } catch {
    return typeof value // it holds itself, or what JSON has no word for
  }
}

function cut(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}…`
}

/** JSON text as a value, or a TvnError of the given code that says where it breaks. */
export function parseJson(text: string, code: ErrorCode, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TvnError(code, `${what} must be JSON: ${(cause as Error).message.replace(/\s+/g, ' ')}`, { cause })
  }
}
