import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '../abort.js'
import { type Device, nativeDevice, requireDevice } from '../device.js'
import { TvnError } from '../errors.js'
import { type LatencyReport, type MeasureOptions, measureLatency } from '../latency/measure.js'
import { type NativePlan, native, type Precision } from '../native.js'
import { callNative } from '../native-error.js'
import { volume } from '../network/cost.js'
import type { Graph } from '../network/graph.js'
import { isVerbose, log } from '../verbose.js'
import { explainStage } from './profile.js'
import { createTunedPlan } from './tuning.js'

export interface InferenceOptions {
  /** Default: the CPU. */
  readonly device?: Device
  /** Of the CPU. */
  readonly threads: number
  readonly precision: Precision
  /** Whether a plan for single clips may be searched for ways to cut its steps; default false: what is known of this machine is used. */
  readonly search?: boolean
}

const largestBatch = 8
/** Elements of one activation that a batch may have: 256 MiB of f32. */
const batchElements = 2 ** 26
/** Milliseconds that a run may take to be short, with the way to a thread and back if it went there. */
const shortRun = 1
const cachedPlans = 3
const cachedBytes = 2 ** 30

/**
 * Runs a graph on any number of clips. A native plan has a fixed batch and runs one call at a time: this keeps the plans of the
 * batches that were used last and queues the calls.
 */
export class Inference {
  readonly #graph: Graph
  readonly #weights: ReadonlyMap<string, Float32Array>
  readonly #options: InferenceOptions
  readonly #batch: number
  /** By batch, the one used last at the end. */
  readonly #plans = new Map<number, NativePlan>()
  /** Milliseconds. */
  readonly #lastRun = new WeakMap<NativePlan, number>()
  #queue: Promise<unknown> = Promise.resolve()
  #disposed = false

  constructor(graph: Graph, weights: ReadonlyMap<string, Float32Array>, options: InferenceOptions) {
    this.#graph = graph
    this.#weights = weights
    this.#options = options
    const largest = Math.max(...Object.values(graph.tensors).map(volume))
    this.#batch = Math.max(1, Math.min(largestBatch, Math.floor(batchElements / largest)))
  }

  /** u8 [count, T, H, W, 3] → logits [count × classes]. The clips must stay as they are until the promise settles. */
  logits(clips: Uint8Array, count: number, signal?: AbortSignal): Promise<Float32Array> {
    return this.#enqueue(() => this.#compute(clips, count, signal))
  }

  /** Compiles what `logits` needs for so many clips, so that the call itself only computes. */
  prepare(count: number): Promise<void> {
    return this.#enqueue(async () => {
      if (count >= this.#batch) await this.#plan(this.#batch)
      if (count % this.#batch > 0) await this.#plan(count % this.#batch)
    })
  }

  /** Calls `use` with the plan for one clip at a time while no other call runs. */
  withPlan<T>(use: (plan: NativePlan) => Promise<T>): Promise<T> {
    return this.#enqueue(async () => use(await this.#plan(1)))
  }

  /** Measures calls of one clip while no other call runs; see measureLatency. */
  async measure(shape: readonly number[], options: MeasureOptions = {}): Promise<LatencyReport> {
    const gpu = await requireDevice(this.#options.device ?? 'cpu')
    return this.withPlan((plan) =>
      measureLatency({ gpu, call: (clip) => callNative(() => this.#compute(clip, 1)), measure: (how) => plan.measure(how) }, shape, options),
    )
  }

  /** Frees the plans when the running call has ended; calls that wait, and later ones, reject with ERR_DISPOSED. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    void this.#release()
  }

  async #release(): Promise<void> {
    await this.#queue
    for (const plan of this.#plans.values()) plan.dispose()
    this.#plans.clear()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #enqueue<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#disposed) throw new TvnError('ERR_DISPOSED', 'the model was disposed of')
      return callNative(call)
    })
    this.#queue = result.catch(() => {})
    return result
  }

  async #compute(clips: Uint8Array, count: number, signal?: AbortSignal): Promise<Float32Array> {
    const clipBytes = clips.length / count
    const parts: Float32Array[] = []
    for (let from = 0; from < count; from += this.#batch) {
      throwIfAborted(signal)
      const to = Math.min(from + this.#batch, count)
      const plan = await this.#plan(to - from)
      parts.push(await this.#run(plan, clips.subarray(from * clipBytes, to * clipBytes)))
    }
    return concatenate(parts)
  }

  /**
   * Runs of less than a millisecond are done on this thread, each in a turn of the event loop of its own: the way to another thread and
   * back would take half as long again, or as long, and depends on where the system puts that thread.
   */
  async #run(plan: NativePlan, clips: Uint8Array): Promise<Float32Array> {
    const here = (this.#lastRun.get(plan) ?? Number.POSITIVE_INFINITY) < shortRun
    if (here) await setImmediate()
    const begun = performance.now()
    const logits = here ? plan.runHere(clips) : await plan.run(clips)
    this.#lastRun.set(plan, performance.now() - begun)
    return logits
  }

  async #plan(batch: number): Promise<NativePlan> {
    const known = this.#plans.get(batch)
    const plan = known ?? (await this.#compile(batch))
    this.#plans.delete(batch)
    this.#plans.set(batch, plan)
    for (const [oldest, unused] of this.#plans) {
      if (this.#plans.size <= cachedPlans && (this.#plans.size === 1 || this.#bytes() <= cachedBytes)) break
      unused.dispose()
      this.#plans.delete(oldest)
    }
    return plan
  }

  async #compile(batch: number): Promise<NativePlan> {
    const { device = 'cpu', threads, precision, search = false } = this.#options
    const how = { batch, threads, precision, ...nativeDevice(device), search: search && batch === 1 }
    const plan = await createTunedPlan(this.#graph, this.#weights, how)
    if (isVerbose('dispatch')) {
      const where = device === 'cpu' ? `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${precision}, ${native().cpu().isa}` : `${device}, ${precision}`
      log('dispatch', `plan of batch ${batch}, ${where}`)
      for (const stage of plan.stages()) log('dispatch', explainStage(stage))
    }
    return plan
  }

  #bytes(): number {
    let bytes = 0
    for (const plan of this.#plans.values()) {
      const { weights, arena } = plan.memory()
      bytes += weights + arena
    }
    return bytes
  }
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return parts[0] as Float32Array
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
