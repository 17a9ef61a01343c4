export { type NativeBackendOptions, registerNativeBackend } from './backend/register.js'
