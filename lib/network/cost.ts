import type { Graph, TensorShape } from './graph.js'
import type { Op } from './ops.generated.js'

/** A layer that multiplies: convolution, depthwise convolution, dense layer or attention. */
export interface LayerCost {
  readonly name: string
  readonly op: 'conv' | 'depthwise' | 'dense' | 'attention'
  /** [T, H, W, C] */
  readonly input: TensorShape
  readonly output: TensorShape
  /** Trainable parameters, those of the batch norm behind it included. */
  readonly params: number
  /** Multiply-accumulates for one clip. */
  readonly macs: number
}

export interface Cost {
  /** Trainable parameters (running statistics are none). */
  readonly params: number
  /** Multiply-accumulates of all layers for one clip. Everything else (norms, gates' products, pools) is not counted. */
  readonly macs: number
  /** In the order in which they run; their params and macs sum to the totals. */
  readonly layers: readonly LayerCost[]
}

/** What a graph costs, from its shapes alone. */
export function costOf(graph: Graph): Cost {
  const layers: { -readonly [K in keyof LayerCost]: LayerCost[K] }[] = []
  const byTensor = new Map<string, (typeof layers)[number]>()
  for (const op of graph.ops) {
    const input = shapeOf(graph, op.inputs[0])
    const output = shapeOf(graph, op.output)
    switch (op.op) {
      case 'conv':
      case 'depthwise':
      case 'dense':
      case 'attention': {
        const layer = { name: op.name, op: op.op, input, output, params: paramsOf(graph, op), macs: macsOf(graph, op, output) }
        layers.push(layer)
        byTensor.set(op.output, layer)
        break
      }
      case 'batch_norm': {
        const layer = byTensor.get(op.inputs[0])
        if (layer === undefined) throw new RangeError(`${op.name}: a batch norm must follow a convolution`)
        layer.params += paramsOf(graph, op)
        break
      }
      case 'normalize':
      case 'pool':
      case 'activation':
      case 'add':
      case 'mean':
      case 'gate':
      case 'dropout':
      case 'temporal_softmax':
        break
      default:
        op satisfies never
    }
  }
  const sum = (key: 'params' | 'macs'): number => layers.reduce((total, layer) => total + layer[key], 0)
  return { params: sum('params'), macs: sum('macs'), layers }
}

function paramsOf(graph: Graph, op: Op): number {
  if (!('parameters' in op)) return 0
  let params = 0
  for (const [leaf, name] of Object.entries<string>(op.parameters)) {
    if (leaf !== 'mean' && leaf !== 'variance') params += volume(parameterShape(graph, name))
  }
  return params
}

function macsOf(graph: Graph, op: Extract<Op, { op: LayerCost['op'] }>, output: TensorShape): number {
  const [t, h, w, c] = output
  switch (op.op) {
    // every output position meets every weight once
    case 'conv':
    case 'depthwise':
    case 'dense':
      return t * h * w * volume(parameterShape(graph, op.parameters.weight))
    // theta·phi and probabilities·g
    case 'attention': {
      const keys = shapeOf(graph, op.inputs[1])
      return 2 * (t * h * w) * (keys[0] * keys[1] * keys[2]) * c
    }
  }
}

export function volume(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1)
}

export function shapeOf(graph: Graph, tensor: string): TensorShape {
  const shape = graph.tensors[tensor]
  if (shape === undefined) throw new RangeError(`the graph has no tensor ${tensor}`)
  return shape
}

function parameterShape(graph: Graph, name: string): readonly number[] {
  const shape = graph.parameters[name]
  if (shape === undefined) throw new RangeError(`the graph has no parameter ${name}`)
  return shape
}
