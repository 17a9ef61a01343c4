import { Network } from '../network/network.js'
import { Random } from '../random.js'
import type { StudyEvent } from './events.js'
import { evolutionSampler } from './samplers/evolution.js'
import { randomSampler } from './samplers/random.js'
import type { History, Sampler, SamplerName } from './samplers/sampler.js'
import { advance, replay, type StudyState } from './state.js'
import type { Storage } from './storage/storage.js'
import { isComplete } from './trial.js'

const samplerOf = { evolution: evolutionSampler, random: randomSampler } as const satisfies Record<SamplerName, Sampler>

/**
 * A study: its journal and what it amounts to. Every event is on the disk before the state shows it, so whatever is done because of
 * the state survives a crash.
 */
export class Study {
  readonly #storage: Storage
  readonly #elapsed: () => number
  readonly #onEvent: (event: StudyEvent) => void
  readonly #networks: Network[] = []
  #state: StudyState

  /** @param clock seconds; it may begin anywhere */
  constructor(storage: Storage, clock: () => number, onEvent: (event: StudyEvent) => void = () => {}) {
    this.#storage = storage
    this.#onEvent = onEvent
    this.#state = replay(storage.events())
    const [before, begin] = [this.#state.elapsed, clock()]
    this.#elapsed = () => before + clock() - begin
  }

  get state(): StudyState {
    return this.#state
  }

  /** Seconds that the study has run, interruptions left out. */
  get elapsed(): number {
    return this.#elapsed()
  }

  tell(event: StudyEvent): void {
    const elapsed = this.#elapsed()
    this.#storage.append(event, elapsed)
    this.#state = { ...advance(this.#state, event), elapsed }
    this.#onEvent(event)
  }

  /** Proposes the next trial: a function of the options, the seed and the results of the trials ≤ k − lag. All of those must have ended. */
  propose(classes: number): void {
    const { record, trials } = this.#state
    const k = trials.length
    const history: History = {
      trained: trials
        .slice(0, Math.max(0, k - lag(record.workers) + 1))
        .filter(isComplete)
        .map(({ id, fitness }) => ({ id, fitness, network: this.network(id) })),
      proposed: new Set(trials.map(({ id }) => this.network(id).hash())),
    }
    const random = Random.seeded(record.seed).fork('trial', k)
    const { network, parent, mutations } = samplerOf[record.sampler](k, history, random, record)
    const { params, macs } = network.cost({ classes })
    this.tell({ kind: 'proposed', trial: k, parent, mutations, network: network.toJSON(), params, macs })
  }

  network(id: number): Network {
    const trial = this.#state.trials[id]
    if (!trial) throw new Error(`no trial ${id}`)
    this.#networks[id] ??= Network.parse(trial.network)
    return this.#networks[id]
  }
}

/**
 * Trial k is proposed from the results of the trials ≤ k − lag, however many of the later ones have ended by then. With more than one
 * worker it is twice their number, so that a slow trial does not leave the others without work.
 */
export function lag(workers: number): number {
  return workers === 1 ? 1 : 2 * workers
}

/** The seed of a trial's training, or of the winner's. */
export function trainingSeed(seed: number, ...path: readonly (string | number)[]): number {
  return Random.seeded(seed)
    .fork('training', ...path)
    .uint32()
}
