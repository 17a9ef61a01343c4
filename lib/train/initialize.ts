import { setImmediate } from 'node:timers/promises'
import { volume } from '../network/cost.js'
import type { Graph } from '../network/graph.js'
import type { Random } from '../random.js'

/**
 * Fresh weights of a graph: He-normal by fan-in for convolutions (He et al. 2015), N(0, 0.01) for the head, biases 0, batch norms
 * the identity; the norm that closes a non-local layer starts with gamma 0, so that the layer does (Wang et al. 2018, section 4.1).
 * Every tensor has its own stream of `random`, named by the tensor. The event loop gets its turn every few milliseconds.
 */
export async function initialize(graph: Graph, random: Random): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>()
  for (const [name, shape] of Object.entries(graph.parameters)) weights.set(name, new Float32Array(volume(shape)))
  for (const op of graph.ops) {
    switch (op.op) {
      case 'conv':
      case 'depthwise': {
        const shape = graph.parameters[op.parameters.weight] as readonly number[]
        // [KT, KH, KW, C, OC] sums KT·KH·KW·C values into one; a depthwise filter [KH, KW, C] sums KH·KW.
        const fanIn = volume(shape.slice(0, -1))
        await fillNormal(weights.get(op.parameters.weight) as Float32Array, Math.sqrt(2 / fanIn), random.fork(op.parameters.weight))
        break
      }
      case 'dense':
        await fillNormal(weights.get(op.parameters.weight) as Float32Array, headDeviation, random.fork(op.parameters.weight))
        break
      case 'batch_norm':
        weights.get(op.parameters.gamma)?.fill(op.name.endsWith('.nonLocal.out.norm') ? 0 : 1)
        weights.get(op.parameters.variance)?.fill(1)
        break
      case 'normalize':
      case 'pool':
      case 'activation':
      case 'add':
      case 'mean':
      case 'gate':
      case 'attention':
      case 'dropout':
      case 'temporal_softmax':
        break
      default:
        op satisfies never
    }
  }
  return weights
}

const headDeviation = 0.01
const valuesPerTurn = 2 ** 16

async function fillNormal(values: Float32Array, deviation: number, random: Random): Promise<void> {
  for (let i = 0; i < values.length; i++) {
    if (i > 0 && i % valuesPerTurn === 0) await setImmediate()
    values[i] = deviation * random.normal()
  }
}
