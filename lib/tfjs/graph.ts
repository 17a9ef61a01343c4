import type * as tf from '@tensorflow/tfjs'
import type { Graph } from '../network/graph.js'
import type { BatchNormOp, Function, Op } from '../network/ops.generated.js'
import { fuseActivations } from './fuse.js'
import { conv, depthwise } from './kernels/convolution.js'
import { activation, attention, gate, mean, pool } from './kernels/pointwise.js'

/** What a layer's graph is run with. */
export interface GraphRun {
  /** A parameter's value. */
  readonly parameter: (name: string) => tf.Tensor
  readonly normalize: (op: BatchNormOp, x: tf.Tensor) => tf.Tensor
}

/**
 * Computes a Graph of convolutions, norms, pools and gates on tensors [N, T, H, W, C] with our kernels, recorded for gradients. Its input is
 * of floats.
 */
export function runGraph(graph: Graph, input: tf.Tensor, run: GraphRun): tf.Tensor {
  const values = new Map<string, tf.Tensor>([[graph.input, input]])
  for (const op of fuseActivations(graph.ops, graph.output)) {
    const inputs = op.inputs.map((name) => values.get(name as string) as tf.Tensor)
    values.set(op.output, runOp(op, inputs as [tf.Tensor, ...tf.Tensor[]], run))
  }
  return values.get(graph.output) as tf.Tensor
}

function runOp(op: Op, [x, ...others]: [tf.Tensor, ...tf.Tensor[]], run: GraphRun): tf.Tensor {
  switch (op.op) {
    case 'conv':
    case 'depthwise': {
      const bias = op.parameters.bias === undefined ? undefined : run.parameter(op.parameters.bias)
      const f = op.function === 'relu' ? 'relu' : 'none' // fuseActivations() knows no other
      const apply = op.op === 'conv' ? conv : depthwise
      return apply(x, run.parameter(op.parameters.weight), bias, { strides: op.stride, padding: op.padding }, f)
    }
    case 'batch_norm':
      return run.normalize(op, x)
    case 'pool':
      return pool(x, op.pooling, { kernel: op.kernel, strides: op.stride, padding: op.padding })
    case 'activation':
      return activation(x, op.function as Exclude<Function, 'none'>)
    case 'add': {
      const y = x.add(others[0] as tf.Tensor)
      return op.function === undefined || op.function === 'none' ? y : activation(y, op.function)
    }
    case 'mean':
      return mean(x, op.extent)
    case 'gate':
      return gate(x, others[0] as tf.Tensor)
    case 'attention':
      return attention(x, others[0] as tf.Tensor, others[1] as tf.Tensor)
    case 'normalize':
    case 'dropout':
    case 'dense':
    case 'temporal_softmax':
      throw new RangeError(`${op.name}: ${op.op} is no part of a layer`)
  }
}
