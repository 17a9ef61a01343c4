import * as tf from '@tensorflow/tfjs'
import { native } from '../../native.js'
import type { NativeLayers } from '../native-layers.js'
import { nativeLayers, setThreadsCount } from '../threads.js'
import { registerConvolutions } from './convolutions.js'
import { registerCopies } from './copies.js'
import { registerElementwise } from './elementwise.js'
import { backendName } from './kernel.js'
import { registerMasks } from './masks.js'
import { registerMatrices } from './matrices.js'
import { registerPools } from './pools.js'

export interface NativeBackendOptions {
  /** Threads to compute with, as setThreadsCount takes them. */
  readonly threads?: number
}

/** Above the cpu backend's, and WebAssembly's. */
const priority = 3

/**
 * Registers the TensorFlow.js backend `tvn`: convolutions, pools, products of matrices, batch normalisation and what is done element by
 * element, forward and backward, run on our kernels; everything else is the cpu backend's. It is the one that TensorFlow.js takes unless
 * another has been set; `await tf.setBackend('tvn')` sets it. Calls compute on the JavaScript thread and its helpers.
 *
 * Throws ERR_NATIVE where the addon cannot be loaded.
 */
export function registerNativeBackend({ threads }: NativeBackendOptions = {}): void {
  if (threads !== undefined) setThreadsCount(threads)
  native()
  const cpu = tf.findBackendFactory('cpu')
  if (!tf.findBackendFactory(backendName)) {
    tf.registerBackend(
      backendName,
      () => {
        const backend = cpu() as tf.KernelBackend & { firstUse?: boolean }
        backend.firstUse = false // it would advise to install another backend
        return backend
      },
      priority,
    )
  }
  registerKernels(nativeLayers(), { elements: 512, row: 16 })
}

/** What is smaller is done sooner than it is handed over: elements of a tensor, of a row that is copied. */
interface Least {
  readonly elements: number
  readonly row: number
}

/** All kernels of the backend, in place of those that it has. */
export function registerKernels(layers: NativeLayers, least: Least): void {
  for (const { kernelName } of tf.getKernelsForBackend(backendName)) tf.unregisterKernel(kernelName, backendName)
  tf.copyRegisteredKernels('cpu', backendName)
  registerConvolutions(layers)
  registerPools(layers)
  registerMatrices(layers)
  registerElementwise(layers, least.elements)
  registerMasks(layers, least.elements)
  registerCopies(layers, least.row)
}
