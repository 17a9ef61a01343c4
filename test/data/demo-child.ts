/** Makes demo clips (options, cache) and tells its parent when ten are there. */
import { makeDemo } from '../../lib/data/demo/make.js'

const [options = '{}', cacheDir = ''] = process.argv.slice(2)
await makeDemo(JSON.parse(options), { cacheDir, onProgress: ({ done }) => done === 10 && process.send?.('ten') })
process.disconnect()
