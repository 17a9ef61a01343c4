import type { Delivery, StudyEvent, StudyRecord } from './events.js'
import type { StoredEvent } from './storage/storage.js'
import type { Trial } from './trial.js'

/** What the journal of a study says so far. */
export interface StudyState {
  readonly record: StudyRecord
  readonly trials: readonly Trial[]
  /** Why nothing more is proposed although trials are left; null as long as they are. */
  readonly stopped: string | null
  /** The candidate for the winner that is trained on. */
  readonly finishing: number | null
  /** Candidates that do not become the winner, and why. */
  readonly passedOver: ReadonlyMap<number, string>
  readonly delivery: Delivery | null
  /** Seconds that the study has run. */
  readonly elapsed: number
}

/** The state that events make, in their order. The first must be `created`. */
export function replay(events: readonly StoredEvent[]): StudyState {
  const [first, ...rest] = events
  if (first?.event.kind !== 'created') throw new Error('a journal begins with `created`')
  const begin: StudyState = {
    record: { ...first.event.record, device: first.event.record.device ?? 'cpu' }, // journals of before there were others
    trials: [],
    stopped: null,
    finishing: null,
    passedOver: new Map(),
    delivery: null,
    elapsed: first.elapsed,
  }
  return rest.reduce((state, { event, elapsed }) => ({ ...advance(state, event), elapsed }), begin)
}

/** The state after one more event. */
export function advance(state: StudyState, event: StudyEvent): StudyState {
  switch (event.kind) {
    case 'created':
      throw new Error('a study is created once')
    case 'proposed': {
      const { trial: id, parent, mutations, network, params, macs } = event
      const unknown = { reason: null, latency: null, fitness: null, metrics: null, iterations: 0, weightsHash: null }
      return { ...state, trials: [...state.trials, { id, parent, mutations, network, params, macs, state: 'proposed', ...unknown }] }
    }
    case 'measured':
      return change(state, event.trial, { state: 'measured', latency: event.latency })
    case 'running':
      return change(state, event.trial, { state: 'running' })
    case 'complete': {
      const { kind: _, trial, ...result } = event
      return change(state, trial, { state: 'complete', ...result })
    }
    case 'rejected':
    case 'failed':
      return change(state, event.trial, { state: event.kind, reason: event.reason })
    case 'stopped':
      return { ...state, stopped: event.reason }
    case 'finishing':
      return { ...state, finishing: event.trial }
    case 'passed-over':
      return { ...state, finishing: null, passedOver: new Map([...state.passedOver, [event.trial, event.reason]]) }
    case 'delivered': {
      const { kind: _, ...delivery } = event
      return { ...state, finishing: null, delivery }
    }
    default:
      return event satisfies never
  }
}

function change(state: StudyState, id: number, changes: Partial<Trial>): StudyState {
  return { ...state, trials: state.trials.map((trial) => (trial.id === id ? { ...trial, ...changes } : trial)) }
}
