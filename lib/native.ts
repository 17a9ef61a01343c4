import { createRequire } from 'node:module'
import { TvnError } from './errors.js'
import type { Graph } from './network/graph.js'
import { type Extent, type Function, type Int3, type OpKind, opsHash, type Pooling } from './network/ops.generated.js'
import { rebuildAddon } from './program.js'

/** Levels of `TVN_MAX_ISA`, lowest first. */
export const isas = ['reference', 'avx2', 'avx512', 'avx512_bf16'] as const
export type Isa = (typeof isas)[number]
/** What a CPU's convolutions multiply. They add in f32 either way, and all else is f32. */
export type CpuPrecision = 'f32' | 'bf16'
/** `f16` is a GPU's: tensors of half precision, sums in f32. */
export type Precision = CpuPrecision | 'f16'

export interface NativeCpu {
  readonly model: string
  readonly features: readonly string[]
  /** The level that kernels are chosen for: what the CPU has, capped by `TVN_MAX_ISA`. */
  readonly isa: Isa
}

/** A GPU, by its place among those that can be used. */
export interface NativeDevice {
  readonly kind: 'cuda'
  readonly index: number
}

export interface NativeGpu {
  readonly name: string
  /** Compute capability, e.g. `7.0`. */
  readonly capability: string
  readonly multiprocessors: number
  /** Bytes. */
  readonly memory: number
  /** The CUDA version that the driver speaks, e.g. `12.4`. */
  readonly driver: string
  /** The one that the backend was built with. */
  readonly runtime: string
  /** Version and path, or why it is not used. */
  readonly cudnn: string
}

/** Why no network can run on a GPU; `none`: it can. */
export type CudaAbsence = 'none' | 'bad-setting' | 'off' | 'not-built' | 'unloadable' | 'stale' | 'no-device'

export interface NativeCuda {
  readonly available: boolean
  readonly absence: CudaAbsence
  /** One sentence; empty where it is available. */
  readonly reason: string
  /** Kernels run on the CPU (`TVN_CUDA=emulated`): times mean nothing. */
  readonly emulated: boolean
  readonly devices: readonly NativeGpu[]
}

export interface NativePlanOptions {
  /** Clips per run. */
  readonly batch: number
  /** Of a CPU. */
  readonly threads: number
  /** On a GPU `f16`. */
  readonly precision: Precision
  /** Default: the CPU. */
  readonly device?: NativeDevice
  /** Without it every step is done in the usual way. */
  readonly tuning?: NativeTuning
}

/** By step, as the native side describes it, the name of the way in which it is computed. */
export type TuningChoices = Readonly<Record<string, string>>

/** Steps can be cut in ways that have the same bits; which is the fastest is found by trying. */
export interface NativeTuning {
  /** Steps that need not be tried again; may hold steps of other plans. */
  readonly known: TuningChoices
  /** About so long the others may be tried; 0: they are done as usual. */
  readonly seconds: number
}

/** One step of a Plan: one or more ops of the graph fused into one kernel, or a band of such kernels, which compute a few rows at a time in turns. */
export interface NativeStage {
  /** Name of the op that remains; of a band, the names of its layers: `a ⇒ b`. So are `shape` and `kernel`. */
  readonly name: string
  readonly ops: readonly string[]
  /** Kind of the op that remains; of a band, that with the most multiply-accumulates. */
  readonly kind: OpKind
  /** Inputs, output and window of one clip, for people: `2×9×9×3 → 2×5×5×8, kernel 1×3×3, stride 1×2×2`. */
  readonly shape: string
  /** E.g. `conv_forward_f32_avx512`. */
  readonly kernel: string
  /** How its work is cut, where trying found another way than the usual one, e.g. `smaller blocks`; else empty. */
  readonly cut: string
  /** Kernels that stand before it in the dispatch list and why they were refused, e.g. `conv_forward_f32_winograd_avx512: does not pay`. */
  readonly refused: readonly string[]
  /** Multiply-accumulates of one run (whole batch). */
  readonly macs: number
  /** Bytes of inputs, weights and outputs that one run touches. */
  readonly bytes: number
}

export interface NativeMeasureOptions {
  /** How many runs to time. */
  readonly runs: number
  /** Clip variants to cycle through: u8, a whole number of batches. */
  readonly clips: Uint8Array
  /** Evict the caches before each run; on a GPU ERR_ARGUMENT. */
  readonly cold: boolean
  /** Pin the measuring threads to this core and the next ones that the process may use, after the last from the first; −1 leaves them free. */
  readonly core: number
}

/** Milliseconds of each run. */
export interface NativeRunTimes {
  /** From the clips in memory to the logits. */
  readonly ms: Float64Array
  /** On a GPU: of the kernels alone, by its clock. */
  readonly deviceMs?: Float64Array
}

/**
 * A Graph compiled for inference. One call at a time; a second one throws ERR_BUSY, one after dispose ERR_DISPOSED. On a GPU that fails in the
 * middle of work, calls reject with ERR_DEVICE_LOST.
 */
export interface NativePlan {
  /** u8 [batch, T, H, W, 3] → logits [batch, classes]. */
  run(clips: Uint8Array): Promise<Float32Array>
  /** The same on the calling thread, which waits. */
  runHere(clips: Uint8Array): Float32Array
  measure(options: NativeMeasureOptions): Promise<NativeRunTimes>
  /** Milliseconds of each stage, one Float64Array a run; on a GPU by its clock. */
  profile(clips: Uint8Array, runs: number): Promise<Float64Array[]>
  stages(): NativeStage[]
  /** What was known or found about its steps. */
  choices(): TuningChoices
  /**
   * Bytes: packed weights and the arena, which is all that a plan holds; of the arena, the largest two activations that are needed
   * at the same time and the largest scratch of a stage.
   */
  memory(): { weights: number; arena: number; activations: number; scratch: number }
  dispose(): void
}

export interface NativeTrainerOptions {
  /** Of a CPU. */
  readonly threads: number
  /** Default: the CPU. */
  readonly device?: NativeDevice
  readonly task: 'single-label' | 'multi-label'
  readonly labelSmoothing: number
  /** Replaces the rate of the graph's dropout ops. */
  readonly dropout: number
  readonly momentum: number
  readonly nesterov: boolean
  readonly weightDecay: number
  /** Seeds dropout. */
  readonly seed: number
}

export interface NativeStep {
  /** Before the update. */
  readonly loss: number
  readonly logits: Float32Array
  /** On a GPU: a gradient was not finite in half precision, so nothing was changed but the loss scale, which is halved. */
  readonly skipped: boolean
  /** What the loss was multiplied by in this step; 1 on a CPU. */
  readonly lossScale: number
}

/** A Graph compiled for training. One call at a time; a second one throws ERR_BUSY, one after dispose ERR_DISPOSED. */
export interface NativeTrainer {
  /**
   * One step: forward, loss, backward, update. Labels: Int32Array [batch] or, multi-label, [batch × classes].
   * The batch may differ from step to step.
   */
  step(clips: Uint8Array, batch: number, labels: Int32Array, learningRate: number): Promise<NativeStep>
  /** Gradients of the last step's loss, without weight decay. */
  gradients(): Promise<Record<string, Float32Array>>
  /** Weights and running statistics now. */
  weights(): Promise<Record<string, Float32Array>>
  dispose(): void
}

export interface NativeClip {
  /** A file of raw RGB frames: frame i starts at `offset` + i · width · height · 3. */
  readonly path: string
  readonly offset: number
  readonly width: number
  readonly height: number
  /** Which frames, in order; as many for every clip. */
  readonly frames: readonly number[]
  /** The square that is cut out and resized. */
  readonly left: number
  readonly top: number
  readonly side: number
  readonly flip: boolean
  /** Applied to the resized bytes; 1 and 0 leave them as they are. */
  readonly gain: number
  readonly bias: number
}

export interface NativeConvBenchmark {
  /** [N, T, H, W, C] */
  readonly x: readonly number[]
  readonly outputChannels: number
  readonly kernel: readonly [number, number, number]
  readonly stride: readonly [number, number, number]
  readonly depthwise: boolean
  readonly pass: 'forward' | 'data-gradient' | 'weight-gradient'
  readonly threads: number
  readonly runs: number
  /** Of a dense forward pass; all else is f32. */
  readonly precision: CpuPrecision
}

/** One op on tensors of the caller. Shapes are [N, T, H, W, C] with their batch. */
export interface NativeLayerOptions {
  readonly op: 'conv' | 'depthwise' | 'pool' | 'activation' | 'mean' | 'gate' | 'attention'
  readonly x: readonly (readonly number[])[]
  readonly y: readonly number[]
  readonly kernel?: Int3
  readonly stride?: Int3
  /** Elements in front of x; how many are behind follows from y. */
  readonly pad?: Int3
  readonly function?: Function
  readonly pooling?: Pooling
  readonly extent?: Extent
  readonly bias: boolean
  /** Whether it has a backward pass. */
  readonly training: boolean
  readonly threads: number
}

type Arrays = readonly (Float32Array | null)[]

/** Its calls run on the calling thread, which waits, and allocate nothing that can be used again. Sizes that do not fit throw ERR_ARGUMENT. */
export interface NativeLayer {
  /** Name of the forward kernel. */
  readonly kernel: string
  /** Of packed weights, which it keeps. */
  readonly bytes: number
  /** Parameters are [weight, bias] of conv and depthwise, [] of others. Weights are packed where they are others than in the last call. */
  forward(x: Arrays, parameters: Arrays, y: Float32Array): void
  /** Overwrites what is not null of dx and parameterGradients. x and y may be null where the gradients that are asked for do not need them. */
  backward(x: Arrays, y: Float32Array | null, dy: Float32Array, parameters: Arrays, dx: Arrays, parameterGradients: Arrays): void
  /** Frees what it keeps at once; later calls throw ERR_DISPOSED. */
  dispose(): void
}

export type NativeUnary = 'neg' | 'abs' | 'square' | 'sqrt' | 'rsqrt' | 'reciprocal' | 'exp' | 'sigmoid' | 'relu' | 'relu6' | 'step'
export type NativeComparison = 'greater' | 'greater_equal' | 'less' | 'less_equal' | 'equal' | 'not_equal'
export type NativeBinary = 'add' | 'sub' | 'mul' | 'div' | 'squared_difference'

/** A precision that the allowed instruction set lacks rejects with ERR_PRECISION. */
export interface NativeAddon {
  readonly opsHash: string
  cpu(): NativeCpu
  /** The GPUs that networks can run on, or why there are none; never rejects. The first call loads the backend, which may take a second. */
  cudaDevices(): Promise<NativeCuda>
  /** On a GPU that cannot be used both reject with ERR_DEVICE. */
  createPlan(graph: Graph, parameters: Record<string, Float32Array>, options: NativePlanOptions): Promise<NativePlan>
  createTrainer(graph: Graph, parameters: Record<string, Float32Array>, options: NativeTrainerOptions): Promise<NativeTrainer>
  /** Reads, crops and resizes clips into `out` (u8 [clips, frames, size, size, 3]). Rejects with ERR_FILE when a file is short. */
  loadClips(clips: readonly NativeClip[], size: number, threads: number, out: Uint8Array): Promise<void>
  /** Throws ERR_ARGUMENT where the shapes do not fit each other, a window holds no element of x, or one more would fit. */
  createLayer(options: NativeLayerOptions): NativeLayer
  /** An array that holds anything until it is written; its memory may have been that of one which was collected. */
  allocate(floats: number): Float32Array
  /** The following run on the calling thread, as layers do. */
  unary(name: NativeUnary, x: Float32Array, y: Float32Array, threads: number): void
  /** The extents of a and b, as many of both, say how they are broadcast. */
  binary(
    name: NativeBinary,
    a: Float32Array,
    extentsOfA: readonly number[],
    b: Float32Array,
    extentsOfB: readonly number[],
    y: Float32Array,
    threads: number,
  ): void
  /** y = 1 where it holds, else 0; an operand of one element is compared with all. */
  compare(name: NativeComparison, a: Float32Array, b: Float32Array, y: Uint8Array, threads: number): void
  select(condition: Uint8Array, a: Float32Array, b: Float32Array, y: Float32Array, threads: number): void
  clip(x: Float32Array, low: number, high: number, y: Float32Array, threads: number): void
  /** y [outer, inner] = scale · Σ over the middle of x [outer, count, inner] */
  sum(x: Float32Array, extents: readonly [outer: number, count: number, inner: number], scale: number, y: Float32Array, threads: number): void
  /** Mean and biased variance [C] of x [rows, C] */
  batchNormStatistics(x: Float32Array, mean: Float32Array, variance: Float32Array, threads: number): void
  /** y = f(x · scale + shift), both [C] */
  batchNormApply(x: Float32Array, scale: Float32Array, shift: Float32Array, f: Function, y: Float32Array, threads: number): void
  /** Gradients of f(gamma · (x − mean) / sqrt(variance + epsilon) + beta) with the statistics of this x */
  batchNormBackward(
    x: Float32Array,
    dy: Float32Array,
    mean: Float32Array,
    variance: Float32Array,
    gamma: Float32Array,
    beta: Float32Array,
    epsilon: number,
    f: Function,
    dgamma: Float32Array,
    dbeta: Float32Array,
    dx: Float32Array,
    threads: number,
  ): void
  /** FMA peak of one core in GFLOP/s, register-resident, at the allowed instruction set; takes about `milliseconds`. Default f32. */
  measurePeak(milliseconds: number, precision?: CpuPrecision): Promise<number>
  /** Milliseconds of each run of one layer, and the kernel that ran. */
  benchmarkConv(options: NativeConvBenchmark): Promise<{ kernel: string; ms: Float64Array }>
}

let addon: NativeAddon | undefined

/** The addon, loaded at the first call. Throws ERR_NATIVE when it is missing or was built from another op table. */
export function native(): NativeAddon {
  addon ??= load()
  return addon
}

function load(): NativeAddon {
  const require = createRequire(import.meta.url)
  let loaded: NativeAddon
  try {
    loaded = require('../build/Release/tvn.node') as NativeAddon
  } catch (cause) {
    throw new TvnError('ERR_NATIVE', `the native addon cannot be loaded: ${(cause as Error).message.split('\n')[0]}`, { hint: rebuildAddon, cause })
  }
  if (loaded.opsHash !== opsHash)
    throw new TvnError('ERR_NATIVE', `the native addon was built from another op table (${loaded.opsHash}, this code needs ${opsHash})`, {
      hint: rebuildAddon,
    })
  return loaded
}
