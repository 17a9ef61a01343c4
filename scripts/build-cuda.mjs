// `npm run build:cuda`, or `node scripts/build-cuda.mjs`: builds the CUDA backend, build/Release/libtvn_cuda.so, with this machine's nvcc. `--toolkit FOLDER` takes another CUDA;
// `--emulation` builds libtvn_cuda_emu.so instead, the same kernels on the CPU, with a C++ compiler alone; everything else is passed on to CMake,
// e.g. `npm run build:cuda -- -DTVN_CUDA_ARCHITECTURES=90`. npm install never runs this.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  architecturesFor,
  cachedToolkit,
  cachedVersion,
  command,
  hostCompiler,
  isOlder,
  machineToolkit,
  oldestVersion,
  optionsOfBuild,
  toolkitIn,
} from './cuda/toolchain.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const output = path.join(root, 'build', 'Release')

/** Ends the build with one line that says what is missing. */
function give(up) {
  console.error(`build:cuda: ${up}`)
  process.exit(1)
}

const { emulation, toolkit: toolkitFolder, flags } = readOptions()
const cmake = spawnSync('cmake', ['--version'], { encoding: 'utf8' })
const [, major, minor] = /(\d+)\.(\d+)/.exec(cmake.stdout ?? '') ?? []
if (cmake.error || isOlder([Number(major), Number(minor)], [3, 20])) give('cmake 3.20 or newer is needed: install it, e.g. `apt-get install cmake`')
const begin = Date.now()
if (emulation) build('build/cuda-emulation', 'tvn_cuda_emu', ['-DTVN_EMULATION=ON'])
else build('build/cuda', 'tvn_cuda', forToolkit(chooseToolkit()))

function readOptions() {
  try {
    return optionsOfBuild(process.argv.slice(2))
  } catch (error) {
    return give(error.message)
  }
}

function chooseToolkit() {
  const toolkit = toolkitFolder ? toolkitIn(toolkitFolder) : machineToolkit()
  if (!toolkit && toolkitFolder) give(`there is no bin/nvcc that runs in ${toolkitFolder}`)
  if (!toolkit) give('there is no nvcc: install CUDA 11.4 or newer, or set CUDA_PATH to where it is (looked in CUDA_PATH, CUDA_HOME, PATH and /usr/local/cuda)')
  if (isOlder(toolkit.version, oldestVersion)) give(`${toolkit.name} is too old: ${oldestVersion.join('.')} is the oldest that builds this`)
  return toolkit
}

/** What CMake is told of the toolkit. */
function forToolkit(toolkit) {
  console.log(toolkit.name)
  if (!isOlder(toolkit.version, [13, 0])) {
    const has = toolkitIn(cachedToolkit())
    const build = `${command('build-cuda.mjs')} --toolkit ${cachedToolkit()}`
    const other = has ? build : `on Debian 12, ${command('cuda-sm70.mjs')} --fetch fetches CUDA ${cachedVersion}, then ${build}`
    console.log(`warning: this library will not run on V100, which CUDA 12.9 was the last to support: ${other}`)
  }
  const host = hostCompiler(toolkit.nvcc)
  if ('error' in host) give(`${toolkit.name} accepts no C++ compiler of this machine: set CUDAHOSTCXX to one that it knows\n${host.error}`)
  const ccbin = host.flags.indexOf('-ccbin')
  const others = host.flags.filter((flag, i) => i !== ccbin && (ccbin < 0 || i !== ccbin + 1))
  const architectures = architecturesFor(toolkit.version)
  console.log(`for ${architectures}, with ${host.name}${others.length > 0 ? `, which this nvcc does not know (${others.join(' ')})` : ''}`)
  return [
    `-DCMAKE_CUDA_COMPILER=${toolkit.nvcc}`,
    ...(ccbin < 0 ? [] : [`-DCMAKE_CUDA_HOST_COMPILER=${host.flags[ccbin + 1]}`]),
    `-DCMAKE_CUDA_FLAGS=${others.join(' ')}`,
    `-DTVN_CUDA_ARCHITECTURES=${architectures}`,
  ]
}

function build(folder, target, definitions) {
  const directory = path.join(root, folder)
  forgetOtherCompiler(path.join(directory, 'CMakeCache.txt'), definitions)
  const generator = spawnSync('ninja', ['--version']).error || fs.existsSync(path.join(directory, 'Makefile')) ? [] : ['-G', 'Ninja']
  const always = ['-DCMAKE_BUILD_TYPE=Release', `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${output}`]
  const configure = ['-S', path.join(root, 'native', 'cuda'), '-B', directory, ...generator, ...always, ...definitions, ...flags]
  run('CMake could not configure the backend', 'cmake', configure)
  run('the backend could not be built', 'cmake', ['--build', directory, '--parallel', '2', '--target', target])
  const library = path.join(output, `lib${target}.so`)
  if (!fs.existsSync(library)) give(`${target} is built, but not as ${path.relative(root, library)}`)
  const megabytes = (fs.statSync(library).size / 1e6).toFixed(1)
  console.log(`${path.relative(root, library)} (${megabytes} MB, ${((Date.now() - begin) / 1000).toFixed(0)} s)`)
}

/** A build folder keeps its compiler; with another one it begins anew. */
function forgetOtherCompiler(cache, definitions) {
  const known = fs.existsSync(cache) && /^CMAKE_CUDA_COMPILER:\w+=(.*)$/m.exec(fs.readFileSync(cache, 'utf8'))?.[1]
  if (known && !definitions.includes(`-DCMAKE_CUDA_COMPILER=${known}`)) fs.rmSync(path.dirname(cache), { recursive: true })
}

function run(failure, program, args) {
  const { status } = spawnSync(program, args, { stdio: 'inherit' })
  if (status !== 0) give(`${failure}; it says why above`)
}
