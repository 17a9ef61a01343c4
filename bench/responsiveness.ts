import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeDemo } from '../lib/data/demo/make.js'
import { loadModel } from '../lib/model/model.js'
import { search } from '../lib/search/search.js'
import { textTable } from '../lib/text-table.js'
import { train } from '../lib/train/train.js'
import { type Lateness, lateness } from './lateness.js'
import { smallNetworks } from './small-networks.js'

export interface Responsiveness extends Lateness {
  readonly activity: 'training' | 'prediction' | 'search'
}

/** Trains, predicts and searches on a few demo videos, all in this process, beside a 10 ms timer. */
export async function measureResponsiveness(progress: (line: string) => void): Promise<Responsiveness[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tvn-bench-'))
  try {
    progress('responsiveness: making videos')
    const cacheDir = path.join(folder, 'cache')
    process.env.TVN_CACHE_DIR = cacheDir
    const data = await makeDemo({ clipsPerClass: { train: 4, val: 1, test: 1 } })
    const network = smallNetworks[1] as (typeof smallNetworks)[number]
    const out = path.join(folder, 'model.safetensors')
    const rows: Responsiveness[] = []
    const watch = async (activity: Responsiveness['activity'], run: () => Promise<unknown>) => {
      progress(`responsiveness: ${activity}`)
      rows.push({ activity, ...(await lateness(run)) })
    }
    await watch('training', () => train({ network, data, out, iterations: 300 }))
    using model = await loadModel(out)
    const video = path.join(data, 'test', (model.labels as readonly string[])[0] as string, '000.mp4')
    await watch('prediction', async () => {
      for (let i = 0; i < 30; i++) await model.predict(video)
    })
    await watch('search', () => search({ data, out: path.join(folder, 'run'), trials: 4, iterations: 60, finalIterations: 60, limits: ['p90<100ms'] }))
    return rows
  } finally {
    delete process.env.TVN_CACHE_DIR
    await rm(folder, { recursive: true, force: true })
  }
}

export function responsivenessTable(rows: readonly Responsiveness[]): string {
  const right = (title: string) => ({ title, align: 'right' }) as const
  const cells = rows.map(({ activity, timers, p50, p99, max }) => [activity, String(timers), p50.toFixed(1), p99.toFixed(1), max.toFixed(1)])
  return `event loop: how late a 10 ms timer fires, ms\n\n${textTable(['meanwhile', right('timers'), right('p50'), right('p99'), right('max')], cells)}`
}
