import type { Op } from './ops.generated.js'

/** A tensor's extents without the batch: T frames, H, W, C channels. */
export type TensorShape = readonly [t: number, h: number, w: number, c: number]

/**
 * A network as a list of ops over named tensors in topological order, the batch symbolic. Layout is NTHWC everywhere.
 * Everything after lowering reads this: the native engine, the cost model, the exporters and the diagram.
 */
export interface Graph {
  /** The clip tensor: u8 RGB. */
  readonly input: string
  /** The logits: [1, 1, 1, classes]. */
  readonly output: string
  /** Shape of every tensor, the input included. */
  readonly tensors: Readonly<Record<string, TensorShape>>
  /** Shape of every parameter and running statistic, in the order in which the ops use them. */
  readonly parameters: Readonly<Record<string, readonly number[]>>
  readonly ops: readonly Op[]
}
