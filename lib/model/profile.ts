import { median } from '../latency/statistics.js'
import type { NativePlan } from '../native.js'

/** One stage of a plan and its share of the time. */
export interface StageProfile {
  /** Name of the first op. */
  readonly name: string
  readonly ops: readonly string[]
  readonly kernel: string
  /** Median over the runs. */
  readonly ms: number
  /** Rate of the multiply-adds, in GFLOP/s; 0 for a stage without any. */
  readonly gflops: number
  /** `gflops` as a part of what the threads can do at most. */
  readonly peakFraction: number
  /** Bytes of inputs, weights and outputs. */
  readonly bytes: number
}

/**
 * Times every stage of a plan.
 *
 * @param clips one batch, u8
 * @param repetitions timed runs; a tenth more come first and are left out
 * @param peak GFLOP/s of all threads together
 */
export async function profileStages(plan: NativePlan, clips: Uint8Array, repetitions: number, peak: number): Promise<StageProfile[]> {
  await plan.profile(clips, Math.ceil(repetitions / 10))
  const runs = await plan.profile(clips, repetitions)
  return plan.stages().map(({ name, ops, kernel, macs, bytes }, stage) => {
    const ms = median(runs.map((times) => times[stage] as number))
    const gflops = ms > 0 ? (2 * macs) / (ms * 1e6) : 0
    return { name, ops, kernel, ms, gflops, peakFraction: gflops / peak, bytes }
  })
}
