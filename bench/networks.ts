import { native } from '../lib/native.js'
import { Network } from '../lib/network/network.js'
import { textTable } from '../lib/text-table.js'
import { initialize } from '../lib/train/initialize.js'
import { Random } from '../lib/random.js'
import { smallNetworks } from './small-networks.js'
import { randomBytes, summarize, type Times } from './statistics.js'

export interface NetworkRow {
  readonly network: string
  readonly engine: 'tvn'
  readonly precision: 'f32'
  readonly threads: number
  readonly batch: number
  readonly task: 'inference' | 'training-step'
  readonly ms: Times
  /** MACs × 2 ÷ (peak × threads); a training step counts three forwards. */
  readonly floorMs: number
  readonly overFloor: number
}

export interface NetworkOptions {
  readonly only: ReadonlySet<string>
  readonly quick: boolean
  readonly progress: (line: string) => void
}

/** A row to be timed: `run` does it once and resolves to its milliseconds. */
interface Contender extends Pick<NetworkRow, 'network' | 'threads' | 'batch' | 'task'> {
  /** Multiply-accumulates of a run. */
  readonly macs: number
  run(): Promise<number>
  dispose(): void
}

/** How long a contender's turn lasts at least. */
const turnMilliseconds = 50

const classesOf = (network: Network) => Network.presetClasses(network.name) ?? 10

async function inference(network: Network, threads: number): Promise<Contender> {
  const classes = classesOf(network)
  const graph = network.graph({ classes })
  const plan = await native().createPlan(graph, Object.fromEntries(await initialize(graph, Random.seeded(1))), { batch: 1, threads, precision: 'f32' })
  const { frames, size } = network.streams[0]
  const clips = randomBytes(frames * size * size * 3)
  return {
    network: network.name,
    threads,
    batch: 1,
    task: 'inference',
    macs: network.cost({ classes }).macs,
    run: async () => (await plan.measure({ runs: 1, clips, cold: false, core: threads === 1 ? 0 : -1 }))[0] as number,
    dispose: () => plan.dispose(),
  }
}

async function trainingStep(network: Network, threads: number, batch: number): Promise<Contender> {
  const classes = classesOf(network)
  const graph = network.graph({ classes })
  const options = { threads, task: 'single-label', labelSmoothing: 0.1, dropout: 0.2, momentum: 0.9, nesterov: true, weightDecay: 1e-4, seed: 1 } as const
  const trainer = await native().createTrainer(graph, Object.fromEntries(await initialize(graph, Random.seeded(1))), options)
  const { frames, size } = network.streams[0]
  const clips = randomBytes(batch * frames * size * size * 3)
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes)
  return {
    network: network.name,
    threads,
    batch,
    task: 'training-step',
    macs: 3 * batch * network.cost({ classes }).macs,
    run: async () => {
      const begin = performance.now()
      await trainer.step(clips, batch, labels, 1e-3)
      return performance.now() - begin
    },
    dispose: () => trainer.dispose(),
  }
}

const presets = ['tvn-1', 'tvn-2', 'tvn-3', 'tvn-4', 'tvn-mobile-1', 'tvn-mobile-2']

/** What `--only` may name. */
export const rowWords = {
  network: [...presets, ...smallNetworks.map(({ name }) => name)],
  task: ['inference', 'training-step'],
} as const satisfies Record<string, readonly string[]>

/** The peak of one core (GFLOP/s), and beside it inference of the released networks, one clip, on one and two threads; training steps of the small ones, 16 clips. */
export async function measureNetworks({ only, quick, progress }: NetworkOptions): Promise<{ readonly peak: number; readonly rows: NetworkRow[] }> {
  const wanted = (row: Readonly<Record<keyof typeof rowWords, string>>) =>
    Object.entries(rowWords).every(([kind, words]) => !words.some((word) => only.has(word)) || only.has(row[kind as keyof typeof rowWords]))
  const makers = [
    ...presets.flatMap((name) => [1, 2].map((threads) => ({ network: name, task: 'inference', make: () => inference(Network.preset(name), threads) }))),
    ...smallNetworks.flatMap((network) =>
      [1, 2].map((threads) => ({ network: network.name, task: 'training-step', make: () => trainingStep(network, threads, 16) })),
    ),
  ].filter(wanted)
  const contenders: Contender[] = []
  for (const { network, task, make } of makers) {
    progress(`compiling ${network} ${task}`)
    contenders.push(await make())
  }
  const times = contenders.map((): number[] => [])
  const peaks: number[] = []
  // A B C … A B C …: what drifts on the machine hits all alike
  const end = performance.now() + (quick ? 30e3 : 120e3)
  for (let round = -1; round < 60 && (round < 3 || performance.now() < end); round++) {
    peaks.push(await native().measurePeak(turnMilliseconds))
    for (const [i, contender] of contenders.entries()) {
      progress(`round ${round + 1}: ${contender.network} ${contender.task}, ${contender.threads} threads`)
      await runFor(contender) // refills the caches that the contender before has emptied, and wakes the threads
      const ms = await runFor(contender)
      if (round >= 0) times[i]?.push(...ms)
    }
  }
  const peak = summarize(peaks).median
  const rows = contenders.map((contender, i): NetworkRow => {
    const { network, threads, batch, task, macs } = contender
    contender.dispose()
    const ms = summarize(times[i] ?? [])
    const floorMs = (2 * macs) / (peak * threads) / 1e6
    return { network, engine: 'tvn', precision: 'f32', threads, batch, task, ms, floorMs, overFloor: ms.median / floorMs }
  })
  return { peak, rows }
}

/** Runs that follow one another, as in production: as many as a turn has time for, at least one. */
async function runFor(contender: Contender): Promise<number[]> {
  const ms: number[] = []
  for (let total = 0; total < turnMilliseconds; ) {
    const run = await contender.run()
    ms.push(run)
    total += run
  }
  return ms
}

export function networkTable(rows: readonly NetworkRow[]): string {
  const columns = [
    'network',
    'task',
    { title: 'batch', align: 'right' },
    { title: 'threads', align: 'right' },
    { title: 'median ms', align: 'right' },
    { title: 'min', align: 'right' },
    { title: 'p90', align: 'right' },
    { title: 'floor ms', align: 'right' },
    { title: 'of peak', align: 'right' },
  ] as const
  return textTable(
    columns,
    rows.map(({ network, task, batch, threads, ms, floorMs, overFloor }) => [
      network,
      task,
      batch,
      threads,
      ms.median.toFixed(2),
      ms.min.toFixed(2),
      ms.p90.toFixed(2),
      floorMs.toFixed(2),
      `${(100 / overFloor).toFixed(0)} %`,
    ]),
  )
}
