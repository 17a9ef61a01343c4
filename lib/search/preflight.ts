import { setImmediate } from 'node:timers/promises'
import { type Pool, threadsPerWorker } from '../evaluate/pool.js'
import { TvnError } from '../errors.js'
import { program } from '../program.js'
import { parseLimit, samplesToProve } from '../latency/limit.js'
import { blockMilliseconds } from '../latency/verdict.js'
import { type LatencyReport, overallVerdict, reportsOf } from '../latency/measure.js'
import type { Cost } from '../network/cost.js'
import { Random } from '../random.js'
import { sample } from '../space/sample.js'
import { candidates } from '../space/smallest.js'
import { formatMilliseconds } from '../text-table.js'
import { defaultRecipe } from '../train/recipe.js'
import type { StudyOptions } from './options.js'
import { measureSeconds } from './run-trials.js'

export interface Preflight {
  /** The fastest network that was tried. */
  readonly fastest: LatencyReport
  /** Rough, from the machine's peak and random networks of the space; NaN where the training is on a GPU. */
  readonly seconds: number
}

const secondsPerCandidate = 2
const networksForEstimate = 200
/** Shares of the peak that searched networks reach: in training with all that belongs to it (loading clips, few channels), and when they run. */
const trainingEfficiency = 0.08
const inferenceEfficiency = 0.3
/** What a trial takes besides training, in seconds. */
const overhead = 1.5

/** Whether any network of the space can meet the limits here, and how long the search will take. Throws ERR_LIMIT_IMPOSSIBLE. */
export async function preflight(options: StudyOptions, classes: number, pool: Pick<Pool, 'run'>): Promise<Preflight> {
  let fastest: LatencyReport | undefined
  for (const network of candidates(options.space)) {
    const { device, limits } = options
    const measured = await pool.run('measure', { network: network.toJSON(), classes, device, limits, maxSeconds: secondsPerCandidate })
    if (!measured.ok)
      throw new TvnError('ERR_NATIVE', `measuring the smallest network of the space failed: ${measured.reason}`, {
        hint: `${program} doctor checks this machine`,
      })
    if (!fastest || measured.result.p90 < fastest.p90) fastest = measured.result
    if (overallVerdict(measured.result) === 'fails') continue
    fastest = measured.result
    break
  }
  if (!fastest) throw new Error('a space has members')
  const reports = reportsOf(fastest)
  const tooSlow = reports.find(({ verdict }) => verdict === 'fails')
  if (tooSlow) {
    const { p90, device, limits = options.limits } = tooSlow
    const takes = `takes ${formatMilliseconds(p90)} ${device === 'cpu' ? 'here' : `on ${device}`} (p90)`
    throw new TvnError('ERR_LIMIT_IMPOSSIBLE', `the fastest network of the space ${takes}, the limit asks for ${limits.join(' and ')}`, {
      hint: 'a looser --limit, or a space with smaller networks',
    })
  }
  for (const limit of options.limits) {
    const runs = samplesToProve(parseLimit(limit))
    const { p50 } = reports.find((report) => report.limits?.includes(limit)) ?? fastest
    // an uncertain verdict gets its time twice
    if (runs * Math.max(p50, blockMilliseconds) > 2 * measureSeconds * 1000)
      throw new TvnError(
        'ERR_LIMIT_IMPOSSIBLE',
        `to prove ${limit} takes ${formatMilliseconds(runs * Math.max(p50, blockMilliseconds))} for the fastest network of the space, which is measured for ${2 * measureSeconds} s at most`,
        { hint: 'a --limit with a lower percentile needs fewer runs' },
      )
  }
  if (options.device !== 'cpu') return { fastest, seconds: Number.NaN }
  const peak = await pool.run('peak', {})
  return { fastest, seconds: peak.ok ? await estimate(options, classes, peak.result) : Number.NaN }
}

/** @param gflops peak of one core */
async function estimate(options: StudyOptions, classes: number, gflops: number): Promise<number> {
  const { space, trials, iterations, finalIterations, maxParams, workers } = options
  const random = Random.seeded(0)
  const slowest = Math.min(...options.limits.map((limit) => parseLimit(limit).milliseconds))
  const costs: Cost[] = []
  while (costs.length < networksForEstimate) {
    costs.push(sample(space, random).cost({ classes }))
    await setImmediate() // a network takes milliseconds, and others want to run too
  }
  const trained = costs.filter(({ params, macs }) => params <= maxParams && (2 * macs) / (gflops * 1e6 * inferenceEfficiency) <= slowest)
  const macs = trained.reduce((sum, cost) => sum + cost.macs, 0) / Math.max(1, trained.length)
  // forward, data and weight gradient: three times the multiply-accumulates, two operations each
  const coreSecondsPerStep = (6 * macs * defaultRecipe.batch) / (gflops * 1e9 * trainingEfficiency)
  const trialSeconds = (iterations * coreSecondsPerStep) / threadsPerWorker(workers) + overhead
  const finalSeconds = (finalIterations * coreSecondsPerStep) / threadsPerWorker(1)
  return (trials * (trained.length / costs.length) * trialSeconds) / workers + finalSeconds
}
