import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects this process's garbage now; a thread of its own then frees the buffers. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}
