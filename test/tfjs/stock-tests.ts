import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { build } from 'esbuild'

const require = createRequire(import.meta.url)
const core = path.dirname(require.resolve('@tensorflow/tfjs-core/package.json'))

/** Names of all files with tests of ops. */
export function testFiles(): string[] {
  return ['ops', 'ops/fused'].flatMap((folder) =>
    readdirSync(path.join(core, 'dist', folder))
      .filter((file) => file.endsWith('_test.js'))
      .map((file) => path.join(folder, file)),
  )
}

/** TensorFlow.js's tests as one script, which a run of jasmine takes. */
export async function bundleTests(files: readonly string[], outfile: string): Promise<void> {
  const contents = [
    "const util = require('./jasmine_util')",
    'const name = globalThis.testedBackend',
    'util.setTestEnvs([{ name, backendName: name, isDataSync: true }])',
    "require('./public/chained_ops/register_all_chained_ops')",
    "require('./register_all_gradients')",
    ...files.map((file) => `require('./${file}')`),
  ].join('\n')
  await build({
    stdin: { contents, resolveDir: path.join(core, 'dist'), loader: 'js' },
    bundle: true,
    platform: 'node',
    outfile,
    logLevel: 'error',
    external: ['jasmine-core'],
    alias: { 'jasmine-core/lib/jasmine-core/jasmine.js': require.resolve('jasmine-core/lib/jasmine-core/jasmine.js') },
  })
}

export interface StockResult {
  readonly passed: readonly string[]
  readonly failed: readonly { readonly name: string; readonly message: string }[]
}

/** Runs a bundle on a backend in a process of its own. */
export async function runTests(bundle: string, backend: string): Promise<StockResult> {
  const child = fork(new URL('run-stock-tests.ts', import.meta.url), [bundle, backend], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let errors = ''
  child.stderr?.on('data', (data) => {
    errors += data
  })
  let result: StockResult | undefined
  child.on('message', (message) => {
    result = message as StockResult
  })
  const [code, signal] = await once(child, 'exit')
  if (!result) throw new Error(`the tests ended with ${code ?? signal}: ${errors.slice(-2000)}`)
  return result
}
