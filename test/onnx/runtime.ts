import { InferenceSession, Tensor } from 'onnxruntime-node'
import { Random } from '../../lib/random.js'
import { native } from '../../lib/native.js'
import type { Graph } from '../../lib/network/graph.js'
import { type ToOnnxOptions, toOnnx } from '../../lib/onnx/export.js'

/** The logits that ONNX Runtime computes: of u8 [N, T, H, W, 3], f32 [N × classes]. */
export async function runOnnx(bytes: Uint8Array, clips: Uint8Array, shape: readonly number[]): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const { logits } = await session.run({ clips: new Tensor('uint8', clips, shape) })
    if (logits?.dims[0] !== shape[0]) throw new RangeError(`logits are [${logits?.dims.join(', ')}]`)
    return logits?.data as Float32Array
  } finally {
    await session.release()
  }
}

/** The largest difference, relative to the largest expected magnitude. */
export function difference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length || want.length === 0) return Number.POSITIVE_INFINITY
  let [most, scale] = [0, 0]
  for (let i = 0; i < want.length; i++) {
    const distance = Math.abs((got[i] as number) - (want[i] as number))
    most = Math.max(most, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance)
    scale = Math.max(scale, Math.abs(want[i] as number))
  }
  return most / scale
}

/** Weights with which every parameter counts and activations neither vanish nor explode: uniform, cheaper than normal ones. */
export function someWeights(graph: Graph, random: Random): Map<string, Float32Array> {
  const weights = new Map<string, Float32Array>()
  for (const [name, shape] of Object.entries(graph.parameters)) {
    const elements = shape.reduce((product, extent) => product * extent, 1)
    const isScale = /\.(gamma|variance)$/.test(name)
    const spread = name.endsWith('weight') ? Math.sqrt(6 / (elements / (shape.at(-1) as number))) : 0.1
    const data = new Float32Array(elements)
    let state = random.uint32()
    for (let i = 0; i < elements; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      data[i] = (isScale ? 1 : 0) + spread * (state / 2 ** 31 - 1)
    }
    weights.set(name, data)
  }
  return weights
}

/** How far ONNX Runtime is from our engine, for weights and clips of that seed. */
export async function compare(
  graph: Graph,
  { seed, clips: count, ...options }: Omit<ToOnnxOptions, 'name'> & { seed: number; clips: number },
): Promise<number> {
  const random = Random.seeded(seed)
  const weights = someWeights(graph, random)
  const shape = [count, ...(graph.tensors[graph.input] as readonly number[])]
  const clips = Uint8Array.from({ length: shape.reduce((product, extent) => product * extent, 1) }, () => random.uint32() & 255)
  const plan = await native().createPlan(graph, Object.fromEntries(weights), { batch: count, threads: 1, precision: 'f32' })
  try {
    return difference(await runOnnx(toOnnx(graph, weights, { name: 'test', ...options }), clips, shape), await plan.run(clips))
  } finally {
    plan.dispose()
  }
}
