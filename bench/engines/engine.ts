import type { Contender } from '../contenders.js'

/** A contender in this process, loaded and ready to run. */
export interface Running {
  /** Logits of the clip or, of a training step, its loss: what engines are compared by. Runs once. */
  output(): Promise<ArrayLike<number>>
  /** Runs once, as a program that waits for the result does. */
  run(): Promise<unknown>
}

/** Loads a contender into this process: its network, with the weights and the clip that all engines get. */
export type Load = (contender: Contender) => Promise<Running>
