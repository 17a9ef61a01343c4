import * as tf from '@tensorflow/tfjs'
import type { Extent, Function, Int3, Padding, Pooling } from '../../network/ops.generated.js'
import { defineLayerKernel, runLayerKernel } from './layer-kernel.js'
import { runKernel } from './registry.js'
import { type Shape5, windowed } from './window.js'

/** relu, sigmoid or hswish of a tensor of any shape. */
export function activation(x: tf.Tensor, f: Exclude<Function, 'none'>): tf.Tensor {
  return runLayerKernel(f === 'hswish' ? 'TvnHardSwish' : 'TvnActivation', { x }, { f })
}

/** Of relu, from its result. */
export function reluGradient(y: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  return runKernel('TvnActivationGrad', { y, dy }, { f: 'relu', inputShapes: [y.shape] })
}

/** max or avg over T, H and W of x [N, T, H, W, C]; averages and their gradients leave padding out. */
export function pool(x: tf.Tensor, pooling: Pooling, window: { readonly kernel: Int3; readonly strides: Int3; readonly padding: Padding }): tf.Tensor {
  const { kernel, strides, padding } = window
  return runLayerKernel(pooling === 'max' ? 'TvnMaxPool' : 'TvnAvgPool', { x }, { kernel: [...kernel], strides: [...strides], padding })
}

/** Over T, H and W (clip) or H and W (frame) of x [N, T, H, W, C]. */
export function mean(x: tf.Tensor, extent: Extent): tf.Tensor {
  return runLayerKernel('TvnMean', { x }, { extent })
}

/** x · sigmoid(z), x [N, T, H, W, C], z [N, 1, 1, 1, C]. */
export function gate(x: tf.Tensor, z: tf.Tensor): tf.Tensor {
  return runLayerKernel('TvnGate', { x, z }, {})
}

/** softmax(theta · phiᵀ / sqrt(D)) · g over all positions of a clip: theta [N, …, D], phi and g [N, …, D] of another number of them. */
export function attention(theta: tf.Tensor, phi: tf.Tensor, g: tf.Tensor): tf.Tensor {
  return runLayerKernel('TvnAttention', { theta, phi, g }, {})
}

type Shapes = readonly (readonly number[])[]
const flat = ([x]: Shapes): number[] => [1, 1, 1, 1, tf.util.sizeFromShape([...(x as number[])])]

for (const [kernelName, keeps] of [
  ['TvnActivation', { inputs: false, output: true }],
  ['TvnHardSwish', { inputs: true, output: false }],
] as const)
  defineLayerKernel({
    kernelName,
    inputs: ['x'],
    options: (shapes, { f }) => ({ op: 'activation', x: [flat(shapes)], y: flat(shapes), function: f as Function }),
    outputShape: ([x]) => x as readonly number[],
    keeps,
  })

for (const [kernelName, pooling, keeps] of [
  ['TvnMaxPool', 'max', true],
  ['TvnAvgPool', 'avg', false],
] as const)
  defineLayerKernel({
    kernelName,
    inputs: ['x'],
    options: ([x], { kernel, strides, padding }) => {
      const shape = x as unknown as Shape5
      return { op: 'pool', pooling, x: [shape], ...windowed(shape, kernel as unknown as Int3, strides as unknown as Int3, padding as Padding, shape[4]) }
    },
    keeps: { inputs: keeps, output: keeps },
  })

defineLayerKernel({
  kernelName: 'TvnMean',
  inputs: ['x'],
  options: ([x], { extent }) => {
    const [n, t, , , c] = x as unknown as Shape5
    return { op: 'mean', x: [x as readonly number[]], y: [n, extent === 'clip' ? 1 : t, 1, 1, c], extent: extent as Extent }
  },
  keeps: { inputs: false, output: false },
})

defineLayerKernel({
  kernelName: 'TvnGate',
  inputs: ['x', 'z'],
  options: ([x, z]) => ({ op: 'gate', x: [x as readonly number[], z as readonly number[]], y: x as readonly number[] }),
  keeps: { inputs: true, output: false },
})

defineLayerKernel({
  kernelName: 'TvnAttention',
  inputs: ['theta', 'phi', 'g'],
  options: (shapes) => ({ op: 'attention', x: shapes, y: shapes[0] as readonly number[] }),
  keeps: { inputs: true, output: false },
})
