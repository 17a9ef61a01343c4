// `npm run cuda:sanitizers`: the tests of the CUDA backend's kernels, emulated, under AddressSanitizer with UndefinedBehaviorSanitizer and, beside
// it, under ThreadSanitizer, which sees a missing barrier. `-- --short` has only the kernels on tensor cores, as for sm_70.
import { spawn, spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const short = process.argv.includes('--short')
const target = short ? 'tvn_cuda_test_70' : 'tvn_cuda_test_80'
const names = process.argv.slice(2).filter((argument) => argument !== '--short')

const sanitizers = ['address,undefined', 'thread']
const built = sanitizers.map(build)
const passed = await Promise.all(sanitizers.map(async (sanitizer, i) => built[i] && (await test(sanitizer))))
for (const [i, sanitizer] of sanitizers.entries()) console.log(`${passed[i] ? 'ok  ' : 'FAIL'}  ${target} under ${sanitizer}`)
process.exitCode = passed.every(Boolean) ? 0 : 1

function folderOf(sanitizer) {
  return path.join(root, 'build', `cuda-${sanitizer.replace(',', '-')}`)
}

function build(sanitizer) {
  const generator = spawnSync('ninja', ['--version']).error ? [] : ['-G', 'Ninja']
  const configure = ['-S', path.join(root, 'native', 'cuda'), '-B', folderOf(sanitizer), ...generator, '-DTVN_EMULATION=ON', `-DTVN_SANITIZE=${sanitizer}`]
  const compile = ['--build', folderOf(sanitizer), '--parallel', '2', '--target', target]
  const run = (args) => spawnSync('cmake', args, { stdio: 'inherit', env: { ...process.env, NINJA_STATUS: '[%f/%t] ' } }).status === 0
  return run([...configure, '--log-level=WARNING']) && run(compile)
}

/** Each line of its output begins with the sanitizer's name. */
function test(sanitizer) {
  // two blocks at a time, so that ThreadSanitizer sees races between blocks as well
  const env = { ...process.env, TVN_EMULATION_THREADS: sanitizer === 'thread' ? '2' : '1', UBSAN_OPTIONS: 'print_stacktrace=1' }
  const child = spawn(path.join(folderOf(sanitizer), target), names, { stdio: ['ignore', 'pipe', 'pipe'], env })
  const name = sanitizer.split(',')[0]
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) console.log(`${name}: ${line}`)
    })
    stream.on('end', () => rest && console.log(`${name}: ${rest}`))
  }
  return new Promise((resolve) => {
    child.on('error', () => resolve(false))
    child.on('close', (status) => resolve(status === 0))
  })
}
