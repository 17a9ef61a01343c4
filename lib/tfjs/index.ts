/** `tiny-video-nets/tfjs`: our kernels in TensorFlow.js models. Needs the package @tensorflow/tfjs. */
export { type NativeBackendOptions, registerNativeBackend } from './backend/register.js'
export { type FromLayersModelOptions, fromLayersModel, type LayersModelOptions, type NetworkWithWeights, toLayersModel } from './convert/index.js'
export * from './layers/index.js'
export { getThreadsCount, setThreadsCount } from './threads.js'
