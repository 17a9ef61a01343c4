import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import type { Contender } from '../contenders.js'
import { clipsOf, graphOf, weightsOf } from '../subjects.js'
import type { Running } from './engine.js'
import { tfjsGraph } from './tfjs-graph.js'

/** TensorFlow.js on its WebAssembly backend with SIMD. One thread: the backend has no others in Node (tensorflow/tfjs#3830). */
export async function load({ network, batch }: Contender): Promise<Running> {
  tf.enableProdMode()
  await tf.setBackend('wasm')
  if (!(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'))) throw new Error('the WebAssembly backend has no SIMD here')
  const graph = graphOf(network)
  const infer = tfjsGraph(graph, weightsOf(graph))
  const clips = clipsOf(graph, batch)
  const shape = [batch, ...(graph.tensors[graph.input] as readonly number[])]
  const run = async () => tf.tidy(() => infer(tf.tensor(clips, shape, 'int32')).dataSync())
  return { output: run, run }
}
