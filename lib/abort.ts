import { TvnError } from './errors.js'

/** The error of a call that a signal ended: ERR_ABORTED, with the signal's reason as its cause. */
export function abortError(signal: AbortSignal): TvnError {
  const reason: unknown = signal.reason
  return reason instanceof TvnError ? reason : new TvnError('ERR_ABORTED', 'the call was aborted', { cause: reason })
}

/** Throws ERR_ABORTED when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal)
}
