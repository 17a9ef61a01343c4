/**
 * Runs TensorFlow.js's own tests, which its package ships, on a backend: `node --import tsx run-stock-tests.ts <bundle> <backend>`. Sends the
 * parent the names of the specs that passed, and what failed.
 */
import { createRequire } from 'node:module'
import { registerKernels } from '../../lib/tfjs/backend/register.js'
import { registerNativeBackend } from '../../lib/tfjs/index.js'
import { nativeLayers } from '../../lib/tfjs/threads.js'

const [bundle, backend] = process.argv.slice(2) as [string, string]
const require = createRequire(import.meta.url)
const core = require('jasmine-core')
const jasmine = core.boot(core)
Object.assign(globalThis, core.interface(jasmine, jasmine.getEnv()), { jasmine })
registerNativeBackend({ threads: 2 })
registerKernels(nativeLayers(), { elements: 0, row: 0 }) // small tensors too
;(globalThis as { testedBackend?: string }).testedBackend = backend

const env = jasmine.getEnv()
env.configure({ random: false })
const result = { passed: [] as string[], failed: [] as { name: string; message: string }[] }
env.clearReporters()
env.addReporter({
  specDone({ fullName, status, failedExpectations }: { fullName: string; status: string; failedExpectations: { message: string }[] }) {
    const name = fullName.replaceAll(` ${backend} {}`, '')
    if (status === 'passed') result.passed.push(name)
    if (status === 'failed') result.failed.push({ name, message: failedExpectations.map(({ message }) => message).join('; ') })
  },
})
require(bundle)
await env.execute()
process.send?.(result)
process.disconnect?.()
