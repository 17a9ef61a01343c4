// The CUDA compilers of this machine, and the C++ compilers that they work with.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** The last CUDA that Debian carries with support for V100, and the folder that `npm run cuda:sm70` unpacks it into. */
export const cachedVersion = '11.8'
export const oldestVersion = [11, 4]

/** As lib/cache.ts: `TVN_CACHE_DIR`, or `tiny-video-nets` in the platform's cache folder. */
export function cacheDirectory(env = process.env) {
  if (env.TVN_CACHE_DIR) return path.resolve(env.TVN_CACHE_DIR)
  const xdg = env.XDG_CACHE_HOME
  return path.join(xdg && path.isAbsolute(xdg) ? xdg : path.join(os.homedir(), '.cache'), 'tiny-video-nets')
}

/** How to run a script of this package, in a clone as in a project that depends on it. */
export const command = (script) => `node ${path.relative('', path.join(import.meta.dirname, '..', script))}`

export const cachedToolkit = () => path.join(cacheDirectory(), `cuda-${cachedVersion}`)

/**
 * @typedef {object} Toolkit
 * @property {string} nvcc path
 * @property {readonly [major: number, minor: number]} version
 * @property {string} name e.g. 'CUDA 11.8 (/usr/local/cuda/bin/nvcc)'
 */

/** The compiler of a toolkit's folder, or undefined where there is none that runs. */
export function toolkitIn(folder) {
  const nvcc = path.join(folder, 'bin', 'nvcc')
  return fs.existsSync(nvcc) ? toolkitOf(nvcc) : undefined
}

/** The machine's nvcc: of `CUDA_PATH` or `CUDA_HOME`, else the first on `PATH`, else /usr/local/cuda's. */
export function machineToolkit(env = process.env) {
  const onPath = (env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, 'nvcc'))
  const inFolders = (folders) => folders.flatMap((folder) => (folder ? [path.join(folder, 'bin', 'nvcc')] : []))
  for (const nvcc of [...inFolders([env.CUDA_PATH, env.CUDA_HOME]), ...onPath, ...inFolders(['/usr/local/cuda'])]) {
    const toolkit = fs.existsSync(nvcc) && toolkitOf(nvcc)
    if (toolkit) return toolkit
  }
  return undefined
}

function toolkitOf(nvcc) {
  const { stdout } = spawnSync(nvcc, ['--version'], { encoding: 'utf8' })
  const version = versionOf(stdout ?? '')
  return version && { nvcc, version, name: `CUDA ${version.join('.')} (${nvcc})` }
}

/** The version in what `nvcc --version` prints. */
export function versionOf(text) {
  const match = /release (\d+)\.(\d+)/.exec(text)
  return match ? [Number(match[1]), Number(match[2])] : undefined
}

export const isOlder = ([major, minor], [otherMajor, otherMinor]) => major < otherMajor || (major === otherMajor && minor < otherMinor)

/**
 * Architectures to build for, as CMake names them: V100's (which also runs on T4 and RTX 20), A100's and later ones' machine code, and PTX of the
 * last for what comes after. CUDA 13 has no V100 any more, T4's is its oldest; 11.8 is the first that knows Hopper.
 */
export function architecturesFor(version) {
  if (isOlder(version, [11, 8])) return '70-real;80'
  return isOlder(version, [13, 0]) ? '70-real;80-real;90' : '75-real;80-real;90'
}

/** The options of scripts/build-cuda.mjs; `flags` are CMake's, which says itself what it does not know. Throws an Error of one line. */
export function optionsOfBuild(args) {
  const options = { emulation: false, toolkit: undefined, flags: [] }
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]
    if (argument === '--emulation') options.emulation = true
    else if (argument === '--toolkit' || argument.startsWith('--toolkit=')) {
      if (options.toolkit !== undefined) throw new Error('--toolkit is given twice')
      options.toolkit = argument === '--toolkit' ? (args[++i] ?? '') : argument.slice('--toolkit='.length)
      if (options.toolkit === '' || options.toolkit.startsWith('-'))
        throw new Error('--toolkit needs the folder of a CUDA, e.g. --toolkit /usr/local/cuda-12.9')
    } else if (argument.startsWith('-') || /^-[DUG]$/.test(args[i - 1] ?? '')) options.flags.push(argument)
    else throw new Error(`"${argument}" is not known: expected --toolkit FOLDER, --emulation or options of CMake's, e.g. -DTVN_CUDA_ARCHITECTURES=90`)
  }
  if (options.emulation && options.toolkit !== undefined) throw new Error('--emulation and --toolkit exclude each other: the emulation needs no CUDA')
  return options
}

const probe =
  '#include <algorithm>\n#include <string>\n#include <vector>\n#include <cuda_fp16.h>\n__global__ void probe(half* x) { x[0] = __float2half(1.0f); }\n'
const unsupported = '-allow-unsupported-compiler'

/**
 * A C++ compiler that this nvcc accepts, tried out on a small file: `CUDAHOSTCXX`, nvcc's own choice, versions by name, and at last g++ although
 * nvcc does not know it.
 *
 * @returns {{ flags: string[], name: string } | { error: string }} flags for nvcc
 */
export function hostCompiler(nvcc, env = process.env) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tvn-nvcc-'))
  try {
    const source = path.join(folder, 'probe.cu')
    fs.writeFileSync(source, probe)
    const named = ['g++-14', 'g++-13', 'g++-12', 'g++-11', 'g++-10', 'clang++-14'].filter((name) => !spawnSync(name, ['--version']).error)
    const candidates = env.CUDAHOSTCXX
      ? [['-ccbin', env.CUDAHOSTCXX]]
      : [[], ...named.map((name) => ['-ccbin', name]), [unsupported], ...named.map((name) => ['-ccbin', name, unsupported])]
    let error = ''
    for (const flags of candidates) {
      const { status, stderr } = spawnSync(nvcc, ['-std=c++17', ...flags, '-c', source, '-o', path.join(folder, 'probe.o')], { encoding: 'utf8' })
      if (status === 0) return { flags, name: flags.includes('-ccbin') ? flags[1] : 'g++' }
      error ||= stderr.trim()
    }
    return { error }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}
