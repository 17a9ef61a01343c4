import * as tf from '@tensorflow/tfjs'
import { native } from '../native.js'

/** The cpu backend and ours: a tensor's storage is a typed array. */
export interface CpuBackend extends tf.KernelBackend {
  readonly data: tf.DataStorage<{ values?: tf.backend_util.BackendValues; dtype: tf.DataType }>
  makeTensorInfo(shape: number[], dtype: tf.DataType, values?: tf.backend_util.BackendValues): tf.TensorInfo
  disposeIntermediateTensorInfo(tensor: tf.TensorInfo): void
}

/** Tensors lie in the WebAssembly module's memory, which moves when it grows. */
interface WasmBackend extends tf.KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array }
  readonly dataIdMap: tf.DataStorage<{ memoryOffset: number }>
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo
}

const isCpu = (backend: tf.KernelBackend): backend is CpuBackend => 'data' in backend && 'makeTensorInfo' in backend
const isWasm = (backend: tf.KernelBackend): backend is WasmBackend => 'wasm' in backend && 'dataIdMap' in backend

/** The values of a tensor of floats. A cast from whole numbers or booleans leaves their array as it was: then it is a copy. */
export function floats(values: tf.backend_util.BackendValues | undefined): Float32Array {
  return values instanceof Float32Array ? values : new Float32Array(values as Int32Array | Uint8Array)
}

/**
 * Calls f with the values of tensors of floats and with room for the results, and makes tensors of the results. On the cpu backend and ours
 * the arrays are the tensors' own, on the wasm backend views on its memory; other backends give and take a copy, by the public interface
 * of TensorFlow.js.
 */
export function compute(
  backend: tf.KernelBackend,
  inputs: readonly tf.TensorInfo[],
  shapes: readonly (readonly number[])[],
  f: (inputs: Float32Array[], outputs: Float32Array[]) => void,
): tf.TensorInfo[] {
  if (isWasm(backend)) return computeInWasm(backend, inputs, shapes, f)
  const values = inputs.map(({ dataId }) => floats(isCpu(backend) ? backend.data.get(dataId).values : backend.readSync(dataId)))
  const outputs = shapes.map((shape) => native().allocate(tf.util.sizeFromShape([...shape])))
  f(values, outputs)
  return outputs.map((output, i) => {
    const shape = [...(shapes[i] as readonly number[])]
    return isCpu(backend) ? backend.makeTensorInfo(shape, 'float32', output) : { dataId: backend.write(output, shape, 'float32'), shape, dtype: 'float32' }
  })
}

function computeInWasm(
  backend: WasmBackend,
  inputs: readonly tf.TensorInfo[],
  shapes: readonly (readonly number[])[],
  f: (inputs: Float32Array[], outputs: Float32Array[]) => void,
): tf.TensorInfo[] {
  const offset = ({ dataId }: tf.TensorInfo) => backend.dataIdMap.get(dataId).memoryOffset
  for (const input of inputs) offset(input) // moves what lies in another backend
  const results = shapes.map((shape) => backend.makeOutput([...shape], 'float32'))
  // no allocation from here on, the memory stays where it is
  const view = (x: tf.TensorInfo) => {
    if (x.dtype !== 'float32') return floats(backend.readSync(x.dataId))
    return new Float32Array(backend.wasm.HEAPU8.buffer, offset(x), tf.util.sizeFromShape(x.shape))
  }
  try {
    f(inputs.map(view), results.map(view))
  } catch (error) {
    for (const { dataId } of results) backend.disposeData(dataId)
    throw error
  }
  return results
}

/** Whether a tensor with this identity still exists. */
export function isAlive(backend: tf.KernelBackend, dataId: object): boolean {
  if (isCpu(backend)) return backend.data.has(dataId)
  return isWasm(backend) ? backend.dataIdMap.has(dataId) : false
}
