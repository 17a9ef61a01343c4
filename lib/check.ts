import { TvnError } from './errors.js'
import { didYouMean } from './validate.js'

/** Checks of arguments from JavaScript callers; each throws ERR_ARGUMENT with what was expected and what came. */

export function checkCount(name: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) throw wrong(name, `a whole number from ${min} to ${max}`, value)
  return value as number
}

export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= max)) throw wrong(name, `a number from ${min} to ${max}`, value)
  return value
}

export function checkFlag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong(name, 'true or false', value)
  return value
}

export function checkOneOf<const T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) throw wrong(name, allowed.map((item) => `'${item}'`).join(' or '), value)
  return value as T
}

/** A text that is not empty, such as a path. */
export function checkText(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw wrong(name, 'a text', value)
  return value
}

/**
 * Checks that options are an object with known keys only: a mistyped key is told, not ignored. `signal` and `onProgress`, where given, must be what
 * they are called; all other values are the caller's to check.
 */
export function checkOptions<T extends object>(name: string, value: T, known: Readonly<Record<keyof T, true>>): void {
  const keys = Object.keys(known)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, `an object with the keys ${keys.join(', ')}`, value)
  const unknown = Object.keys(value).find((key) => !keys.includes(key))
  if (unknown !== undefined) throw new TvnError('ERR_ARGUMENT', `${name}.${unknown} is not a known key: ${didYouMean(unknown, keys)}`)
  const { signal, onProgress } = value as { signal?: unknown; onProgress?: unknown }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('signal', 'an AbortSignal', signal)
  if (onProgress !== undefined && typeof onProgress !== 'function') throw wrong('onProgress', 'a function', onProgress)
}

/**
 * Checks clips: bytes and their shape [N, T, H, W, 3], where all but N are given by the network. Returns N.
 */
export function checkClips(clips: unknown, shape: unknown, expected: readonly [frames: number, size: number]): number {
  const [frames, size] = expected
  if (!(clips instanceof Uint8Array)) throw wrong('clips', 'a Uint8Array', clips)
  const wanted = [frames, size, size, 3]
  const sound =
    Array.isArray(shape) && shape.length === 5 && Number.isSafeInteger(shape[0]) && shape[0] >= 1 && wanted.every((extent, i) => shape[i + 1] === extent)
  if (!sound) throw wrong('shape', `[N, ${wanted.join(', ')}]`, shape)
  const bytes = shape.reduce((product: number, extent: number) => product * extent, 1)
  if (clips.length !== bytes) throw new TvnError('ERR_ARGUMENT', `clips must hold ${bytes} bytes for the shape [${shape.join(', ')}], got ${clips.length}`)
  return shape[0]
}

/** The error of an argument that is not what it must be. */
export function wrong(name: string, expected: string, got: unknown): TvnError {
  return new TvnError('ERR_ARGUMENT', `${name} must be ${expected}, got ${shown(got)}`)
}

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return typeof value === 'string' ? `'${value}'` : String(value)
  if (Array.isArray(value))
    return `[${value
      .slice(0, 8)
      .map((item) => (Array.isArray(item) ? '[…]' : shown(item)))
      .join(', ')}${value.length > 8 ? ', …' : ''}]`
  return `an object of type ${value.constructor?.name ?? 'Object'}`
}
