// `npm run cuda:sanitizers`: the tests of the CUDA backend's kernels, emulated, under AddressSanitizer with UndefinedBehaviorSanitizer, then
// under ThreadSanitizer, which sees a missing barrier. `-- --short` has only the kernels on tensor cores, as for sm_70.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const short = process.argv.includes('--short')
const target = short ? 'tvn_cuda_test_70' : 'tvn_cuda_test_80'

const failed = ['address,undefined', 'thread'].filter((sanitizer) => !test(sanitizer))
for (const sanitizer of failed) console.error(`FAIL  ${target} under ${sanitizer}`)
process.exitCode = failed.length > 0 ? 1 : 0

function test(sanitizer) {
  const folder = path.join(root, 'build', `cuda-${sanitizer.replace(',', '-')}`)
  const generator = spawnSync('ninja', ['--version']).error ? [] : ['-G', 'Ninja']
  const definitions = ['-DTVN_EMULATION=ON', `-DTVN_SANITIZE=${sanitizer}`, '--log-level=WARNING']
  console.log(`${target} under ${sanitizer}`)
  return (
    run('cmake', ['-S', path.join(root, 'native', 'cuda'), '-B', folder, ...generator, ...definitions]) &&
    run('cmake', ['--build', folder, '--parallel', '2', '--target', target], { NINJA_STATUS: '[%f/%t] ' }) &&
    // two blocks at a time, so that ThreadSanitizer sees races between blocks as well
    run(
      path.join(folder, target),
      process.argv.slice(2).filter((argument) => argument !== '--short'),
      {
        TVN_EMULATION_THREADS: sanitizer === 'thread' ? '2' : '1',
        UBSAN_OPTIONS: 'print_stacktrace=1',
      },
    )
  )
}

function run(program, args, env = {}) {
  return spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status === 0
}
