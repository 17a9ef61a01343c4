import { sample } from '../../space/sample.js'
import { type Sampler, trialName } from './sampler.js'

/** Attempts to find a network that was not proposed before; a tiny space runs out of them. */
const maxAttempts = 100

/** Independent members of the space. */
export const randomSampler: Sampler = (k, { proposed }, random, { space }) => {
  let network = sample(space, random, trialName(k))
  for (let attempt = 1; attempt < maxAttempts && proposed.has(network.hash()); attempt++) network = sample(space, random, trialName(k))
  return { network, parent: null, mutations: [] }
}
