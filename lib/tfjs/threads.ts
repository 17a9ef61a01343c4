import { availableParallelism } from 'node:os'
import { NativeLayers } from './native-layers.js'

const layers = new NativeLayers(availableParallelism())

/** What layers and the backend compute with. */
export function nativeLayers(): NativeLayers {
  return layers
}

/**
 * How many threads layers and the backend `tvn` compute with; the calling one is one of them. Results have the same bits for any number.
 * Default: as many as the process may use. Throws RangeError for what is no whole number from 1 to 256.
 */
export function setThreadsCount(threads: number): void {
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) throw new RangeError(`threads must be a whole number from 1 to 256, but got ${threads}.`)
  layers.threads = threads
}

export function getThreadsCount(): number {
  return layers.threads
}
