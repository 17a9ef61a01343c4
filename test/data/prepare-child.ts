/** Prepares a dataset (folder, cache) and tells its parent when the first video is stored. */
import { openDataset } from '../../lib/data/open.js'
import { prepareDataset } from '../../lib/data/prepare.js'

const [root = '', cacheDir = ''] = process.argv.slice(2)
const dataset = await openDataset(root, { cacheDir })
await prepareDataset(dataset, { cacheDir, onProgress: ({ phase, done }) => phase === 'decode' && done === 1 && process.send?.('stored') })
process.disconnect()
