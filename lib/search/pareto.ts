import { byFitness, type CompleteTrial } from './trial.js'

/**
 * The trials that no other dominates in fitness (more is better) and p90 latency (less is better), fittest first. Of trials equal
 * in both only the earliest is kept.
 */
export function paretoFront(trials: readonly CompleteTrial[]): CompleteTrial[] {
  const front: CompleteTrial[] = []
  let fastest = Number.POSITIVE_INFINITY
  for (const trial of [...trials].sort((a, b) => b.fitness - a.fitness || a.latency.p90 - b.latency.p90 || byFitness(a, b))) {
    if (trial.latency.p90 >= fastest) continue
    front.push(trial)
    fastest = trial.latency.p90
  }
  return front
}
