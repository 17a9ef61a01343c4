/** How late a 10 ms timer fires, in milliseconds. */
export interface Lateness {
  readonly timers: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** Watches a 10 ms timer of this process while `run` is under way. */
export async function lateness(run: () => Promise<unknown>): Promise<Lateness> {
  const late: number[] = []
  let due = performance.now() + 10
  const timer = setInterval(() => {
    const now = performance.now()
    late.push(Math.max(0, now - due))
    due = now + 10
  }, 10)
  try {
    await run()
  } finally {
    clearInterval(timer)
  }
  late.sort((a, b) => a - b)
  const at = (share: number) => late[Math.min(late.length - 1, Math.floor(share * late.length))] ?? Number.NaN
  return { timers: late.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}
