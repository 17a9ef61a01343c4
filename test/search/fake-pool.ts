import { setTimeout as sleep } from 'node:timers/promises'
import { TvnError } from '../../lib/errors.js'
import type { Outcome, TaskName, Tasks } from '../../lib/evaluate/messages.js'
import type { Pool } from '../../lib/evaluate/pool.js'
import type { LatencyReport } from '../../lib/latency/measure.js'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { record } from './study-record.js'

/** One block, one frame. */
export const sampleNetwork = Network.parse({
  format: 'tiny-video-nets/network/1',
  name: 'x',
  streams: [{ frames: 1, size: 24, fps: 4 }],
  blocks: [
    {
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: 2,
      temporalType: '1d',
      temporalKernel: 1,
      temporalStride: 1,
      filters: 8,
      expand: 1,
      repeats: 1,
      skip: false,
      squeeze: 0,
      contextGate: false,
      nonLocal: 0,
    },
  ],
  head: 'mean',
}).toJSON()

/** A latency that depends on the network alone. */
export function latencyOf(network: unknown, limits: readonly string[]): LatencyReport {
  const p90 = Number.parseInt(Network.parse(network).hash().slice(0, 4), 16) / 65536 / 0.8 // one in five is above 1 ms
  return {
    device: 'cpu',
    p50: p90,
    p90,
    p99: p90,
    min: p90,
    samples: 44,
    ci: [p90, p90],
    noise: 0,
    machine: record.machine.id,
    limits,
    verdict: p90 < 1 ? 'meets' : 'fails',
    compute: { p50: p90, p90, p99: p90, samples: 44 },
  }
}

export interface FakeOptions {
  /** Seeds how long tasks last, and so the order in which they end. */
  readonly timing?: number
  /** Trials (by network name) that fail in training, with the reason. */
  readonly failing?: Readonly<Record<string, string>>
  /** Trials (by network name) that are too slow once they are trained on. */
  readonly slowInTheEnd?: readonly string[]
  /** From this task on the disk is full. */
  readonly diskFullFrom?: number
}

/** Workers without networks: what comes out depends on the task alone, when it comes on `timing`. */
export function fakePool({
  timing = 0,
  failing = {},
  slowInTheEnd = [],
  diskFullFrom = Number.POSITIVE_INFINITY,
}: FakeOptions = {}): Pick<Pool, 'run'> & { readonly tasks: string[] } {
  const random = Random.seeded(timing)
  const tasks: string[] = []
  const answer = (name: TaskName, task: Tasks[TaskName]['task']): Outcome<unknown> => {
    if (name === 'peak') return { ok: true, result: 100 }
    const { network } = task as Tasks['train']['task']
    tasks.push(`${name} ${name === 'seal' ? `trial-${/(\d+)-finished/.exec((task as Tasks['seal']['task']).from)?.[1]}` : network.name}`)
    if (tasks.length > diskFullFrom) throw new TvnError('ERR_FILE', 'no space left on the disk')
    if (name === 'seal') return { ok: true, result: null }
    if (name === 'measure') {
      const { limits, weights } = task as Tasks['measure']['task']
      const slow = weights?.includes('finished') && slowInTheEnd.includes(network.name)
      return { ok: true, result: { ...latencyOf(network, limits), ...(slow && { verdict: 'fails' as const }) } }
    }
    const reason = failing[network.name]
    if (reason !== undefined) return { ok: false, reason }
    const { seed } = task as Tasks['train']['task']
    const hash = Network.parse(network).hash()
    const fitness = Number.parseInt(hash.slice(4, 8), 16) / 65536
    const metrics = { samples: 1, top1: fitness, top5: 1, perClass: [], confusion: [] }
    const weightsHash = `${hash.slice(0, 16)}-${seed}`
    if (name === 'train') return { ok: true, result: { fitness, metrics, iterations: 10, weightsHash } }
    return { ok: true, result: { fitness, validation: metrics, test: metrics, weightsHash } }
  }
  return {
    tasks,
    async run(name, task) {
      await sleep(random.int(4))
      return answer(name, task) as never
    },
  }
}
