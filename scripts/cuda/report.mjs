// The resource report (native/cuda/resources.json): what each kernel uses on each architecture, what must hold, and what became worse.
import { blocksPerMultiprocessor } from './occupancy.mjs'

/**
 * @typedef {object} Launch the launch that a line `// resources: <kernel> threads=<n> shared=<bytes>` in a `.cu` file announces
 * @property {number} threads of a block
 * @property {number} sharedDynamic bytes of a block
 *
 * @typedef {object} Kernel
 * @property {number} registers of a thread
 * @property {number} sharedStatic bytes of a block
 * @property {number} stack bytes of a thread
 * @property {number} spilled bytes stored and loaded by spills
 * @property {number} local instructions that access local memory
 * @property {number} hmma tensor-core instructions
 * @property {Launch=} launch
 * @property {number=} blocks that fit on a multiprocessor in that launch
 *
 * @typedef {object} Section of one architecture
 * @property {string} compiler e.g. '11.8'
 * @property {Record<string, Kernel>} kernels by `<file>/<name>`
 */

/** More registers than this above the committed number are a regression. */
const registerTolerance = 8
/** Blocks of a kernel on tensor cores that must fit on a multiprocessor: with one alone, nothing hides its waiting for memory. Hopper's and Ampere's rules are softer. */
const fewestBlocks = { sm_70: 2 }

/** A kernel whose name says that it is on tensor cores; others may be as well. */
export const isGemm = (name) => withoutArguments(name).includes('gemm')

/** The launches that a source announces, in its order. A kernel may be launched in several ways. */
export function announcedLaunches(source) {
  const lines = source.split('\n').flatMap((text, i) => (/^\s*\/\/\s*resources:/.test(text) ? [{ text, line: i + 1 }] : []))
  return lines.map(({ text, line }) => {
    const [, kernel, threads, shared] = /resources:\s*(\S.*?)\s+threads=(\d+)\s+shared=(\d+)\s*$/.exec(text) ?? []
    if (!kernel) throw new Error(`line ${line}: not of the form "// resources: <kernel> threads=<n> shared=<bytes>"`)
    return { kernel, line, threads: Number(threads), sharedDynamic: Number(shared) }
  })
}

const withoutArguments = (name) => name.replace(/<.*/s, '')

/** Whether an announced name means this kernel: a name alone means every instance, and `*` in arguments anything. Spaces do not count. */
export function isAnnounced(announced, name) {
  if (!announced.includes('<')) return announced === withoutArguments(name)
  const parts = announced.replace(/\s/g, '').split('*')
  const pattern = parts.map((part) => part.replace(/[^\w]/g, '\\$&')).join('.*')
  return new RegExp(`^${pattern}$`).test(name.replace(/\s/g, ''))
}

/**
 * The launch of a kernel with the fewest blocks on a multiprocessor, among those announced with its arguments or, without any, for its name alone;
 * {} where none is.
 */
export function launchOf(architecture, name, { registers, sharedStatic }, launches) {
  const all = launches.filter(({ kernel }) => isAnnounced(kernel, name))
  const exact = all.filter(({ kernel }) => kernel.includes('<'))
  const candidates = (exact.length > 0 ? exact : all).map(({ threads, sharedDynamic }) => ({
    launch: { threads, sharedDynamic },
    blocks: blocksPerMultiprocessor(architecture, { registers, threads, shared: sharedStatic + sharedDynamic }).blocks,
  }))
  return candidates.reduce((least, candidate) => (candidate.blocks < least.blocks ? candidate : least), candidates[0] ?? {})
}

/** What must hold of kernels on tensor cores whatever was committed: one line for each rule that one breaks. */
export function brokenRules(architecture, kernels) {
  const broken = []
  for (const [name, kernel] of Object.entries(kernels)) {
    const { hmma, stack, spilled, local, launch, blocks, registers } = kernel
    if (hmma === 0 && !isGemm(name.slice(name.indexOf('/') + 1))) continue
    const fewest = fewestBlocks[architecture] ?? 1
    if (hmma === 0) broken.push(`${name}: its name says GEMM, and it has no tensor-core instruction (HMMA)`)
    if (stack + spilled + local > 0)
      broken.push(`${name}: local memory in a kernel on tensor cores: stack ${stack} B, spills ${spilled} B, ${local} LDL and STL`)
    if (!launch) broken.push(`${name}: no line "// resources: <kernel> threads=<n> shared=<bytes>" in its .cu file says how it is launched`)
    else if (blocks < fewest) {
      const { limitedBy } = blocksPerMultiprocessor(architecture, { registers, threads: launch.threads, shared: kernel.sharedStatic + launch.sharedDynamic })
      broken.push(`${name}: blocks on a multiprocessor: ${blocks}, and ${fewest} are needed; limited by ${limitedBy}`)
    }
  }
  return broken
}

/**
 * What became worse than what is committed, one line each. With another compiler than the committed report's, only the names and the tensor-core
 * instructions are compared: registers and spills are the compiler's choice.
 *
 * @param {Section | undefined} committed
 * @param {Section} current
 */
export function regressions(committed, current) {
  if (!committed) return ['nothing is committed for this architecture: run with --write']
  const worse = []
  const before = committed.kernels
  for (const name of Object.keys(before)) if (!(name in current.kernels)) worse.push(`${name}: is gone; run with --write if that is meant`)
  for (const [name, now] of Object.entries(current.kernels)) {
    const was = before[name]
    if (!was) {
      worse.push(`${name}: is not in the report yet: run with --write`)
      continue
    }
    const report = (text) => worse.push(`${name}: ${text}`)
    if (was.hmma > 0 && now.hmma === 0) report(`no tensor-core instruction any more, ${was.hmma} before`)
    if (committed.compiler !== current.compiler) continue
    if (now.registers > was.registers + registerTolerance) report(`${now.registers} registers, ${was.registers} before`)
    if (now.spilled > was.spilled) report(`spills ${now.spilled} B, ${was.spilled} before`)
    if (now.stack > was.stack) report(`stack of ${now.stack} B, ${was.stack} before`)
    if (now.local > was.local) report(`${now.local} accesses to local memory, ${was.local} before`)
    if (was.blocks !== undefined && (now.blocks ?? 0) < was.blocks) report(`blocks on a multiprocessor: ${now.blocks ?? 'unknown'}, ${was.blocks} before`)
  }
  return worse
}

/** The report as it is committed: one line a kernel, in the order of names. */
export function formatReport(sections) {
  const list = (entries, indent, format) =>
    entries.length === 0 ? '{}' : `{\n${entries.map(([key, value]) => `${indent}  ${JSON.stringify(key)}: ${format(value)}`).join(',\n')}\n${indent}}`
  const sorted = (object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))
  const spaced = (value) =>
    typeof value === 'object'
      ? `{ ${Object.entries(value)
          .map(([key, v]) => `"${key}": ${spaced(v)}`)
          .join(', ')} }`
      : JSON.stringify(value)
  const section = ({ compiler, kernels }) => `{\n    "compiler": ${JSON.stringify(compiler)},\n    "kernels": ${list(sorted(kernels), '    ', spaced)}\n  }`
  return `${list(sorted(sections), '', section)}\n`
}

/** The report for people, as a Markdown table. */
export function formatTable(architecture, { compiler, kernels }) {
  const head = ['kernel', 'registers', 'shared B', 'stack B', 'spills B', 'HMMA', 'threads', 'blocks/SM', 'limit']
  const rows = Object.entries(kernels).map(([name, { registers, sharedStatic, stack, spilled, hmma, launch, blocks }]) => {
    const shared = sharedStatic + (launch?.sharedDynamic ?? 0)
    const limit = launch && blocksPerMultiprocessor(architecture, { registers, threads: launch.threads, shared }).limitedBy
    return [name, registers, shared, stack, spilled, hmma, launch?.threads ?? '–', blocks ?? '–', limit ?? '–'].map(String)
  })
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  const line = (cells) => `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [`${architecture}, CUDA ${compiler}:`, '', line(head), rule, ...rows.map(line), ''].join('\n')
}
