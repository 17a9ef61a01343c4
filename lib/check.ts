import { TvnError } from './errors.js'

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

function wrong(name: string, expected: string, got: unknown): TvnError {
  return new TvnError('ERR_ARGUMENT', `${name} must be ${expected}, got ${shown(got)}`)
}

function shown(value: unknown): string {
  if (value === null || typeof value !== 'object') return typeof value === 'string' ? `'${value}'` : String(value)
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(', ')}${value.length > 8 ? ', …' : ''}]`
  return `an object of type ${value.constructor?.name ?? 'Object'}`
}
