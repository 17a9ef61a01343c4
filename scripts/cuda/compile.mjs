// Compiles kernels to machine code of one architecture and reads what they use.
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { instructionsOfCubin, instructionsOfDisassembly, kernelName, resourcesOfPtxas } from './cubin.mjs'
import { announcedLaunches, isAnnounced, launchOf } from './report.mjs'
import { hostCompiler } from './toolchain.mjs'

const native = path.join(path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url)))), 'native')
export const kernelFolder = path.join(native, 'cuda', 'kernels')

/** Flags that every kernel is compiled with, here and by native/cuda/CMakeLists.txt: they decide what the report says. */
export const kernelFlags = ['-std=c++17', '-O3', '-DNDEBUG']

/**
 * Compiles every `.cu` file of a folder, `jobs` at a time.
 *
 * @param {keyof typeof import('./occupancy.mjs').limits} architecture
 * @param {import('./toolchain.mjs').Toolkit} toolkit
 * @param {{ folder: string, jobs: number, disassembly?: string }} options `disassembly`: a folder for `<file>.<architecture>.sass`
 * @returns {Promise<{ section: import('./report.mjs').Section, errors: string[], seconds: number }>} errors: files that do not compile, and
 *   announced launches of kernels that are not there
 */
export async function compileKernels(architecture, toolkit, { folder, jobs, disassembly }) {
  const begin = Date.now()
  const host = hostCompiler(toolkit.nvcc)
  const section = { compiler: toolkit.version.join('.'), kernels: {} }
  if ('error' in host) return { section, errors: [`${toolkit.name} accepts no C++ compiler of this machine:\n${host.error}`], seconds: 0 }

  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'tvn-cubin-'))
  const errors = []
  const kernels = new Map()
  const queue = fs.readdirSync(folder).filter((name) => name.endsWith('.cu'))
  const compileNext = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      try {
        const found = await compileOne(name, { architecture, toolkit, folder, temporary, disassembly, flags: host.flags })
        for (const [key, kernel] of found) kernels.set(key, kernel)
      } catch (error) {
        errors.push(error.message)
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: jobs }, compileNext))
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true })
  }
  section.kernels = Object.fromEntries([...kernels].sort(([a], [b]) => (a < b ? -1 : 1)))
  return { section, errors, seconds: (Date.now() - begin) / 1000 }
}

/** The kernels of one file, by `<file>/<name>`. */
async function compileOne(name, { architecture, toolkit, folder, temporary, disassembly, flags }) {
  const source = path.join(folder, name)
  const stem = path.basename(name, '.cu')
  const cubin = path.join(temporary, `${stem}.cubin`)
  const target = ['-cubin', `-arch=${architecture}`, '--resource-usage', '-I', native, '-o', cubin]
  const { status, output } = await run(toolkit.nvcc, [...kernelFlags, ...flags, ...target, source])
  if (status !== 0) throw new Error(`${name} does not compile for ${architecture} with ${toolkit.name}:\n${output.trim()}`)

  const resources = resourcesOfPtxas(output)
  const instructions = instructionsOf(cubin, toolkit, disassembly && path.join(disassembly, `${stem}.${architecture}.sass`))
  const launches = announcedLaunches(fs.readFileSync(source, 'utf8'))
  const kernels = new Map()
  for (const [symbol, demangled] of demangle([...resources.keys()])) {
    const key = `${stem}/${kernelName(demangled)}`
    if (kernels.has(key)) throw new Error(`${name}: two kernels are called ${kernelName(demangled)}; overloads need names of their own`)
    const found = instructions.get(symbol)
    if (!found) throw new Error(`${name}: ptxas compiled ${demangled}, and the cubin does not hold it`)
    const resource = resources.get(symbol)
    kernels.set(key, { ...resource, ...found, ...launchOf(architecture, kernelName(demangled), resource, launches) })
  }
  const names = [...kernels.keys()].map((key) => key.slice(stem.length + 1))
  for (const { kernel, line } of launches)
    if (!names.some((full) => isAnnounced(kernel, full))) throw new Error(`${name}:${line}: a launch of ${kernel}, which is no kernel of this file`)
  return kernels
}

/** Counted in the disassembly where the toolkit has cuobjdump, else by opcode. Where both can be had, they must agree. */
function instructionsOf(cubin, toolkit, disassembly) {
  const byOpcode = instructionsOfCubin(fs.readFileSync(cubin))
  const { stdout, status } = spawnSync(path.join(path.dirname(toolkit.nvcc), 'cuobjdump'), ['-sass', cubin], { encoding: 'utf8', maxBuffer: 1 << 30 })
  if (status !== 0) return byOpcode
  if (disassembly) {
    fs.mkdirSync(path.dirname(disassembly), { recursive: true })
    fs.writeFileSync(disassembly, stdout)
  }
  const disassembled = instructionsOfDisassembly(stdout)
  for (const [symbol, counts] of disassembled)
    if (JSON.stringify(counts) !== JSON.stringify(byOpcode.get(symbol)))
      throw new Error(`${symbol}: the opcodes in scripts/cuda/cubin.mjs do not say what cuobjdump says; they need a correction`)
  return disassembled
}

/** [mangled, demangled] of each. */
function demangle(symbols) {
  const { stdout, error } = spawnSync('c++filt', { input: symbols.join('\n'), encoding: 'utf8' })
  if (error) throw new Error('c++filt is missing: apt-get install binutils')
  const names = stdout.split('\n')
  return symbols.map((symbol, i) => [symbol, names[i]])
}

function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.stderr.on('data', (data) => (output += data))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, output }))
  })
}
