import type { ContenderProcess } from './contender-process.js'
import { largestDifference } from './statistics.js'

/** How long a turn lasts at least. */
export const turnMilliseconds = 50

/**
 * How far outputs may lie apart, as a share of the largest |logit|. f32 engines sum in other orders and by other algorithms. bf16 rounds every factor by up to
 * 2⁻⁹: with the weights alone rounded so, the logits of TVN-1, 2 and 4 move by 2e-3 to 4e-3. f16 rounds eight times less, but every tensor.
 */
const tolerances = { f32: 1e-3, bf16: 3e-2, f16: 2e-2 } as const

/** Contenders that load at the same time; more would need the memory of as many copies of the weights. */
const loadedAtOnce = 2

/** How many times its fair share of the time a contender may take. */
const largestShare = 2

/** Loads contenders, a few at a time, then lets each run for the first time, alone, and compares what they compute. */
export async function loadContenders(contenders: readonly ContenderProcess[], onProgress: (doing: string) => void, signal: AbortSignal): Promise<void> {
  const waiting = contenders.values()
  const loadInTurn = async () => {
    for (const contender of waiting) {
      signal.throwIfAborted()
      onProgress(`loading ${contender.name}`)
      await contender.load()
    }
  }
  await Promise.all(Array.from({ length: loadedAtOnce }, loadInTurn))
  for (const contender of contenders.filter(({ failure }) => failure === undefined)) {
    signal.throwIfAborted()
    onProgress(`first run: ${contender.name}`)
    await contender.run()
  }
  signal.throwIfAborted()
  compareOutputs(contenders.filter(({ failure }) => failure === undefined))
}

export interface RoundsOptions {
  /** No round begins after so many seconds … */
  readonly seconds: number
  /** … but so many are run in any case. */
  readonly leastRounds: number
  readonly signal: AbortSignal
  /** Called before every round: what takes part in the interleaving besides, such as the machine's peak. */
  readonly onRound: () => Promise<void>
  readonly onProgress: (doing: string) => void
}

/**
 * Lets contenders take turns, A B C … A B C …, so that what drifts on the machine hits all alike. Only one computes at a time. Whoever crashes or hangs has a
 * `failure`, and the others go on. One that has taken more than twice its share of the time sits out a round, but for the first two. Resolves to the number of rounds.
 */
export async function takeTurns(contenders: readonly ContenderProcess[], options: RoundsOptions): Promise<number> {
  const { seconds, leastRounds, signal, onRound, onProgress } = options
  const begin = performance.now()
  const alive = () => contenders.filter(({ failure }) => failure === undefined)
  let round = 0
  for (; alive().length > 0 && (round < leastRounds || performance.now() - begin < seconds * 1000); round++) {
    await onRound()
    for (const contender of alive()) {
      if (round >= 2 && contender.spent * alive().length > largestShare * (performance.now() - begin)) continue
      signal.throwIfAborted()
      onProgress(`round ${round + 1}: ${contender.name}`)
      await contender.turn(turnMilliseconds)
    }
  }
  signal.throwIfAborted()
  return round
}

/** Differences of each contender's output from the one that most f32 contenders agree with; those that lie too far away fail. */
export function compareOutputs(contenders: readonly ContenderProcess[]): void {
  const exact = contenders.filter(({ contender }) => contender.precision === 'f32')
  const agreeing = (one: ContenderProcess) => exact.filter((other) => distance(other, one) <= tolerances.f32).length
  const [reference] = [...exact].sort((a, b) => agreeing(b) - agreeing(a))
  if (reference === undefined) return
  for (const contender of contenders) {
    const difference = distance(contender, reference)
    contender.difference = difference
    const allowed = tolerances[contender.contender.precision]
    if (!(difference <= allowed)) contender.failure = `its output is ${difference.toPrecision(2)} away from that of ${reference.name}, allowed are ${allowed}`
  }
}

function distance(a: ContenderProcess, b: ContenderProcess): number {
  return largestDifference(a.first?.output ?? [], b.first?.output ?? [])
}
