import * as tf from '@tensorflow/tfjs'
import { native } from '../../native.js'
import { type CpuBackend, floats } from '../memory.js'
import type { NativeLayers } from '../native-layers.js'

export type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>

/** One call of a kernel. */
export class Call<Attributes> {
  readonly inputs: Inputs
  readonly attrs: Attributes
  readonly backend: CpuBackend
  readonly layers: NativeLayers

  constructor(inputs: Inputs, attrs: Attributes, backend: CpuBackend, layers: NativeLayers) {
    this.inputs = inputs
    this.attrs = attrs
    this.backend = backend
    this.layers = layers
  }

  get threads(): number {
    return this.layers.threads
  }

  input(name: string): tf.TensorInfo {
    return this.inputs[name] as tf.TensorInfo
  }

  /** The values themselves. */
  values(name: string): Float32Array {
    return this.valuesOf(this.input(name))
  }

  valuesOf(tensor: tf.TensorInfo): Float32Array {
    return floats(this.backend.data.get(tensor.dataId).values)
  }

  /** Of a tensor of booleans. */
  bytes(name: string): Uint8Array {
    const { values } = this.backend.data.get(this.input(name).dataId)
    return values instanceof Uint8Array ? values : new Uint8Array(values as Int32Array)
  }

  /** A tensor of booleans. */
  booleans(shape: readonly number[], write: (values: Uint8Array) => void): tf.TensorInfo {
    const values = new Uint8Array(tf.util.sizeFromShape([...shape]))
    write(values)
    return this.backend.makeTensorInfo([...shape], 'bool', values)
  }

  isAlive = (id: object): boolean => this.backend.data.has(id)

  /** A tensor of what `write` writes, which is all of it; undefined, and nothing is left, where it says false. */
  output(shape: readonly number[], write: (values: Float32Array) => boolean | void): tf.TensorInfo | undefined {
    const values = native().allocate(tf.util.sizeFromShape([...shape]))
    return write(values) === false ? undefined : this.backend.makeTensorInfo([...shape], 'float32', values)
  }

  /** The same in place of a tensor that nothing else needs. */
  replace(old: tf.TensorInfo, kernelName: string, inputs: Inputs, attrs: tf.NamedAttrMap = {}): tf.TensorInfo {
    const y = this.run(kernelName, inputs, attrs)
    this.backend.disposeIntermediateTensorInfo(old)
    return y
  }

  /** The result of another kernel of this backend. */
  run(kernelName: string, inputs: Inputs, attrs: tf.NamedAttrMap = {}): tf.TensorInfo {
    const kernel = tf.getKernel(kernelName, backendName)
    return kernel.kernelFunc({ inputs: inputs as tf.NamedTensorInfoMap, attrs, backend: this.backend }) as tf.TensorInfo
  }
}

export const backendName = 'tvn'

/** Undefined leaves the call to the cpu backend's kernel. */
export type Kernel<Attributes> = (call: Call<Attributes>) => tf.TensorInfo | undefined

/** Types of inputs by name; all others are floats. */
type Types = Readonly<Record<string, tf.DataType>>

/** Registers a kernel for tensors of floats, or as `types` says, with something in them; the cpu backend's own does the rest. */
export function registerKernel<Attributes>(kernelName: string, layers: NativeLayers, kernel: Kernel<Attributes>, types: Types = {}): void {
  const inherited = tf.getKernel(kernelName, 'cpu')
  tf.unregisterKernel(kernelName, backendName) // the copy of it
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: (args) => {
      const inputs = args.inputs as Inputs
      const ours = Object.entries(inputs).every(([name, x]) => !x || (x.dtype === (types[name] ?? 'float32') && !x.shape.includes(0)))
      const result = ours ? kernel(new Call(inputs, args.attrs as Attributes, args.backend as CpuBackend, layers)) : undefined
      return result ?? inherited.kernelFunc(args)
    },
  })
}
