import * as tf from '@tensorflow/tfjs'
import { compute } from '../memory.js'

/** Attributes of our kernels are plain data. */
export type Attributes = tf.NamedAttrMap

export interface KernelDefinition {
  readonly kernelName: string
  /** Shapes of the outputs; TensorFlow.js has checked nothing, so it throws for inputs that do not fit. */
  readonly shapes: (inputs: Inputs, attributes: Attributes) => (readonly number[])[]
  /** Inputs as listed by `inputs`, null where absent. */
  readonly inputs: readonly string[]
  readonly run: (inputs: (Float32Array | null)[], outputs: Float32Array[], of: { inputs: Inputs; attributes: Attributes; backend: tf.KernelBackend }) => void
  readonly gradient?: Omit<tf.GradConfig, 'kernelName'>
}

export type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>

const definitions = new Map<string, KernelDefinition>()

/** A kernel of ours, for any backend that is in use when it runs, and its gradient. */
export function defineKernel(definition: KernelDefinition): void {
  definitions.set(definition.kernelName, definition)
  if (definition.gradient) tf.registerGradient({ kernelName: definition.kernelName, ...definition.gradient })
}

/** Runs it on the backend in use, recorded for gradients. */
export function runKernel<T extends tf.Tensor | tf.Tensor[]>(
  kernelName: string,
  inputs: Readonly<Record<string, tf.Tensor | undefined>>,
  attributes: Attributes,
): T {
  const backendName = tf.getBackend()
  if (!tf.getKernel(kernelName, backendName)) register(definitions.get(kernelName) as KernelDefinition, backendName)
  const present: tf.NamedTensorMap = {}
  for (const [name, x] of Object.entries(inputs)) if (x !== undefined) present[name] = numbers(x, name, kernelName)
  return tf.engine().runKernel(kernelName, present, attributes) as T
}

/** As floats, whatever numbers they are. */
function numbers(x: tf.Tensor, name: string, kernelName: string): tf.Tensor {
  if (x.isDisposed) throw new Error('Tensor is disposed.')
  if (x.dtype === 'float32') return x
  if (x.dtype === 'int32' || x.dtype === 'bool') return x.toFloat()
  throw new Error(`Argument '${name}' passed to '${kernelName}' must be numeric tensor, but got ${x.dtype} tensor`)
}

function register({ kernelName, inputs: names, shapes, run }: KernelDefinition, backendName: string): void {
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const named = inputs as Inputs
      const attributes = attrs ?? {}
      const present = names.filter((name) => named[name])
      const outputs = shapes(named, attributes)
      const tensors = compute(
        backend as tf.KernelBackend,
        present.map((name) => named[name] as tf.TensorInfo),
        outputs,
        (values, results) => {
          const empty = present.some((name) => named[name]?.shape[0] === 0)
          if (empty) return results.forEach((result) => result.fill(0)) // no clips: no results, and gradients of weights are 0
          const all = names.map((name) => (named[name] ? (values[present.indexOf(name)] as Float32Array) : null))
          run(all, results, { inputs: named, attributes, backend: backend as tf.KernelBackend })
        },
      )
      return tensors.length === 1 ? (tensors[0] as tf.TensorInfo) : tensors
    },
  })
}
