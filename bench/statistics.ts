export interface Times {
  readonly median: number
  readonly min: number
  readonly p90: number
  readonly runs: number
}

export function summarize(ms: readonly number[]): Times {
  const sorted = Float64Array.from(ms).sort()
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
  return { median: at(0.5), min: sorted[0] as number, p90: at(0.9), runs: sorted.length }
}

/** Uniform bytes, the same every time. */
export function randomBytes(length: number): Uint8Array {
  return Uint8Array.from(randomValues(length, 1, 0, 256))
}

/** Uniform values in [low, high), the same for the same seed: a linear congruential generator, a nanosecond or two each. */
export function randomValues(length: number, seed: number, low: number, high: number): Float32Array {
  const values = new Float32Array(length)
  const step = (high - low) / 2 ** 24
  let state = Math.imul(seed, 0x9e3779b1)
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    values[i] = low + step * (state >>> 8)
  }
  return values
}

/** The largest difference of two outputs, relative to the largest |expected|; infinite where one is not finite, or shapes differ. */
export function largestDifference(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length || got.length === 0) return Number.POSITIVE_INFINITY
  let [difference, scale] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [got[i] as number, expected[i] as number]
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY
    difference = Math.max(difference, Math.abs(a - b))
    scale = Math.max(scale, Math.abs(b))
  }
  return difference === 0 ? 0 : difference / scale
}
