import { median } from '../latency/statistics.js'
import type { NativePlan, NativeStage } from '../native.js'
import type { OpKind } from '../network/ops.generated.js'

/** One stage of a plan and its share of the time. */
export interface StageProfile {
  /** Name of the op that the others were fused into; of a band, the names of its layers: `a ⇒ b`. */
  readonly name: string
  readonly ops: readonly string[]
  readonly kind: OpKind
  readonly kernel: string
  /** How its work is cut, where a search found another way than the usual one; else empty. */
  readonly cut: string
  /** Median over the runs. */
  readonly ms: number
  /** Rate of the multiply-adds, in GFLOP/s; 0 for a stage without any. */
  readonly gflops: number
  /** `gflops` as a part of what the threads can do at most; null on a GPU, whose peak is not measured. */
  readonly peakFraction: number | null
  /** Bytes of inputs, weights and outputs. */
  readonly bytes: number
}

/**
 * Times every stage of a plan.
 *
 * @param clips one batch, u8
 * @param repetitions timed runs; a tenth more come first and are left out
 * @param peak GFLOP/s of all threads together, where it is known
 */
export async function profileStages(plan: NativePlan, clips: Uint8Array, repetitions: number, peak: number | undefined): Promise<StageProfile[]> {
  await plan.profile(clips, Math.ceil(repetitions / 10))
  const runs = await plan.profile(clips, repetitions)
  return plan.stages().map(({ name, ops, kind, kernel, cut, macs, bytes }, stage) => {
    const ms = median(runs.map((times) => times[stage] as number))
    const gflops = ms > 0 ? (2 * macs) / (ms * 1e6) : 0
    return { name, ops, kind, kernel, cut, ms, gflops, peakFraction: peak === undefined ? null : gflops / peak, bytes }
  })
}

/** Kinds that are matrix products: what they take is arithmetic, all else is overhead. */
const products: readonly OpKind[] = ['conv', 'dense', 'attention']

/** Milliseconds of the stages that are not matrix products, and their part of the whole. */
export function nonGemm(stages: readonly StageProfile[]): { readonly ms: number; readonly fraction: number } {
  const sum = (some: readonly StageProfile[]) => some.reduce((total, { ms }) => total + ms, 0)
  const ms = sum(stages.filter(({ kind }) => !products.includes(kind)))
  return { ms, fraction: ms / sum(stages) }
}

/**
 * The ops that were fused into a stage, without what their names share with its own: `expand` + `norm, gate, sum`. A stage of several layers, `a ⇒ b`,
 * has those of all, each with its layer.
 */
export function fusedOps({ name, ops }: Pick<NativeStage, 'name' | 'ops'>): string {
  const layers = name.split(' ⇒ ')
  const places = layers.map((layer) => layer.slice(0, layer.lastIndexOf('.') + 1))
  const [only] = layers.length === 1 ? layers : []
  const shorten = (op: string) => {
    if (only !== undefined && op.startsWith(`${only}.`)) return op.slice(only.length + 1)
    return op.slice(places.find((place) => op.startsWith(place))?.length ?? 0)
  }
  return ops
    .filter((op) => !layers.includes(op))
    .map(shorten)
    .join(', ')
}

/** The layers of a stage, several of a band, each with the ops that were fused into it: those that come behind it in the graph. */
export function layersOf({ name, ops, kernel }: Pick<NativeStage, 'name' | 'ops' | 'kernel'>): { name: string; fused: string; kernel: string }[] {
  const names = name.split(' ⇒ ')
  const kernels = kernel.split(' ⇒ ')
  const groups = names.map((): string[] => [])
  let at = 0
  for (const op of ops) {
    at = Math.max(at, names.indexOf(op))
    groups[at]?.push(op)
  }
  return names.map((layer, i) => ({ name: layer, fused: fusedOps({ name: layer, ops: groups[i] ?? [] }), kernel: kernels[i] ?? '' }))
}

/** What TVN_VERBOSE=dispatch tells of a stage. */
export function explainStage(stage: NativeStage): string {
  const { name, kind, shape, kernel, cut, refused } = stage
  const fused = fusedOps(stage)
  return [
    `${name}: ${kind} ${shape}`,
    kernel,
    ...(cut ? [cut] : []),
    ...(fused ? [`with ${fused}`] : []),
    ...(refused.length > 0 ? [`refused ${refused.join(', ')}`] : []),
  ].join('; ')
}
