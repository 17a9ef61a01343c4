// `npm test`: everything there is to test, in one go. `npm test -- --only mocha,native` runs some of the parts.
// The system programs that tests need are installed with apt where that is allowed; otherwise one line names them and the run fails.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { machineToolkit } from './cuda/toolchain.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
process.chdir(root)

/** Where scripts/install.mjs built the addon: its engine is what the native tests are linked to. */
const installed = 'build/Release'
const levels = ['reference', 'avx2', 'avx512', 'avx512_bf16']
const parts = {
  generated: () => run(process.execPath, ['scripts/generate-ops.mjs', '--check']),
  types: () => run(path.join('node_modules', '.bin', 'tsc'), ['--noEmit', '-p', 'tsconfig.all.json']),
  native: nativeTests,
  networks: () => build(installed, []) && run(process.execPath, ['scripts/random-networks.mjs']),
  sanitizers: sanitizerTests,
  cuda: cudaTests,
  mocha: () =>
    run(process.execPath, [
      path.join('node_modules', 'mocha', 'bin', 'mocha.js'),
      ...process.argv.slice(2).filter((a, i, all) => !a.startsWith('--only') && all[i - 1] !== '--only'),
    ]),
}

const only = option('only')?.split(',')
for (const name of only ?? []) if (!(name in parts)) stop(`there is no part "${name}": ${Object.keys(parts).join(', ')}`)
const wanted = (name) => !only || only.includes(name)

const results = []
const notes = []
installPrograms()
if (!fs.existsSync(`${installed}/tvn.node`) || !fs.existsSync('dist/index.js')) stop('nothing is built yet: npm install')
for (const [name, part] of Object.entries(parts)) {
  if (!wanted(name)) continue
  console.log(`\n── ${name} ──`)
  const begin = Date.now()
  const ok = part()
  results.push({ name, ok, seconds: (Date.now() - begin) / 1000 })
}
console.log('')
for (const { name, ok, seconds } of results) console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name} (${seconds.toFixed(0)} s)`)
for (const note of notes) console.log(`note  ${note}`)
const failed = results.filter(({ ok }) => !ok).length
console.log(`${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)

function run(program, args, env = {}) {
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
  if (signal) console.log(`${program} ended by ${signal}`)
  return status === 0
}

/** Shell commands, two at a time: most tests have one thread. */
function sideBySide(commands, env = {}) {
  const input = commands.join('\0')
  const { status } = spawnSync('xargs', ['-0', '-P2', '-I{}', 'sh', '-c', '{}'], {
    input,
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  })
  return status === 0
}

function option(name) {
  const at = process.argv.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`))
  if (at < 0) return undefined
  return process.argv[at].includes('=') ? process.argv[at].split('=')[1] : process.argv[at + 1]
}

function stop(why) {
  console.error(why)
  process.exit(2)
}

/**
 * For the parts that are wanted: ffmpeg writes the videos that the data tests read; chromium runs exported models, python3 parts of the GPU day;
 * GoogleTest runs the native tests.
 */
function installPrograms() {
  const missing = []
  if (wanted('mocha') && spawnSync('ffmpeg', ['-version']).error) missing.push('ffmpeg')
  if (wanted('mocha') && spawnSync('chromium', ['--version']).error) missing.push('chromium')
  if (wanted('mocha') && spawnSync('python3', ['--version']).error) missing.push('python3')
  const hasGtest = ['/usr/include', '/usr/local/include'].some((folder) => fs.existsSync(`${folder}/gtest/gtest.h`))
  if (['native', 'networks', 'sanitizers'].some(wanted) && !hasGtest) missing.push('libgtest-dev')
  if (missing.length === 0) return
  const command = `apt-get update && apt-get install -y ${missing.join(' ')}`
  const allowed = process.getuid?.() === 0 && !spawnSync('apt-get', ['--version']).error
  console.log(allowed ? `installing ${missing.join(', ')}` : '')
  const { status, stderr } = allowed
    ? spawnSync('sh', ['-c', command], { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
    : { status: 1 }
  if (status !== 0) stop(`the tests need ${missing.join(' and ')}: ${command}${stderr ? `\n${stderr}` : ''}`)
}

function build(directory, flags) {
  const isConfigured = fs.existsSync(path.join(directory, 'CMakeCache.txt'))
  const generator = isConfigured || spawnSync('ninja', ['--version']).error ? [] : ['-G', 'Ninja']
  return (
    run('cmake', ['-S', '.', '-B', directory, ...generator, '-DTVN_TESTS=ON', ...flags, '--log-level=WARNING']) &&
    run('cmake', ['--build', directory, '--parallel', '2', '--target', 'tvn_test', 'tvn_networks'], { NINJA_STATUS: '[%f/%t] ' })
  )
}

/** The native tests once for every instruction set that this CPU has. */
function nativeTests() {
  if (!build(installed, [])) return false
  const detect = `process.env.TVN_MAX_ISA = ''; console.log(require('./${installed}/tvn.node').cpu().isa)`
  const best = spawnSync(process.execPath, ['-e', detect], { encoding: 'utf8' }).stdout.trim()
  const those = levels.slice(0, levels.indexOf(best) + 1)
  for (const level of levels.slice(those.length)) notes.push(`native tests for ${level} did not run: this CPU has ${best} at most`)
  return sideBySide(those.map((level) => `TVN_MAX_ISA=${level} ${installed}/test/tvn_test --gtest_brief=1 && echo "passed for ${level}"`))
}

/**
 * The CUDA backend under its emulation: all kernels as for sm_80, those on tensor cores as for sm_70 as well, these also under sanitizers
 * (`npm run cuda:sanitizers` runs all of them so); the plans of the presets are those of stages.json and training.json. Where nvcc is, the
 * kernels compile for real and use what the report says.
 */
function cudaTests() {
  const engine = path.join(root, installed, 'libtvn_engine.a')
  if (!run(process.execPath, ['scripts/build-cuda.mjs', '--emulation', `-DTVN_ENGINE=${engine}`])) return false
  const folder = 'build/cuda-emulation'
  if (!run('cmake', ['--build', folder, '--parallel', '2', '--target', 'tvn_cuda_test_80', 'tvn_cuda_test_70', 'tvn_cuda_bench_80'])) return false
  let ok = sideBySide([`${folder}/tvn_cuda_test_80`, `${folder}/tvn_cuda_test_70`])
  ok = run(process.execPath, ['scripts/gpu-roofline.mjs', '--check', '--plan', `${folder}/tools/tvn_cuda_bench_80`]) && ok
  ok = run(process.execPath, ['scripts/cuda-sanitizers.mjs', '--short']) && ok
  if (machineToolkit()) return run(process.execPath, ['scripts/cuda-resources.mjs', '--arch', 'sm_80,sm_90']) && ok
  notes.push('kernels were not compiled for a GPU: there is no nvcc here')
  return ok
}

/** The native tests and a few networks under AddressSanitizer and UndefinedBehaviorSanitizer. */
function sanitizerTests() {
  if (!build('build/sanitize', ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', '-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1', '-DTVN_SANITIZE=address,undefined'])) return false
  const env = { UBSAN_OPTIONS: 'print_stacktrace=1' }
  const networks = ['scripts/random-networks.mjs', '--tool', 'build/sanitize/test/tvn_networks', '--count', '8', '--presets', 'none', '--max-work', '20e6']
  const half = (i) => `GTEST_TOTAL_SHARDS=2 GTEST_SHARD_INDEX=${i} build/sanitize/test/tvn_test --gtest_brief=1`
  return sideBySide([half(0), half(1)], env) && run(process.execPath, networks, env)
}
