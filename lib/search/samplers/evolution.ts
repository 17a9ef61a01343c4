import type { Random } from '../../random.js'
import { mutate } from '../../space/mutate.js'
import { randomSampler } from './random.js'
import { type Sampler, type Trained, trialName } from './sampler.js'

/** Attempts to find a child that was not proposed before. */
const maxAttempts = 100

/**
 * Evolution with tournament selection ("Tiny Video Networks", section 3): the first `population` proposals are random; afterwards
 * `tournament` members of the population (the best `population` networks trained so far) are drawn, and the fittest
 * of them gets a child: part of its structure is mutated. As long as nothing has been trained, proposals stay random.
 */
export const evolutionSampler: Sampler = (k, history, random, options) => {
  const { space, population, tournament } = options
  if (k < population || history.trained.length === 0) return randomSampler(k, history, random, options)
  const members = [...history.trained].sort(fitter).slice(0, population)
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const parent = selectParent(members, tournament, random)
    const child = mutate(space, parent.network, random, trialName(k))
    if (child && !history.proposed.has(child.network.hash())) return { ...child, parent: parent.id }
  }
  return randomSampler(k, history, random, options)
}

/** The fittest of `size` different members drawn at random. */
export function selectParent(members: readonly Trained[], size: number, random: Random): Trained {
  const entrants = random.shuffle([...members]).slice(0, size)
  return entrants.sort(fitter)[0] as Trained
}

/** Fittest first; among equals the earlier. */
function fitter(a: Trained, b: Trained): number {
  return b.fitness - a.fitness || a.id - b.id
}
