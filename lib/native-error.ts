import { type ErrorCode, TvnError } from './errors.js'

/** What the addon throws (an Error with a code) as a TvnError; anything else as it is. */
export function nativeError(error: unknown): unknown {
  if (error instanceof TvnError || !(error instanceof Error)) return error
  const { code } = error as { code?: unknown }
  if (typeof code !== 'string' || !code.startsWith('ERR_')) return error // a DOMException's code is a number
  const hint = hints[code as ErrorCode]
  return new TvnError(code as ErrorCode, error.message, { cause: error, ...(hint !== undefined && { hint }) })
}

const hints: Partial<Record<ErrorCode, string>> = {
  ERR_MEMORY: 'a smaller network, batch or input takes less memory',
  ERR_DEVICE_LOST: 'nothing more runs on this GPU in this process; the CPU still works',
}

/** Awaits a call of the addon; what it rejects with becomes a TvnError. */
export async function callNative<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw nativeError(error)
  }
}
