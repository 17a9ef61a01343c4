import * as tf from '@tensorflow/tfjs'
import type { Graph } from '../../lib/network/graph.js'
import type { ConvOp, DepthwiseOp, Function, Int3, Op, PoolOp } from '../../lib/network/ops.generated.js'
import { epsilon, foldBatchNorm } from '../../lib/onnx/fold-batch-norm.js'
import { fuseActivations } from '../../lib/tfjs/fuse.js'

/** One op: its inputs to its output, all [N, T, H, W, C]. */
type Step = (x: tf.Tensor, ...others: tf.Tensor[]) => tf.Tensor
/** A parameter by its name. */
type Constant = (name: string) => tf.Tensor

/**
 * A Graph in TensorFlow.js at its best: norms are folded, bias and ReLU are fused into the convolutions, frames lie in the batch of a spatial
 * layer, and the pixels of a frame along one axis of a temporal one. Call it in `tf.tidy` with clips [N, T, H, W, 3]; it gives logits [N, classes].
 * Throws RangeError for a layer that spans space and time at once, which TensorFlow.js's two-dimensional layers cannot express.
 */
export function tfjsGraph(graph: Graph, weights: ReadonlyMap<string, Float32Array>): (clips: tf.Tensor) => tf.Tensor {
  const { ops, parameter } = foldBatchNorm(graph, (name) => weights.get(name) as Float32Array)
  const constant: Constant = (name) => {
    const data = parameter(name)
    return tf.tensor(data, [...(graph.parameters[name] ?? [data.length])]) // folding adds biases
  }
  const steps = fuseActivations(ops, graph.output).map((op) => ({ op, step: stepOf(op, constant) }))
  return (clips) => {
    const values = new Map<string, tf.Tensor>([[graph.input, clips]])
    for (const { op, step } of steps) {
      const [x, ...others] = op.inputs.map((name) => values.get(name as string) as tf.Tensor) as [tf.Tensor, ...tf.Tensor[]]
      values.set(op.output, step(x, ...others))
    }
    const logits = values.get(graph.output) as tf.Tensor
    return logits.reshape([clips.shape[0] as number, -1])
  }
}

function stepOf(op: Op, constant: Constant): Step {
  switch (op.op) {
    case 'normalize':
      return (x) => x.toFloat().div(127.5).sub(1)
    case 'conv':
    case 'depthwise':
      return convolution(op, constant)
    case 'pool':
      return pool(op)
    case 'batch_norm': {
      const { gamma, beta, mean, variance } = op.parameters
      const scale = constant(gamma).div(constant(variance).add(epsilon).sqrt())
      const shift = constant(beta).sub(constant(mean).mul(scale))
      return (x) => activated(x.mul(scale).add(shift), op.function)
    }
    case 'activation':
      return (x) => activated(x, op.function)
    case 'add':
      return (x, b) => activated(x.add(b as tf.Tensor), op.function)
    case 'mean':
      return (x) => x.mean(op.extent === 'clip' ? [1, 2, 3] : [2, 3], true)
    case 'gate':
      return (x, z) => x.mul((z as tf.Tensor).sigmoid())
    case 'attention':
      return (theta, phi, g) => {
        const rows = (x: tf.Tensor) => x.reshape([x.shape[0] as number, -1, x.shape[4] as number])
        const scores = tf.matMul(rows(theta), rows(phi as tf.Tensor), false, true).div(Math.sqrt(theta.shape[4] as number))
        return tf.matMul(scores.softmax(), rows(g as tf.Tensor)).reshape(theta.shape)
      }
    case 'dropout':
      return (x) => x
    case 'dense': {
      const [weight, bias] = [constant(op.parameters.weight), constant(op.parameters.bias)]
      return (x) =>
        tf
          .matMul(x.reshape([-1, x.shape[4] as number]), weight)
          .add(bias)
          .reshape([...x.shape.slice(0, 4), bias.size])
    }
    case 'temporal_softmax':
      return (x) => {
        const [n, frames, , , k] = x.shape as Shape5
        const z = x.reshape([n, frames, k]).transpose([0, 2, 1])
        return z
          .mul(z.div(Math.sqrt(frames)).softmax())
          .sum(2)
          .reshape([n, 1, 1, 1, k])
      }
  }
}

/** A kernel spans space or time, not both; a pointwise one may stride in both. */
function convolution(op: ConvOp | DepthwiseOp, constant: Constant): Step {
  const [weight, bias] = [constant(op.parameters.weight), op.parameters.bias === undefined ? undefined : constant(op.parameters.bias)]
  const activation = op.function === 'relu' ? 'relu' : 'linear'
  const layer = { ...(bias && { bias }), activation, pad: op.padding } as const
  if (op.op === 'depthwise') {
    const filter = weight.reshape([...weight.shape, 1]) as tf.Tensor4D
    return (x) => bySpace(x, (y) => tf.fused.depthwiseConv2d({ x: y, filter, strides: inSpace(op.stride), ...layer }))
  }
  const [kt, kh, kw, c, channels] = weight.shape as Shape5
  if (kt === 1) {
    const filter = weight.reshape([kh, kw, c, channels]) as tf.Tensor4D
    return (x) => bySpace(everyFrame(x, op.stride[0]), (y) => tf.fused.conv2d({ x: y, filter, strides: inSpace(op.stride), ...layer }))
  }
  requireTemporal(op)
  const filter = weight.reshape([kt, 1, c, channels]) as tf.Tensor4D
  return (x) => byTime(x, (y) => tf.fused.conv2d({ x: y, filter, strides: [op.stride[0], 1], ...layer }))
}

function pool(op: PoolOp): Step {
  const pooling = op.pooling === 'max' ? tf.maxPool : tf.avgPool
  const { kernel, stride, padding } = op
  if (kernel[0] === 1) return (x) => bySpace(everyFrame(x, stride[0]), (y) => pooling(y, [kernel[1], kernel[2]], inSpace(stride), padding))
  requireTemporal(op)
  return (x) => byTime(x, (y) => pooling(y, [kernel[0], 1], [stride[0], 1], padding))
}

type Shape5 = [number, number, number, number, number]

const inSpace = (stride: Int3): [number, number] => [stride[1], stride[2]]

function requireTemporal({ name, kernel, stride }: ConvOp | PoolOp): void {
  if (kernel[1] * kernel[2] * stride[1] * stride[2] !== 1) throw new RangeError(`${name} spans space and time at once`)
}

/** Every `stride`-th frame. */
function everyFrame(x: tf.Tensor, stride: number): tf.Tensor {
  return stride === 1 ? x : x.stridedSlice([0, 0, 0, 0, 0], x.shape, [1, stride, 1, 1, 1])
}

/** Applies a 2D layer to every frame: [N·T, H, W, C]. */
function bySpace(x: tf.Tensor, layer: (y: tf.Tensor4D) => tf.Tensor4D): tf.Tensor {
  const [n, t, h, w, c] = x.shape as Shape5
  const y = layer(x.reshape([n * t, h, w, c]))
  return y.reshape([n, t, ...y.shape.slice(1)])
}

/** Applies a 2D layer along time: [N, T, H·W, C]. */
function byTime(x: tf.Tensor, layer: (y: tf.Tensor4D) => tf.Tensor4D): tf.Tensor {
  const [n, t, h, w, c] = x.shape as Shape5
  const y = layer(x.reshape([n, t, h * w, c]))
  return y.reshape([n, y.shape[1], h, w, y.shape[3]])
}

function activated(x: tf.Tensor, kind: Function = 'none'): tf.Tensor {
  switch (kind) {
    case 'none':
      return x
    case 'relu':
      return x.relu()
    case 'hswish':
      return x.mul(x.add(3).clipByValue(0, 6)).div(6)
    case 'sigmoid':
      return x.sigmoid()
  }
}
