import type { Graph } from '../network/graph.js'

/**
 * `fresh` weights of a graph, replaced by those of another network wherever name and shape agree.
 *
 * @returns the weights, and how many tensors were taken over
 */
export function inheritWeights(
  graph: Graph,
  fresh: ReadonlyMap<string, Float32Array>,
  from: { readonly graph: Graph; readonly weights: ReadonlyMap<string, Float32Array> },
): { weights: Map<string, Float32Array>; inherited: number } {
  const weights = new Map(fresh)
  let inherited = 0
  for (const [name, shape] of Object.entries(graph.parameters)) {
    const theirs = from.weights.get(name)
    if (theirs === undefined || from.graph.parameters[name]?.join() !== shape.join()) continue
    weights.set(name, theirs)
    inherited++
  }
  return { weights, inherited }
}
