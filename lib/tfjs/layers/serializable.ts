import { inspect } from 'node:util'
import * as tf from '@tensorflow/tfjs'

type Initializer = ReturnType<typeof tf.initializers.zeros>
type Regularizer = ReturnType<typeof tf.regularizers.l1l2>

/** An object, its name, or what getConfig() wrote of it. */
export type InitializerIdentifier = Initializer | string | tf.serialization.ConfigDict
export type RegularizerIdentifier = Regularizer | string | tf.serialization.ConfigDict

/** As TensorFlow.js's layers take it: 'heNormal', tf.initializers.heNormal({ seed: 1 }) or { className, config }. */
export function initializer(value: InitializerIdentifier): Initializer {
  return restore(value, tf.initializers as unknown as Factories, 'initializer') as Initializer
}
export function regularizer(value: RegularizerIdentifier | undefined): Regularizer | undefined {
  return value === undefined || value === null ? undefined : (restore(value, tf.regularizers as unknown as Factories, 'regularizer') as Regularizer)
}

/** For getConfig(). */
export function serialize(object: tf.serialization.Serializable | undefined): tf.serialization.ConfigDict | null {
  return object ? { className: object.getClassName(), config: object.getConfig() } : null
}

type Factories = Readonly<Record<string, ((args: object) => tf.serialization.Serializable) | undefined>>

function restore(
  value: tf.serialization.Serializable | string | tf.serialization.ConfigDict,
  factories: Factories,
  what: string,
): tf.serialization.Serializable {
  if (typeof value === 'string') {
    const factory = Object.hasOwn(factories, value) ? factories[value] : undefined
    if (!factory) throw new Error(`Unknown ${what}: ${value}.`)
    return factory({})
  }
  if (typeof value === 'object' && value !== null) {
    if (typeof (value as { getConfig?: unknown }).getConfig === 'function') return value as tf.serialization.Serializable
    const { className, config } = value as { className?: unknown; config?: unknown }
    const known = tf.serialization.SerializationMap.getMap().classNameMap
    const found = typeof className === 'string' && Object.hasOwn(known, className) ? known[className] : undefined
    if (found) return found[1](found[0], (config ?? {}) as tf.serialization.ConfigDict)
  }
  throw new Error(`Unknown ${what}: ${inspect(value)}.`)
}
