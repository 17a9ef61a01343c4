// Compiles the kernels for some architectures, prints the report and says what is wrong with it.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { compileKernels, kernelFolder } from './compile.mjs'
import { brokenRules, formatReport, formatTable, regressions } from './report.mjs'
import { cachedToolkit, cachedVersion, command, isOlder, machineToolkit, toolkitIn } from './toolchain.mjs'

export const architectures = ['sm_70', 'sm_80', 'sm_90']

/**
 * @typedef {object} Options
 * @property {readonly string[]} architectures
 * @property {boolean} write the report instead of comparing with it
 * @property {number=} jobs files compiled at a time; as many as there are processors by default
 * @property {string=} disassembly a folder for the disassembly of each file, where the toolkit has cuobjdump
 * @property {string=} folder of `.cu` files; native/cuda/kernels by default
 * @property {string=} report resources.json beside that folder by default
 */

/** Prints one table an architecture and one line a problem. True when there is no problem; an architecture without a compiler is none. */
export async function checkResources({ architectures, write, jobs = os.availableParallelism(), disassembly, folder = kernelFolder, report }) {
  const file = report ?? path.join(folder, '..', 'resources.json')
  const committed = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {}
  const written = { ...committed }
  let problems = 0
  for (const architecture of architectures) {
    const { toolkit, absent } = toolkitFor(architecture)
    if (!toolkit) {
      console.log(`SKIP  ${architecture}: ${absent}`)
      continue
    }
    const { section, errors, seconds } = await compileKernels(architecture, toolkit, { folder, jobs, disassembly })
    console.log(formatTable(architecture, section))
    const was = committed[architecture]
    const found = [...errors, ...brokenRules(architecture, section.kernels)]
    if (!write && errors.length === 0) found.push(...regressions(was, section))
    if (!write && was && was.compiler !== section.compiler)
      console.log(`note  ${architecture}: the report is CUDA ${was.compiler}'s, this is ${section.compiler}: only names and tensor cores are compared`)
    for (const problem of found) console.log(`FAIL  ${architecture}: ${problem}`)
    console.log(`${found.length === 0 ? 'ok  ' : 'FAIL'}  ${architecture}: ${Object.keys(section.kernels).length} kernels (${seconds.toFixed(0)} s)`)
    problems += found.length
    if (errors.length === 0) written[architecture] = section
  }
  if (write) {
    fs.writeFileSync(file, formatReport(written))
    console.log(`${path.relative('', file)} is written`)
  }
  return problems === 0
}

/** V100 needs the CUDA that `npm run cuda:sm70` fetches, or a machine's that still knows it; the others take the machine's. */
function toolkitFor(architecture) {
  const machine = machineToolkit()
  if (architecture === 'sm_70') {
    const toolkit = toolkitIn(cachedToolkit()) ?? (machine && isOlder(machine.version, [13, 0]) ? machine : undefined)
    return toolkit ? { toolkit } : { absent: `it needs CUDA ${cachedVersion}: ${command('cuda-sm70.mjs')} fetches it` }
  }
  if (!machine) return { absent: 'there is no nvcc on this machine; set CUDA_PATH if it lies in an unusual place' }
  if (architecture === 'sm_90' && isOlder(machine.version, [11, 8])) return { absent: `${machine.name} does not know it` }
  return { toolkit: machine }
}
