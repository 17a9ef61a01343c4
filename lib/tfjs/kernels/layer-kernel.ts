import type * as tf from '@tensorflow/tfjs'
import type { NativeLayer } from '../../native.js'
import type { LayerOptions } from '../native-layers.js'
import { nativeLayers } from '../threads.js'
import { type Attributes, defineKernel, type Inputs, runKernel } from './registry.js'

type Shapes = readonly (readonly number[])[]

/** A kernel that is a native layer without weights. */
interface LayerKernel {
  readonly kernelName: string
  readonly inputs: readonly string[]
  /** Of a tensor with these shapes. */
  readonly options: (shapes: Shapes, attributes: Attributes) => LayerOptions
  /** Default: y as the options have it. */
  readonly outputShape?: (shapes: Shapes) => readonly number[]
  /** What gradients read besides dy. */
  readonly keeps: { readonly inputs: boolean; readonly output: boolean }
}

/** Defines it, and `<kernelName>Grad`, which makes the gradients of all inputs at once. */
export function defineLayerKernel({ kernelName, inputs: names, options, outputShape, keeps }: LayerKernel): void {
  const gradName = `${kernelName}Grad`
  const shapesOf = (inputs: Inputs): Shapes => names.map((name) => (inputs[name] as tf.TensorInfo).shape)
  const kept = [...(keeps.inputs ? names : []), ...(keeps.output ? ['y'] : [])]
  defineKernel({
    kernelName,
    inputs: names,
    shapes: (inputs, attributes) => [outputShape?.(shapesOf(inputs)) ?? options(shapesOf(inputs), attributes).y],
    run: (values, [y], { inputs, attributes }) => findLayer(options(shapesOf(inputs), attributes)).forward(values, [], y as Float32Array),
    gradient: {
      inputsToSave: keeps.inputs ? [...names] : [],
      outputsToSave: [keeps.output],
      gradFunc: (dy, saved, attributes) => {
        const named = Object.fromEntries(kept.map((name, i) => [name, saved[i] as tf.Tensor]))
        const gradients = [runKernel<tf.Tensor | tf.Tensor[]>(gradName, { ...named, dy: dy as tf.Tensor }, attributes)].flat()
        return Object.fromEntries(names.map((name, i) => [name, () => gradients[i] as tf.Tensor]))
      },
    },
  })
  defineKernel({
    kernelName: gradName,
    inputs: [...names, 'y', 'dy'],
    shapes: (_, { inputShapes }) => inputShapes as unknown as Shapes as number[][],
    run: (values, gradients, { attributes }) => {
      const [y, dy] = values.slice(names.length)
      const layer = findLayer({ ...options(attributes.inputShapes as unknown as Shapes, attributes), training: true })
      layer.backward(values.slice(0, names.length), y ?? null, dy as Float32Array, [], gradients, [])
    },
  })
}

/** Runs it; attributes tell the gradient the shapes of inputs that it does not keep. */
export function runLayerKernel(kernelName: string, inputs: Readonly<Record<string, tf.Tensor>>, attributes: Attributes): tf.Tensor {
  return runKernel(kernelName, inputs, { ...attributes, inputShapes: Object.values(inputs).map(({ shape }) => shape) })
}

/** Throws where our kernels cannot do it. */
export function findLayer(options: LayerOptions): NativeLayer {
  const layer = nativeLayers().find(options)
  if (layer) return layer
  throw impossible(options)
}

export function impossible(options: LayerOptions): Error {
  const window = options.kernel ? ` with a kernel of [${options.kernel.join()}] and strides of [${options.stride?.join()}]` : ''
  return new Error(`${options.op} of [${options.x.join('] and [')}]${window} is not possible: every window must hold an element of its input.`)
}
