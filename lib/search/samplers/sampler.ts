import type { Network } from '../../network/network.js'
import type { Random } from '../../random.js'
import type { Space } from '../../space/space.js'

export const samplers = ['evolution', 'random'] as const
export type SamplerName = (typeof samplers)[number]

/** A network that was trained, and how well it did. */
export interface Trained {
  readonly id: number
  readonly network: Network
  readonly fitness: number
}

/** What a sampler may know when it proposes trial k. */
export interface History {
  /**
   * The complete ones among the trials ≤ k − lag, in the order of their ids.
   * Which of the later ones have ended by now is a matter of timing, so the sampler never learns of it.
   */
  readonly trained: readonly Trained[]
  /** Hashes (`Network.hash`) of all networks that were proposed before. */
  readonly proposed: ReadonlySet<string>
}

export interface Proposal {
  readonly network: Network
  /** The trial whose network was mutated; null for a random one. */
  readonly parent: number | null
  readonly mutations: readonly string[]
}

export interface SamplerOptions {
  readonly space: Space
  readonly population: number
  readonly tournament: number
}

/**
 * Proposes the network of trial `k`: a pure function of its arguments. `random` is the trial's own stream, so what one
 * trial draws never shifts another's. A sampler avoids networks that were proposed before as long as it finds others.
 */
export type Sampler = (k: number, history: History, random: Random, options: SamplerOptions) => Proposal

/** Name of trial k's network. */
export function trialName(k: number): string {
  return `trial-${k}`
}
