import type { StudyEvent } from '../events.js'

export interface StoredEvent {
  readonly event: StudyEvent
  /** Seconds that the study had run when it happened; time between a stop and a resume does not count. */
  readonly elapsed: number
}

/**
 * The journal of one study: events in the order in which they happened, never changed and never removed.
 *
 * - `append` returns when the event is on the disk: whatever kills the process or the machine afterwards, `events` has it.
 *   The caller acts on an event only then. An append that throws has stored nothing.
 * - An event comes back as it was given, as JSON has it: equal numbers to the last bit, equal texts, equal order of keys.
 * - One writer: opening a study that another Storage holds open throws ERR_STUDY. A holder that died holds nothing.
 * - A journal that was cut short at any moment (a crash while it was made, or in an append) opens with the events before
 *   that moment; without a first event it is no study.
 *
 * Every implementation passes test/search/storage.test.ts.
 */
export interface Storage {
  append(event: StudyEvent, elapsed: number): void
  /** All events so far. */
  events(): StoredEvent[]
  /** Gives the study free. Further calls throw. */
  close(): void
}
