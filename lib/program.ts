import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** How to call this package's command, in a clone as in a project that depends on it: it is on the PATH in neither. */
export const program = 'npx tvn'

/** How to run a script of this package, wherever it lies and whatever npm is allowed to run. */
const script = (name: string) => `node ${path.relative('', fileURLToPath(new URL(`../scripts/${name}`, import.meta.url)))}`

/** How to build the addon anew. */
export const rebuildAddon = `rebuild it: ${script('install.mjs')}`

/** How to build the CUDA backend, or its emulation. */
export const buildCuda = (emulation: boolean) => `build it: ${script('build-cuda.mjs')}${emulation ? ' --emulation' : ''}`
