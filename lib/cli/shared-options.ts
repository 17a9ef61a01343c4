import type { NetworkSource } from '../model/source.js'
import { precisions } from '../precision.js'
import { required, value, withDefault } from './command.js'
import { count, device, oneOf, text } from './values.js'

/** Options that several commands share, written down once. */

export const threadsOption = withDefault(
  value('N', 'threads to compute with (on a GPU: to prepare its clips); results have the same bits for any number', count(1, 256)),
  1,
)

export const deviceOption = withDefault(value('D', 'where to compute: cpu, cuda (the first GPU) or cuda:<number>', device), 'cpu')

/** Whether the device has it is found out when that is known. */
export const precisionOption = value('P', 'arithmetic: f32 or bf16 on the cpu, f16 on cuda (default: f32, on cuda f16)', oneOf(...precisions))

export const modelOption = required(value('FILE', 'model file (.safetensors)', text))

export const dataOption = withDefault(value('DIR|demo', 'folder of labelled videos, or the generated demo data', text), 'demo')

export const seedOption = withDefault(value('S', 'seed of every random choice', count(0)), 0)

export const classesOption = value('N', 'number of classes, where the network does not say (default: 10)', count(1, 100_000))

/** The classes that a network is built for: what the user says, else what its source says, else 10. */
export function classesFor({ model, classes }: NetworkSource, given: number | undefined): number {
  // A model's head is as it is.
  return model?.labels.length ?? given ?? classes ?? 10
}
