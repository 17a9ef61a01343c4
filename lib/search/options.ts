import { checkDevice, type Device } from '../device.js'
import { checkCount, checkNumber, checkOneOf, checkText, wrong } from '../check.js'
import { formatLimit, parseLimit } from '../latency/limit.js'
import { parseSpace, readSpace, type Space, spaceFormat, withFrames } from '../space/space.js'
import { type SamplerName, samplers } from './samplers/sampler.js'

/** Defaults of a search; those of the demo, which takes some minutes on two cores. */
export const defaults = {
  data: 'demo',
  space: 'small',
  sampler: 'evolution',
  trials: 40,
  seed: 1,
  workers: 2,
  limits: ['p90<0.5ms@99%'],
  maxParams: 100_000,
  /** Training steps of a trial; at 16 clips a step about 11,000 samples. */
  iterations: 700,
  /** The winner's further steps, as a multiple of a trial's. */
  finalFactor: 2.5,
  population: (trials: number): number => Math.min(200, Math.max(6, Math.floor(trials / 4))),
  tournament: (population: number): number => Math.max(2, Math.round(Math.sqrt(2 * population))),
} as const

/** How to search; everything has a default. */
export interface SearchSettings {
  /** Folder of videos, manifest, or `demo`. Default `demo`. */
  data?: string
  /** `small`, `full`, a space file, or a space. Default `small`. */
  space?: string | Space
  /** Default `evolution`. */
  sampler?: SamplerName
  /** Proposals, rejected ones included. Default 40. */
  trials?: number
  /** Seconds after which nothing more is proposed; time that a stopped search did not run does not count. */
  time?: number
  /** Evolution: random networks to begin with, and how many of the best may become parents. Default min(200, max(6, trials / 4)). */
  population?: number
  /** Evolution: how many of the population compete to become the parent. Default √(2 · population): 4 of 8, 20 of 200. */
  tournament?: number
  /** Default 1. Same seed, same options, same results: same proposals. */
  seed?: number
  /** Trials at the same time, default 2: small networks train faster side by side than each on several cores. The cores are divided among them. */
  workers?: number
  /** Where networks are trained and evaluated, and where limits hold that name no device. Default `cpu`; `cuda` is the first GPU, `cuda:1` the second. */
  device?: Device
  /**
   * All of them hold for every network that is trained, each on the device that it names (`p90<1ms@cuda`). Default `p90<0.5ms@99%`; an empty list: no
   * limit.
   */
  limits?: readonly string[]
  /** Default 100,000. */
  maxParams?: number
  /** Every network takes so many frames. Default: the space decides. */
  frames?: number
  /** Training steps of a trial, default 700. */
  iterations?: number
  /** Further training steps of the winner, default 2.5 × iterations. */
  finalIterations?: number
}

export const settingKeys: Readonly<Record<keyof SearchSettings, true>> = {
  data: true,
  space: true,
  sampler: true,
  trials: true,
  time: true,
  population: true,
  tournament: true,
  seed: true,
  workers: true,
  device: true,
  limits: true,
  maxParams: true,
  frames: true,
  iterations: true,
  finalIterations: true,
}

/** Settings checked and complete, as the journal keeps them. */
export interface StudyOptions {
  readonly data: string
  readonly space: Space
  readonly sampler: SamplerName
  readonly trials: number
  readonly time: number | null
  readonly population: number
  readonly tournament: number
  readonly seed: number
  readonly workers: number
  readonly device: Device
  readonly limits: readonly string[]
  readonly maxParams: number
  readonly iterations: number
  readonly finalIterations: number
}

const most = Number.MAX_SAFE_INTEGER

/** Checks settings and fills in the defaults. Throws ERR_ARGUMENT or ERR_LIMIT_INVALID. */
export async function studyOptions(settings: SearchSettings): Promise<StudyOptions> {
  const trials = checkCount('trials', settings.trials ?? defaults.trials, 1, 1_000_000)
  const population = checkCount('population', settings.population ?? defaults.population(trials), 1, 1_000_000)
  const iterations = checkCount('iterations', settings.iterations ?? defaults.iterations, 1, most)
  const limits = settings.limits ?? defaults.limits
  const device = checkDevice('device', settings.device ?? 'cpu')
  if (!Array.isArray(limits)) throw wrong('limits', "an array like ['p90<5ms@99%']", limits)
  return {
    data: checkText('data', settings.data ?? defaults.data),
    space: await resolveSpace(settings.space ?? defaults.space, settings.frames),
    sampler: checkOneOf('sampler', settings.sampler ?? defaults.sampler, samplers),
    trials,
    time: settings.time === undefined ? null : checkNumber('time', settings.time, Number.MIN_VALUE, most),
    population,
    tournament: checkCount('tournament', settings.tournament ?? defaults.tournament(population), 1, 1_000_000),
    seed: checkCount('seed', settings.seed ?? defaults.seed, 0, most),
    workers: checkCount('workers', settings.workers ?? defaults.workers, 1, 256),
    device,
    limits: limits.map((text: string) => formatLimit(parseLimit(text, device))),
    maxParams: checkCount('maxParams', settings.maxParams ?? defaults.maxParams, 1, most),
    iterations,
    finalIterations: checkCount('finalIterations', settings.finalIterations ?? Math.round(defaults.finalFactor * iterations), 0, most),
  }
}

async function resolveSpace(given: string | Space, frames: number | undefined): Promise<Space> {
  const space = typeof given === 'string' ? await readSpace(given) : parseSpace({ format: spaceFormat, ...given })
  return frames === undefined ? space : withFrames(space, frames)
}
