import { TvnError } from '../../errors.js'
import { volume } from '../../network/cost.js'
import type { Graph } from '../../network/graph.js'

/** By tensor name, as `model.weights` and `trainer.weights()` give them. */
export type Weights = ReadonlyMap<string, Float32Array>

/** Throws ERR_MODEL_TENSOR where a parameter of the graph is missing or has another size. */
export function checkWeights(graph: Graph, weights: Weights): void {
  for (const [name, shape] of Object.entries(graph.parameters)) {
    const values: unknown = weights.get(name)
    if (!(values instanceof Float32Array) || values.length !== volume(shape))
      throw new TvnError(
        'ERR_MODEL_TENSOR',
        `${name}: expected ${volume(shape)} numbers in a Float32Array, got ${values instanceof Float32Array ? values.length : typeof values}`,
      )
  }
}
