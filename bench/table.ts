import { textTable } from '../lib/text-table.js'
import type { NetworkRow } from './networks.js'

const rivals = ['onnxruntime', 'tfjs-wasm'] as const

interface Line {
  readonly row: NetworkRow
  /** E.g. `16×`: by how much a rival takes longer than our engine; empty where it has no row with as many threads. */
  readonly ratios: readonly string[]
}

function linesOf(rows: readonly NetworkRow[]): Line[] {
  return rows.map((row) => ({ row, ratios: rivals.map((rival) => (row.engine === 'tvn' ? ratio(rows, row, rival) : '')) }))
}

/** The rival computes in f32; our other precisions are compared with that. */
function ratio(rows: readonly NetworkRow[], { network, threads, task, batch, ms }: NetworkRow, rival: (typeof rivals)[number]): string {
  const its = rows.find((row) => row.engine === rival && row.network === network && row.threads === threads && row.task === task && row.batch === batch)
  return its ? `${(its.ms.median / ms.median).toFixed(2)}×` : ''
}

const digits = (ms: number): string => ms.toFixed(ms < 10 ? 2 : 1)

function cells({ row: { network, task, batch, engine, precision, threads, device, ms, overFloor }, ratios }: Line): string[] {
  const subject = task === 'inference' ? network : `${network}, step of ${batch}`
  const [where, floors] = [device ?? String(threads), overFloor?.toFixed(2) ?? '']
  return [subject, engine, precision, where, digits(ms.median), `${digits(ms.min)}–${digits(ms.p90)}`, floors, ...ratios]
}

const heads = ['network', 'engine', 'precision', 'threads', 'median ms', 'min–p90', '× floor', ...rivals.map((rival) => `${rival} takes`)]
const firstNumber = heads.indexOf('threads')

/** For the terminal. */
export function networkTable(rows: readonly NetworkRow[]): string {
  const columns = heads.map((title, i) => ({ title, align: i >= firstNumber ? ('right' as const) : ('left' as const) }))
  return textTable(columns, linesOf(rows).map(cells))
}

/** For docs/performance.md. */
export function markdownTable(rows: readonly NetworkRow[]): string {
  const line = (columns: readonly string[]) => `| ${columns.join(' | ')} |`
  const rule = heads.map((_, i) => (i >= firstNumber ? '--:' : '---'))
  return [line(heads), line(rule), ...linesOf(rows).map((entry) => line(cells(entry)))].join('\n')
}
