import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { upperCritical } from '../lib/latency/binomial.js'
import { formatLimit, parseLimit } from '../lib/latency/limit.js'
import type { LatencyReport } from '../lib/latency/measure.js'
import { percentile, sort } from '../lib/latency/statistics.js'
import { loadModel } from '../lib/model/model.js'
import { writeModel } from '../lib/model/model-file.js'
import { Random } from '../lib/random.js'
import { defaultPreprocessing } from '../lib/task.js'
import { formatMilliseconds, textTable } from '../lib/text-table.js'
import { initialize } from '../lib/train/initialize.js'
import { smallNetworks } from './small-networks.js'

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

/** What one production process saw. */
export interface ProductionRun {
  readonly load: number | undefined
  /** Calls that took the limit or longer. */
  readonly late: number
  readonly calls: number
  readonly firstMs: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  /** Whether so few calls were late as the limit promises, chance allowed for. */
  readonly agrees: boolean
}

export interface Agreement {
  readonly network: string
  /** The first limit of the ladder that was met. */
  readonly limit: string
  readonly latency: LatencyReport
  /** At most so many late calls agree with the limit: 10 %, and what chance adds to it in one of a hundred runs. */
  readonly allowed: number
  readonly runs: readonly ProductionRun[]
}

export interface AgreementOptions {
  readonly processes: number
  /** Of each process. */
  readonly calls: number
  /** The limits that are tried: so many times the measured p90, then each so many times the one before. */
  readonly ladder: number
  readonly progress: (line: string) => void
}

/** Finds a limit that a small network meets, then lets production processes, one after the other, see whether it holds. */
export async function measureAgreement({ processes, calls, ladder, progress }: AgreementOptions): Promise<Agreement> {
  const network = smallNetworks[0] as (typeof smallNetworks)[number]
  const folder = await mkdtemp(path.join(tmpdir(), 'tvn-agreement-'))
  try {
    const file = path.join(folder, 'model.safetensors')
    const weights = await initialize(network.graph({ classes: 10 }), Random.seeded(0))
    const labels = Array.from({ length: 10 }, (_, i) => `class ${i}`)
    await writeModel(file, { network, labels, task: 'single-label', preprocessing: defaultPreprocessing, weights, notes: {} })
    const { limit, latency } = await firstLimitMet(file, ladder, progress)
    const { percentile: p, milliseconds } = parseLimit(limit)
    const allowed = upperCritical(calls, 1 - p / 100, 0.01) - 1
    const runs: ProductionRun[] = []
    while (runs.length < processes) {
      progress(`production process ${runs.length + 1} of ${processes}`)
      const load = loadavg()[0]
      const times = await produce(file, calls)
      const sorted = sort(times)
      const late = times.filter((time) => time >= milliseconds).length
      const [p50, p90, p99] = [50, 90, 99].map((at) => percentile(sorted, at)) as [number, number, number]
      runs.push({ load, late, calls, firstMs: times[0] as number, p50, p90, p99, agrees: late <= allowed })
    }
    return { network: network.name, limit, latency, allowed, runs }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function firstLimitMet(file: string, ladder: number, progress: (line: string) => void): Promise<{ limit: string; latency: LatencyReport }> {
  using model = await loadModel(file)
  for (let milliseconds = ladder * (await model.measure()).p90; ; milliseconds *= ladder) {
    const limit = formatLimit(parseLimit(`p90<${milliseconds.toPrecision(3)}ms`))
    const latency = await model.measure({ limit, maxSeconds: 4 })
    progress(`${limit}: ${latency.verdict} after ${latency.samples} calls`)
    if (latency.verdict === 'meets') return { limit, latency }
  }
}

async function produce(file: string, calls: number): Promise<number[]> {
  const script = new URL('production.ts', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, script, file, String(calls)])
  return (JSON.parse(stdout) as { times: number[] }).times
}

export function agreementTable({ network, limit, latency, allowed, runs }: Agreement): string {
  const right = (title: string) => ({ title, align: 'right' }) as const
  const columns = ['process', right('load'), right('late'), right('first'), right('p50'), right('p90'), right('p99'), 'agrees']
  const rows = runs.map((run, i) => [
    i + 1,
    run.load?.toFixed(1) ?? '',
    `${((100 * run.late) / run.calls).toFixed(1)} %`,
    ...[run.firstMs, run.p50, run.p90, run.p99].map(formatMilliseconds),
    run.agrees ? 'yes' : 'no',
  ])
  const { p50, p90, p99, samples, compute } = latency
  return [
    `${network}: meets ${limit} (p50 ${formatMilliseconds(p50)}, p90 ${formatMilliseconds(p90)}, p99 ${formatMilliseconds(p99)}, ${samples} calls); at most ${allowed} late calls agree`,
    textTable(columns, rows),
    `${runs.filter(({ agrees }) => agrees).length} of ${runs.length} processes agree; runs alone, pinned: p50 ${formatMilliseconds(compute.p50)}, p99 ${formatMilliseconds(compute.p99)}, ${(compute.p99 / compute.p50).toFixed(2)} times p50`,
  ].join('\n\n')
}
