import { costOf, volume } from '../lib/network/cost.js'
import type { Graph } from '../lib/network/graph.js'
import { Network } from '../lib/network/network.js'
import type { Op } from '../lib/network/ops.generated.js'
import { resnet18, resnet18Factorised } from './resnet.js'
import { smallNetworks } from './small-networks.js'
import { randomBytes, randomValues } from './statistics.js'

/** Networks whose inference is timed, one clip at a time: the released ones, and two that everybody knows. */
export const inferenceNetworks: readonly string[] = [...Network.presets, 'resnet-18', 'resnet-18-2plus1d']

/** Networks whose training step is timed. */
export const trainingNetworks: readonly string[] = smallNetworks.map(({ name }) => name)

export type Weights = ReadonlyMap<string, Float32Array>

/** The Graph of a network by its name. */
export function graphOf(name: string): Graph {
  if (name === 'resnet-18') return resnet18()
  if (name === 'resnet-18-2plus1d') return resnet18Factorised()
  const network = smallNetworks.find((small) => small.name === name) ?? Network.preset(name)
  return network.graph({ classes: Network.presetClasses(name) ?? 10 })
}

/** Multiply-accumulates of one clip. */
export function macsOf(name: string): number {
  return costOf(graphOf(name)).macs
}

/** Clips for a graph, the same every time. */
export function clipsOf(graph: Graph, batch: number): Uint8Array {
  return randomBytes(batch * volume(graph.tensors[graph.input] as readonly number[]))
}

/**
 * Weights for comparing engines, the same in every process: He-uniform by fan-in, biases away from 0, and running statistics that scatter around what a norm is
 * expected to find, so that the signal neither fades nor drowns: a layer, bias, norm or gate that an engine gets wrong shows in the logits. 100 M weights
 * take about a second.
 */
export function weightsOf(graph: Graph): Weights {
  const ranges = rangesOf(graph)
  const weights = new Map<string, Float32Array>()
  for (const [i, [name, shape]] of Object.entries(graph.parameters).entries()) {
    const [low, high] = ranges.get(name) ?? [-0.5, 0.5]
    weights.set(name, randomValues(volume(shape), i + 1, low, high))
  }
  return weights
}

type Range = readonly [low: number, high: number]

/** Between which bounds the values of a parameter lie; biases and beta are in none. */
function rangesOf(graph: Graph): ReadonlyMap<string, Range> {
  const ranges = new Map<string, Range>()
  /** Mean squares of the tensors, as they are expected. */
  const squares = new Map<string, number>()
  for (const op of graph.ops) {
    const square = squares.get(op.inputs[0]) ?? 1
    if (op.op === 'conv' || op.op === 'depthwise' || op.op === 'dense') {
      // [KT, KH, KW, C, OC] and [C, K] sum all but the last extent into one value; a depthwise filter [KH, KW, C] sums KH·KW: the same rule
      const bound = Math.sqrt(6 / volume((graph.parameters[op.parameters.weight] as readonly number[]).slice(0, -1)))
      // of the convolutions those of gates have a bias: their sigmoids are kept where they are not flat
      const gain = op.op === 'conv' && op.parameters.bias !== undefined ? 0.3 : 1
      ranges.set(op.parameters.weight, [-gain * bound, gain * bound])
    }
    if (op.op === 'batch_norm') {
      const deviation = Math.sqrt(square)
      ranges.set(op.parameters.gamma, [0.7, 1.2])
      ranges.set(op.parameters.mean, [-0.3 * deviation, 0.3 * deviation])
      ranges.set(op.parameters.variance, [0.5 * square, 1.5 * square])
    }
    squares.set(op.output, op.op === 'add' ? square + (squares.get(op.inputs[1]) ?? 0) : squareBehind(op, square))
  }
  return ranges
}

/** The mean square of an op's output, roughly, for signals like the normal distribution. */
function squareBehind(op: Exclude<Op, { op: 'add' }>, square: number): number {
  switch (op.op) {
    case 'normalize':
      return 1 / 3
    case 'conv':
    case 'depthwise':
    case 'dense':
      return 2 * square
    case 'batch_norm':
      return 1
    case 'activation':
      return { none: 1, relu: 1 / 2, hswish: 1 / 3, sigmoid: 1 / 4 }[op.function] * square
    case 'pool':
      return (op.pooling === 'max' ? 3 / 2 : 1) * square
    case 'gate':
      return square / 4
    case 'mean':
    case 'attention':
      return square / 2
    case 'dropout':
    case 'temporal_softmax':
      return square
  }
}
