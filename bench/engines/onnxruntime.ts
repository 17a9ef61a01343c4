import { InferenceSession, Tensor } from 'onnxruntime-node'
import { toOnnx } from '../../lib/onnx/export.js'
import type { Contender } from '../contenders.js'
import { clipsOf, graphOf, weightsOf } from '../subjects.js'
import type { Running } from './engine.js'

/**
 * ONNX Runtime on the CPU, with the model that `toOnnx` makes: norms folded, all optimizations, as many threads as asked for. Its threads spin while a run
 * lasts, which is its fastest setting, and stop at the end of it, so that they take nothing from the contender whose turn comes next.
 */
export async function load({ network, threads, batch }: Contender): Promise<Running> {
  const graph = graphOf(network)
  const session = await InferenceSession.create(toOnnx(graph, weightsOf(graph), { name: network }), {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { force_spinning_stop: '1' } },
  })
  const clips = new Tensor('uint8', clipsOf(graph, batch), [batch, ...(graph.tensors[graph.input] as readonly number[])])
  const run = async () => (await session.run({ clips }))['logits'] as Tensor
  return { output: async () => (await run()).data as Float32Array, run }
}
