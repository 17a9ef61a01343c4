import { TvnError } from '../../errors.js'
import type { StudyEvent } from '../events.js'
import type { Storage, StoredEvent } from './storage.js'

/** A study that lives as long as this object: for tests, and for searches that nobody wants to resume. */
export class MemoryStudy {
  readonly #lines: string[] = []
  #held = false

  open(): Storage {
    if (this.#held) throw new TvnError('ERR_STUDY', 'the study is in use')
    this.#held = true
    let open = true
    const checkOpen = () => {
      if (!open) throw new TvnError('ERR_DISPOSED', 'the study was closed')
    }
    return {
      append: (event: StudyEvent, elapsed: number) => {
        checkOpen()
        this.#lines.push(JSON.stringify({ event, elapsed } satisfies StoredEvent))
      },
      events: () => {
        checkOpen()
        return this.#lines.map((line) => JSON.parse(line) as StoredEvent)
      },
      close: () => {
        if (open) this.#held = false
        open = false
      },
    }
  }
}
