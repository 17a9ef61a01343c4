import { costOf } from '../lib/network/cost.js'
import type { Device } from '../lib/device.js'
import type { CpuPrecision } from '../lib/native.js'
import { availablePrecisions, cpuPrecisions } from '../lib/precision.js'
import { TvnError } from '../lib/errors.js'
import { ContenderProcess, PeakProcess } from './contender-process.js'
import { allContenders, type Contender, deviceContenders, isMeant } from './contenders.js'
import { LoadAverage } from './load.js'
import { loadContenders, takeTurns, turnMilliseconds } from './rounds.js'
import { summarize, type Times } from './statistics.js'
import { graphOf, macsOf } from './subjects.js'

export interface NetworkRow extends Contender {
  readonly ms: Times
  /** MACs × 2 ÷ (peak × threads); a training step counts three forwards. Null on a GPU, whose peak is not measured. */
  readonly floorMs: number | null
  readonly overFloor: number | null
  /** The first run: caches are cold, and some engines prepare their kernels only then. */
  readonly firstMs: number
  /** From the output of an f32 engine, as a share of the largest |logit|. */
  readonly difference: number
}

export interface Failure {
  readonly contender: string
  readonly reason: string
}

export interface Comparison {
  /** GFLOP/s of one core, medians of figures from every round. */
  readonly peak: Readonly<Partial<Record<CpuPrecision, number>>>
  readonly rows: readonly NetworkRow[]
  readonly failures: readonly Failure[]
  /** What was left out, and why. */
  readonly notes: readonly string[]
  /** Cores that others kept busy meanwhile, on average. */
  readonly othersLoad: number
}

export interface NetworkOptions {
  /** A GPU that is timed, beside one thread of the CPU; `cpu`: our engine's rivals are. */
  readonly device: Device
  readonly only: ReadonlySet<string>
  readonly quick: boolean
  readonly signal: AbortSignal
  /** `done` and `total` count networks. */
  readonly onProgress: (progress: { readonly doing: string; readonly done: number; readonly total: number }) => void
  /** A network is done. */
  readonly onNetwork: (line: string) => void
}

/** Seconds for all networks together and for each at most, loading included, and the rounds that each has at least. */
const full = { seconds: 480, most: 90, leastRounds: 3 }
const brief = { seconds: 45, most: 8, leastRounds: 1 }

/** More MACs than these in one clip are too many for a slow rival where time is short, and more parameters take everybody too long to load. */
const largeMacs = 2e9
const largeParameters = 1e8

/** Those for whom there is time where time is short, and whom `only` names; `notes` say who is left out. */
function briefOnes(contenders: readonly Contender[], only: ReadonlySet<string>, notes: string[]): Contender[] {
  let rest = contenders
  const leaveOut = (what: string, unless: (contender: Contender) => boolean) => {
    const out = rest.filter((contender) => !unless(contender))
    if (out.length > 0) notes.push(`${what} left out of ${[...new Set(out.map(({ network }) => network))].join(', ')}: time them without --quick`)
    rest = rest.filter(unless)
  }
  leaveOut('everything is', ({ network }) => only.has(network) || costOf(graphOf(network)).params <= largeParameters)
  leaveOut('two threads are', ({ threads }) => threads === 1)
  leaveOut('tfjs-wasm is', ({ network, engine }) => engine !== 'tfjs-wasm' || only.has(engine) || macsOf(network) <= largeMacs)
  return [...rest]
}

/** Times all contenders that are meant, network by network. */
export async function measureNetworks({ device, only, quick, signal, onProgress, onNetwork }: NetworkOptions): Promise<Comparison> {
  const { seconds, most, leastRounds } = quick ? brief : full
  const end = performance.now() + 1000 * seconds
  const notes: string[] = []
  const available = availablePrecisions()
  if (device === 'cpu') for (const precision of cpuPrecisions) if (!available.includes(precision)) notes.push(`no ${precision}: this CPU has none`)
  const meant = (device === 'cpu' ? allContenders(available) : deviceContenders(device)).filter((contender) => isMeant(only, contender))
  if (meant.length === 0) throw new TvnError('ERR_ARGUMENT', '--only leaves nothing to time', { hint: notes.join('; ') || 'all kinds of words must agree' })
  const timed = quick ? briefOnes(meant, only, notes) : meant
  const networks = [...new Set(timed.map(({ network }) => network))]
  const contenders: ContenderProcess[] = []
  const load = new LoadAverage()
  const peak = new PeakProcess(available)
  try {
    for (const [done, network] of networks.entries()) {
      if (quick && performance.now() > end) {
        notes.push(`time is over, left out are ${networks.slice(done).join(', ')}`)
        break
      }
      const group = timed.filter((contender) => contender.network === network).map((contender) => new ContenderProcess(contender))
      contenders.push(...group)
      const share = Math.min((end - performance.now()) / 1000 / (networks.length - done), most)
      const report = (doing: string) => onProgress({ doing, done, total: networks.length })
      onNetwork(await timeNetwork(network, group, { seconds: share, leastRounds, peak, load, signal, report }))
    }
    if (contenders.length === 0) await peak.measure(turnMilliseconds)
  } finally {
    await peak.close()
  }
  const peaks = peak.medians()
  return {
    peak: peaks,
    rows: contenders.filter(({ failure }) => failure === undefined).map((contender) => rowOf(contender, peaks)),
    failures: contenders.flatMap(({ name, failure }) => (failure === undefined ? [] : [{ contender: name, reason: failure }])),
    notes,
    othersLoad: load.average,
  }
}

interface TimeOptions {
  /** Loading included. */
  readonly seconds: number
  readonly leastRounds: number
  readonly peak: PeakProcess
  readonly load: LoadAverage
  readonly signal: AbortSignal
  readonly report: (doing: string) => void
}

/** Loads, compares and times the contenders of a network, ends their processes, and says in a line what happened. */
async function timeNetwork(network: string, contenders: readonly ContenderProcess[], options: TimeOptions): Promise<string> {
  const { seconds, leastRounds, peak, load, signal, report } = options
  const close = () => Promise.all([peak, ...contenders].map((process) => process.close()))
  const abort = () => void close()
  signal.addEventListener('abort', abort, { once: true })
  try {
    const begin = performance.now()
    await loadContenders(contenders, report, signal)
    const loaded = performance.now()
    const ours = () => [peak, ...contenders].reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
    load.begin(ours())
    const rounds = await takeTurns(contenders, {
      seconds: seconds - (loaded - begin) / 1000,
      leastRounds,
      signal,
      onRound: () => peak.measure(turnMilliseconds),
      onProgress: report,
    })
    load.end(ours())
    return summaryOf(network, contenders, rounds, (performance.now() - loaded) / 1000)
  } finally {
    signal.removeEventListener('abort', abort)
    await Promise.all(contenders.map((contender) => contender.close()))
  }
}

function rowOf({ contender, times, first, difference }: ContenderProcess, peaks: Comparison['peak']): NetworkRow {
  const { network, precision, threads, batch, task } = contender
  const macs = macsOf(network) * batch * (task === 'inference' ? 1 : 3)
  const ms = summarize(times)
  const floorMs = precision === 'f16' ? null : (2 * macs) / ((peaks[precision] as number) * threads) / 1e6
  return { ...contender, ms, floorMs, overFloor: floorMs && ms.median / floorMs, firstMs: first?.ms ?? Number.NaN, difference }
}

/** E.g. `tvn-1: 6 contenders agree within 2e-6; 31 rounds in 12 s`; what is in bf16 has a bound of its own. */
function summaryOf(network: string, contenders: readonly ContenderProcess[], rounds: number, seconds: number): string {
  const fine = contenders.filter(({ failure }) => failure === undefined)
  const farthest = Math.max(0, ...fine.filter(({ contender }) => contender.precision !== 'bf16').map(({ difference }) => difference))
  const agreement = farthest === 0 ? 'agree in every bit' : `agree within ${farthest.toExponential(0)}`
  const failed = contenders.length - fine.length
  return `${network}: ${fine.length} contenders ${agreement}; ${failed > 0 ? `${failed} failed; ` : ''}${rounds} round${rounds === 1 ? '' : 's'} in ${seconds.toFixed(0)} s`
}
