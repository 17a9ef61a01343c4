import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** How to call this package's command, in a clone as in a project that depends on it: it is on the PATH in neither. */
export const program = 'npx tvn'

/** How to build the addon anew, wherever this package lies and whatever npm is allowed to run. */
export const rebuildAddon = `rebuild it: node ${path.relative('', fileURLToPath(new URL('../scripts/install.mjs', import.meta.url)))}`
