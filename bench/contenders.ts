import type { Device } from '../lib/device.js'
import { TvnError } from '../lib/errors.js'
import type { CpuPrecision, Precision } from '../lib/native.js'
import { precisions } from '../lib/precision.js'
import { inferenceNetworks, trainingNetworks } from './subjects.js'

export const engines = ['tvn', 'onnxruntime', 'tfjs-wasm'] as const
export const tasks = ['inference', 'training-step'] as const
export type Engine = (typeof engines)[number]

/** What is timed against others: a network on an engine, in a process of its own. */
export interface Contender {
  readonly network: string
  readonly engine: Engine
  readonly precision: Precision
  readonly threads: number
  /** A GPU; absent: the CPU. */
  readonly device?: Exclude<Device, 'cpu'>
  /** Clips of a run. */
  readonly batch: number
  readonly task: (typeof tasks)[number]
}

/** E.g. `tvn-1 onnxruntime f32 2 threads`, `tvn-1 tvn f16 cuda`. */
export function nameOf({ network, engine, precision, threads, device, task }: Contender): string {
  const where = device ?? `${threads} thread${threads > 1 ? 's' : ''}`
  return `${network}${task === 'inference' ? '' : ` ${task}`} ${engine} ${precision} ${where}`
}

/** What `--only` may name, by kind. */
export const words: Readonly<Record<'network' | 'engine' | 'precision' | 'task', readonly string[]>> = {
  network: [...inferenceNetworks, ...trainingNetworks],
  engine: engines,
  precision: precisions,
  task: tasks,
}

/** The words of a comma-separated list. Throws ERR_ARGUMENT for one that is none of `words`. */
export function parseWords(text: string): ReadonlySet<string> {
  const only = new Set(text.split(',').filter((word) => word !== ''))
  const known = Object.values(words).flat()
  const unknown = [...only].find((word) => !known.includes(word))
  if (unknown !== undefined)
    throw new TvnError('ERR_ARGUMENT', `there is no network, engine, precision or task ${JSON.stringify(unknown)}`, { hint: `it takes ${known.join(', ')}` })
  return only
}

/** Whether something is meant by `only`: words of one kind are alternatives, all kinds must agree, and no word of a kind means all of it. */
export function isMeant(only: ReadonlySet<string>, thing: Readonly<Partial<Record<keyof typeof words, string>>>): boolean {
  return Object.entries(words).every(([kind, known]) => {
    const is = thing[kind as keyof typeof words]
    return is === undefined || !known.some((word) => only.has(word)) || only.has(is)
  })
}

/**
 * Everybody who is timed, network by network: inference of one clip by our engine in each of `available` and by its rivals, on one and two threads
 * (TensorFlow.js has one in Node), and training steps of 16 clips of the small networks.
 */
export function allContenders(available: readonly CpuPrecision[]): Contender[] {
  const threads = [1, 2]
  const inference = inferenceNetworks.flatMap((network): Contender[] => {
    const clip = { network, batch: 1, task: 'inference' } as const
    return [
      ...available.flatMap((precision) => threads.map((n): Contender => ({ ...clip, engine: 'tvn', precision, threads: n }))),
      ...threads.map((n): Contender => ({ ...clip, engine: 'onnxruntime', precision: 'f32', threads: n })),
      { ...clip, engine: 'tfjs-wasm', precision: 'f32', threads: 1 },
    ]
  })
  const training = trainingNetworks.flatMap((network) =>
    threads.map((n): Contender => ({ ...trainingStep(network), engine: 'tvn', precision: 'f32', threads: n })),
  )
  return [...inference, ...training]
}

/** The same networks by our engine on a GPU, each beside itself on one thread of the CPU, in f32, which it is compared with. */
export function deviceContenders(device: Exclude<Device, 'cpu'>): Contender[] {
  return [...inferenceNetworks.map((network) => ({ network, batch: 1, task: 'inference' }) as const), ...trainingNetworks.map(trainingStep)].flatMap(
    (what): Contender[] => [
      { ...what, engine: 'tvn', precision: 'f32', threads: 1 },
      { ...what, engine: 'tvn', precision: 'f16', threads: 1, device },
    ],
  )
}

function trainingStep(network: string) {
  return { network, batch: 16, task: 'training-step' } as const
}
