import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { LayerRow } from './layers.js'
import type { Failure, NetworkRow } from './networks.js'
import type { Responsiveness } from './responsiveness.js'
import type { Machine } from '../lib/latency/machine.js'
import type { CpuPrecision } from '../lib/native.js'
import { markdownTable } from './table.js'

/** What `--json` prints and `--save` keeps. */
export interface BenchDocument {
  /** ISO 8601, the beginning. */
  readonly date: string
  /** `peak`: GFLOP/s of one core, by precision. */
  readonly machine: Pick<Machine, 'id' | 'cpu' | 'isa' | 'gpu'> & { readonly peak: Readonly<Partial<Record<CpuPrecision, number>>> }
  /** The machine's load average over the minute before. */
  readonly load: number
  /** Cores that others kept busy while networks were timed, on average; null where the system does not tell. */
  readonly othersLoad: number | null
  readonly rows: readonly NetworkRow[]
  readonly failures: readonly Failure[]
  readonly notes: readonly string[]
  readonly layers?: readonly LayerRow[] | undefined
  readonly responsiveness?: readonly Responsiveness[] | undefined
}

const folder = fileURLToPath(new URL('./results/', import.meta.url))
const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const [opening, closing] = ['<!-- made by npm run bench:table -->', '<!-- end of what npm run bench:table made -->'] as const

/** Writes `bench/results/<date>-<machine>.json` and the table of the docs; resolves to the file's name. */
export function saveResult(result: BenchDocument): string {
  const machine = result.machine.cpu
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  const name = `${result.date.slice(0, 10)}-${machine}.json`
  writeFileSync(`${folder}${name}`, `${JSON.stringify(result, undefined, 1)}\n`)
  updateDocs()
  return `bench/results/${name}`
}

/** The newest result that is kept; undefined where there is none. */
export function newestResult(): { readonly file: string; readonly result: BenchDocument } | undefined {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({ file: `bench/results/${file}`, result: JSON.parse(readFileSync(folder + file, 'utf8')) as BenchDocument }))
    .sort((a, b) => a.result.date.localeCompare(b.result.date))
    .at(-1)
}

/** What belongs between the markers of docs/performance.md. */
export function docsTable(newest: ReturnType<typeof newestResult>): string {
  if (newest === undefined) return 'No result is kept yet: `npm run bench:native -- --save` writes one.'
  const { file, result } = newest
  const { cpu, isa, peak } = result.machine
  const peaks = Object.entries(peak).map(([precision, gflops]) => `${gflops.toFixed(0)} GFLOP/s in ${precision}`)
  const others = result.othersLoad === null ? '' : `; other processes kept ${result.othersLoad.toFixed(2)} cores busy meanwhile`
  return `\`${file}\`, ${cpu} (${isa}), ${peaks.join(', ')} on one core${others}.\n\n${markdownTable(result.rows)}`
}

/** The text between the markers of docs/performance.md, as it stands there. */
export function tableInDocs(): string {
  const [before, after] = borders(readFileSync(page, 'utf8'))
  return readFileSync(page, 'utf8').slice(before, after).trim()
}

/** Puts the newest result's table into docs/performance.md. */
export function updateDocs(): void {
  const text = readFileSync(page, 'utf8')
  const [before, after] = borders(text)
  writeFileSync(page, `${text.slice(0, before)}\n\n${docsTable(newestResult())}\n\n${text.slice(after)}`)
}

function borders(text: string): readonly [number, number] {
  const [before, after] = [text.indexOf(opening), text.indexOf(closing)]
  if (before < 0 || after < before) throw new Error(`docs/performance.md lacks the markers ${opening} and ${closing}`)
  return [before + opening.length, after]
}
