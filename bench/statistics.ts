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
  let state = 1
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1664525) + 1013904223
    return state >>> 24
  })
}
