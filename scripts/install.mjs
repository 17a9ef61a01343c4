// Builds the native addon into build/Release/tvn.node: what npm runs at install, and the first half of `npm run build`.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)

/** Ends the installation with one line that says what is missing. */
function give(up) {
  console.error(`tiny-video-nets: ${up}`)
  process.exit(1)
}

const run = (program, args, options = {}) => spawnSync(program, args, { encoding: 'utf8', ...options })

if (process.platform !== 'linux' || process.arch !== 'x64')
  give(`the native engine is built for Linux on x86-64, not for ${process.platform} on ${process.arch}`)

const cmake = run('cmake', ['--version'])
const [, major, minor] = /(\d+)\.(\d+)/.exec(cmake.stdout ?? '') ?? []
if (cmake.error || Number(major) * 1000 + Number(minor) < 3020)
  give('cmake 3.20 or newer is needed to build the native engine: install it, e.g. `apt-get install cmake g++ make`')

const compiler = process.env.CXX ?? ['c++', 'g++', 'clang++'].find((name) => !run(name, ['--version']).error)
const probe =
  compiler &&
  run(compiler, ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], { input: '#include <span>\n#include <version>\nstatic_assert(__cpp_lib_span);\n' })
if (probe?.status !== 0) give('a C++20 compiler (g++ 11, clang 14 or newer) is needed to build the native engine: install one, e.g. `apt-get install g++ make`')
if (run('ninja', ['--version']).error && run('make', ['--version']).error)
  give('make or ninja is needed to build the native engine: install one, e.g. `apt-get install make`')

const config = process.env.TVN_BUILD_TYPE ?? 'Release'
const build = run(
  process.execPath,
  [
    require.resolve('cmake-js/bin/cmake-js'),
    'compile',
    '--out',
    path.join(root, 'build', config),
    '--config',
    config,
    '--parallel',
    '2',
    '--CDTVN_TESTS=OFF', // npm test turns it on in this folder
    `--CDTVN_NODE_ADDON_API=${path.dirname(require.resolve('node-addon-api'))}`,
    ...process.argv.slice(2),
  ],
  { cwd: root },
)
if (build.status !== 0) {
  process.stderr.write(`${build.stdout}${build.stderr}`)
  give('the native engine could not be built; the compiler says why above')
}
