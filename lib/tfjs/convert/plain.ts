import * as tf from '@tensorflow/tfjs'
import type { Graph, TensorShape } from '../../network/graph.js'
import type { ConvOp, DepthwiseOp, Function, Op, PoolOp } from '../../network/ops.generated.js'
import { foldBatchNorm } from '../../onnx/fold-batch-norm.js'
import { fuseActivations } from '../fuse.js'
import { windowed } from '../kernels/window.js'

type Tensor = tf.SymbolicTensor

/** A Graph as a model of stock layers, batch norms folded: clips of numbers from 0 to 255 [N, T, H, W, 3] → logits [N, classes]. */
export function plainModel(graph: Graph, weights: (name: string) => Float32Array, name: string): tf.LayersModel {
  return new PlainModel(graph, weights).build(name)
}

class PlainModel {
  readonly #graph: Graph
  readonly #ops: readonly Op[]
  readonly #parameter: (name: string) => Float32Array
  readonly #values = new Map<string, Tensor>()
  /** Weights wait until the model knows that its layers are right. */
  readonly #weights: { readonly layer: tf.layers.Layer; readonly values: tf.Tensor[] }[] = []

  constructor(graph: Graph, weights: (name: string) => Float32Array) {
    const { ops, parameter } = foldBatchNorm(graph, weights)
    this.#graph = graph
    this.#ops = fuseActivations(ops, graph.output)
    this.#parameter = parameter
  }

  build(name: string): tf.LayersModel {
    const input = tf.input({ shape: [...this.#shape(this.#graph.input)], name: 'clip' })
    this.#values.set(this.#graph.input, input)
    for (const op of this.#ops) this.#values.set(op.output, this.#op(op))
    const logits = this.#values.get(this.#graph.output) as Tensor
    const classes = this.#shape(this.#graph.output)[3]
    const model = tf.model({ inputs: input, outputs: apply(tf.layers.reshape({ targetShape: [classes], name: 'logits' }), logits), name: nameOf({ name }) })
    for (const { layer, values } of this.#weights) {
      layer.setWeights(values)
      tf.dispose(values)
    }
    return model
  }

  #shape(tensor: string): TensorShape {
    return this.#graph.tensors[tensor] as TensorShape
  }

  #op(op: Op): Tensor {
    const [x, ...others] = op.inputs.map((input) => this.#values.get(input as string) as Tensor) as [Tensor, ...Tensor[]]
    const shape = this.#shape(op.inputs[0])
    switch (op.op) {
      case 'normalize':
        return apply(tf.layers.rescaling({ scale: 1 / 127.5, offset: -1, name: op.name }), x)
      case 'conv':
      case 'depthwise':
        return this.#convolution(op, x, shape)
      case 'pool':
        return pool(op, x, shape)
      case 'activation':
        return activated(x, op.function)
      case 'add':
        return activated(apply(tf.layers.add({ name: op.name }), [x, others[0] as Tensor]), op.function ?? 'none')
      case 'mean': {
        const poolSize: [number, number, number] = [op.extent === 'clip' ? shape[0] : 1, shape[1], shape[2]]
        return apply(tf.layers.averagePooling3d({ poolSize, strides: poolSize, name: op.name }), x)
      }
      case 'gate':
        return apply(tf.layers.multiply({ name: op.name }), [x, activated(others[0] as Tensor, 'sigmoid')])
      case 'attention':
        return this.#attention(op.inputs as readonly string[], x, others as [Tensor, Tensor])
      case 'dropout':
        return apply(tf.layers.dropout({ rate: op.rate, name: op.name }), x)
      case 'dense': {
        const [c, k] = [shape[3], this.#shape(op.output)[3]]
        const layer = tf.layers.conv3d({ filters: k, kernelSize: 1, name: op.name })
        return this.#weighted(layer, x, [tf.tensor(this.#parameter(op.parameters.weight), [1, 1, 1, c, k]), tf.tensor1d(this.#parameter(op.parameters.bias))])
      }
      case 'temporal_softmax':
        return temporalSoftmax(x, shape)
      case 'batch_norm':
        throw new RangeError(`${op.name}: a batch norm that follows no convolution has no stock layer for clips`)
    }
  }

  #weighted(layer: tf.layers.Layer, x: Tensor, values: tf.Tensor[]): Tensor {
    this.#weights.push({ layer, values })
    return apply(layer, x)
  }

  #convolution(op: ConvOp | DepthwiseOp, x: Tensor, shape: TensorShape): Tensor {
    const bias = op.parameters.bias
    const padding = stockPadding(op, shape)
    const f = op.function ?? 'none'
    // weights are set later
    const common = {
      kernelInitializer: 'zeros' as const,
      padding,
      useBias: bias !== undefined,
      name: op.name,
      ...(f === 'relu' && { activation: 'relu' as const }),
    }
    const values = (filter: readonly number[]) => [
      tf.tensor(this.#parameter(op.parameters.weight), [...filter]),
      ...(bias === undefined ? [] : [tf.tensor1d(this.#parameter(bias))]),
    ]
    const [, kh, kw] = op.kernel
    const [c, channels] = [shape[3], this.#shape(op.output)[3]]
    const y =
      op.op === 'conv'
        ? this.#weighted(
            tf.layers.conv3d({ ...common, filters: channels, kernelSize: [...op.kernel], strides: [...op.stride] }),
            x,
            values([...op.kernel, c, channels]),
          )
        : this.#weighted(
            tf.layers.timeDistributed({
              layer: tf.layers.depthwiseConv2d({ ...common, depthwiseInitializer: 'zeros', kernelSize: [kh, kw], strides: [op.stride[1], op.stride[2]] }),
              name: `${op.name}.frames`,
            }),
            x,
            values([kh, kw, c, 1]),
          )
    return f === 'relu' ? y : activated(y, f)
  }

  #attention(names: readonly string[], theta: Tensor, [phi, g]: [Tensor, Tensor]): Tensor {
    const rows = (x: Tensor, tensor: string) => {
      const [t, h, w, d] = this.#shape(tensor)
      return apply(tf.layers.reshape({ targetShape: [t * h * w, d] }), x)
    }
    const [ofTheta, ofPhi, ofG] = names as [string, string, string]
    const shape = this.#shape(ofTheta)
    const scores = apply(tf.layers.dot({ axes: [2, 2] }), [rows(theta, ofTheta), rows(phi, ofPhi)])
    const probabilities = apply(tf.layers.softmax({ axis: -1 }), apply(tf.layers.rescaling({ scale: 1 / Math.sqrt(shape[3]) }), scores))
    const mixed = apply(tf.layers.dot({ axes: [2, 1] }), [probabilities, rows(g, ofG)])
    return apply(tf.layers.reshape({ targetShape: [...shape] }), mixed)
  }
}

/** TensorFlow.js takes other letters for paths. */
export const nameOf = ({ name }: { readonly name: string }): string => name.replace(/[^\w-]/g, '_')

function apply(layer: tf.layers.Layer, x: Tensor | Tensor[]): Tensor {
  return layer.apply(x) as Tensor
}

/**
 * The stock layers' 'same' is not TensorFlow's where strides are larger than what a window lacks: they would begin in front of the second
 * element. Such windows need no padding.
 */
function stockPadding({ kernel, stride, padding }: ConvOp | DepthwiseOp | PoolOp, shape: TensorShape): 'same' | 'valid' {
  const same = windowed([1, ...shape], kernel, stride, 'same', 1).y
  const valid = windowed([1, ...shape], kernel, stride, 'valid', 1).y
  return padding === 'valid' || same.join() === valid.join() ? 'valid' : 'same'
}

function pool(op: PoolOp, x: Tensor, shape: TensorShape): Tensor {
  const args = {
    poolSize: [...op.kernel] as [number, number, number],
    strides: [...op.stride] as [number, number, number],
    padding: stockPadding(op, shape),
    name: op.name,
  }
  return apply(op.pooling === 'max' ? tf.layers.maxPooling3d(args) : tf.layers.averagePooling3d(args), x)
}

function activated(x: Tensor, f: Function): Tensor {
  switch (f) {
    case 'none':
      return x
    case 'relu':
      return apply(tf.layers.reLU({}), x)
    case 'sigmoid':
      return apply(tf.layers.activation({ activation: 'sigmoid' }), x)
    case 'hswish':
      // min(max(x / 6 + 1/2, 0), 1) · x
      return apply(tf.layers.multiply({}), [x, apply(tf.layers.reLU({ maxValue: 1 }), apply(tf.layers.rescaling({ scale: 1 / 6, offset: 0.5 }), x))])
  }
}

/** Σ_t x_t · softmax_t(x_t / sqrt(T)) of [T, 1, 1, K] → [1, 1, 1, K] */
export function temporalSoftmax(x: Tensor, [frames, , , k]: TensorShape): Tensor {
  const byClass = apply(tf.layers.permute({ dims: [2, 1] }), apply(tf.layers.reshape({ targetShape: [frames, k] }), x))
  const shares = apply(tf.layers.softmax({ axis: -1 }), apply(tf.layers.rescaling({ scale: 1 / Math.sqrt(frames) }), byClass))
  const weighted = apply(tf.layers.permute({ dims: [2, 1] }), apply(tf.layers.multiply({}), [byClass, shares]))
  const sum = apply(tf.layers.rescaling({ scale: frames }), apply(tf.layers.globalAveragePooling1d({}), weighted))
  return apply(tf.layers.reshape({ targetShape: [1, 1, 1, k] }), sum)
}
