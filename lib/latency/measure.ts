import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../abort.js'
import { type Device, type Gpu, requireMeaningfulTimes } from '../device.js'
import type { NativeMeasureOptions, NativeRunTimes } from '../native.js'
import { Random } from '../random.js'
import { formatLimit, type LatencyLimit } from './limit.js'
import { measuringCore, thisMachine } from './machine.js'
import { median, percentile, percentileInterval, relativeSpread, sort } from './statistics.js'
import { decideAll, type Verdict, worstVerdict } from './verdict.js'

/** Times of calls in milliseconds, caches warm: what a caller waits for its logits, with the way to a thread and back where there is one. */
export interface LatencyReport {
  /** `emulated`: a GPU whose kernels ran on the CPU; its times mean nothing. */
  readonly device: Device | 'emulated'
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly min: number
  /** How many calls were timed; those of the warm-up are not among them. */
  readonly samples: number
  /** Confidence interval, as if calls were independent, of the first limit's percentile at its confidence; without a limit of p90 at 99 %. The upper end is null while there are too few samples. */
  readonly ci: readonly [low: number, high: number | null]
  /** Relative spread of the calls (1.4826 · MAD ÷ median). */
  readonly noise: number
  /** Id of the machine (machine.ts), with its GPU where that is the device, that this was measured on. */
  readonly machine: string
  readonly limits?: readonly string[]
  readonly verdict?: Verdict
  /** The run alone, by the native clock, pinned to a core: what is left when a call costs nothing. On a GPU with the way there and back. */
  readonly compute: Percentiles
  /** On a GPU: of those runs the kernels alone, by its own clock. */
  readonly kernels?: Percentiles
  /** On a CPU: the same with the caches emptied before each run. */
  readonly cold?: { readonly p50: number; readonly max: number; readonly samples: number }
  /** The same network on the other devices that a search's limits name, each with its own limits and verdict; those behind one that fails are missing. */
  readonly elsewhere?: readonly LatencyReport[]
}

/** A report and those of the other devices. */
export function reportsOf(report: LatencyReport): readonly LatencyReport[] {
  return [report, ...(report.elsewhere ?? [])]
}

/** What all devices together say. */
export function overallVerdict(report: LatencyReport): Verdict | undefined {
  return worstVerdict(reportsOf(report).flatMap(({ verdict }) => verdict ?? []))
}

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly samples: number
}

/** What is measured: a model of batch 1 that nothing else uses meanwhile. */
export interface Measurable {
  /** One call as production makes it. */
  call(clip: Uint8Array): Promise<unknown>
  /** Milliseconds of runs by the native clock. */
  measure(options: NativeMeasureOptions): Promise<NativeRunTimes>
  /** Where it runs; default: the CPU. */
  readonly gpu?: Gpu | undefined
}

export interface MeasureProgress {
  readonly stage: 'warm-up' | 'measure' | 'cold'
  readonly samples: number
}

export interface MeasureOptions {
  /** Sampling goes on until the verdict about all of them is certain, or `maxSeconds` are over. */
  readonly limits?: readonly LatencyLimit[]
  /** The core that `compute` and `cold` are pinned to, −1 for none. Default: the last one this process may use. */
  readonly core?: number
  /** Time for sampling, default 10 s. An uncertain verdict is sampled once more for as long, after a pause. */
  readonly maxSeconds?: number
  /** How many cold runs, default 5; on a GPU none. */
  readonly coldRuns?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: MeasureProgress) => void
}

/** What measuring needs of its surroundings; tests bring their own. */
export interface MeasureEnvironment {
  /** Seconds. */
  readonly now: () => number
  readonly sleep: (seconds: number) => Promise<unknown>
  readonly machine: (gpu?: Gpu) => string
}

const realEnvironment: MeasureEnvironment = {
  now: () => performance.now() / 1000,
  sleep: (seconds) => sleep(seconds * 1000),
  machine: (gpu) => thisMachine(gpu).id,
}

/** Different clips in turn, so that no call profits from the data of the last. */
const variants = 4
/** Calls in a row last about so long: then progress is told and the signal is heard. */
const batchSeconds = 0.1
const warmUpSeconds = 1.5
/** The median of a warm-up batch may differ by so much from the one before. */
const drift = 0.02
/** Without limits: so many samples, if the time allows; and so many for `compute`, in at most computeSeconds. */
const samplesWithoutLimit = 200
const computeSeconds = 0.5
const pauseSeconds = 0.5

/**
 * Measures a model on single clips (design of the test: verdict.ts): warm-up until the median stops drifting, then batches of calls with
 * random clips until the verdict is certain or the time is over; an uncertain verdict gets, after a pause, the same time once more.
 * Throws ERR_DEVICE for limits on a GPU that is emulated.
 *
 * @param shape of one clip: [T, H, W, 3]
 */
export async function measureLatency(
  model: Measurable,
  shape: readonly number[],
  options: MeasureOptions = {},
  environment: MeasureEnvironment = realEnvironment,
): Promise<LatencyReport> {
  const { gpu } = model
  const { limits = [], core = measuringCore(), maxSeconds = 10, coldRuns = gpu ? 0 : 5, signal, onProgress } = options
  if (limits.length > 0) requireMeaningfulTimes(gpu)
  const { now } = environment
  const clips = randomClips(shape)
  const clipBytes = clips.length / variants
  let variant = 0
  const call = async (count: number): Promise<number[]> => {
    throwIfAborted(signal)
    const times: number[] = []
    for (; times.length < count; variant = (variant + 1) % variants) {
      const clip = clips.subarray(variant * clipBytes, (variant + 1) * clipBytes)
      const begun = now()
      await model.call(clip)
      times.push((now() - begun) * 1000)
    }
    return times
  }
  const run = async (runs: number, cold: boolean): Promise<NativeRunTimes> => {
    throwIfAborted(signal)
    return model.measure({ runs, clips, cold, core })
  }
  const typical = await warmUp(call, now, (samples) => onProgress?.({ stage: 'warm-up', samples }))
  const perBatch = Math.max(1, Math.floor((batchSeconds * 1000) / typical))

  const times: number[] = []
  const open = () => (limits.length > 0 ? decideAll(limits, times) === 'uncertain' : times.length < samplesWithoutLimit)
  const sample = async () => {
    const end = now() + maxSeconds
    while (open() && (now() < end || times.length === 0)) {
      const wanted = limits.length > 0 ? perBatch : Math.min(perBatch, samplesWithoutLimit - times.length)
      for (const time of await call(wanted)) times.push(time)
      onProgress?.({ stage: 'measure', samples: times.length })
    }
  }
  await sample()
  if (limits.length > 0 && open()) {
    // A burst of load on the machine is over soon: more samples, of which it is a smaller part.
    await environment.sleep(pauseSeconds)
    await sample()
  }
  const compute = await run(Math.max(1, Math.min(samplesWithoutLimit, Math.floor((computeSeconds * 1000) / typical))), false)
  onProgress?.({ stage: 'cold', samples: times.length })
  const cold = coldRuns > 0 ? sort((await run(coldRuns, true)).ms) : undefined

  const sorted = sort(times)
  const [low, high] = percentileInterval(sorted, limits[0]?.percentile ?? 90, limits[0]?.confidence ?? 99)
  return {
    device: gpu?.emulated ? 'emulated' : (gpu?.device ?? 'cpu'),
    p50: percentile(sorted, 50),
    p90: percentile(sorted, 90),
    p99: percentile(sorted, 99),
    min: percentile(sorted, 0),
    samples: times.length,
    ci: [low, Number.isFinite(high) ? high : null],
    noise: relativeSpread(sorted),
    machine: environment.machine(gpu),
    ...(limits.length > 0 && { limits: limits.map(formatLimit), verdict: decideAll(limits, times) }),
    compute: percentiles(compute.ms),
    ...(compute.deviceMs && { kernels: percentiles(compute.deviceMs) }),
    ...(cold && { cold: { p50: percentile(cold, 50), max: percentile(cold, 100), samples: cold.length } }),
  }
}

function percentiles(times: Float64Array): Percentiles {
  const sorted = sort(times)
  return { p50: percentile(sorted, 50), p90: percentile(sorted, 90), p99: percentile(sorted, 99), samples: times.length }
}

/** Calls until two batches in a row have about the same median, which it returns. */
async function warmUp(call: (count: number) => Promise<number[]>, now: () => number, onSamples: (samples: number) => void): Promise<number> {
  const end = now() + warmUpSeconds
  let last = median(await call(1))
  let samples = 1
  for (let calm = 0; calm < 2 && now() < end; ) {
    const batch = await call(Math.min(50, Math.max(3, Math.ceil((batchSeconds * 300) / last))))
    const middle = median(batch)
    calm = Math.abs(middle - last) <= drift * last ? calm + 1 : 0
    last = middle
    samples += batch.length
    onSamples(samples)
  }
  return last
}

function randomClips(shape: readonly number[]): Uint8Array {
  const random = Random.seeded(0)
  return Uint8Array.from({ length: variants * shape.reduce((product, extent) => product * extent, 1) }, () => random.uint32() & 255)
}
