/** Where long work stops while the machine has to be quiet: it passes the gate between two steps, and waits there while it is closed. */
export class Gate {
  readonly #onWaiting: () => void
  #closed: Promise<void> | undefined
  #open: (() => void) | undefined

  /** `onWaiting` is called when someone begins to wait. */
  constructor(onWaiting: () => void) {
    this.#onWaiting = onWaiting
  }

  close(): void {
    this.#closed ??= new Promise((resolve) => {
      this.#open = resolve
    })
  }

  open(): void {
    this.#open?.()
    this.#closed = undefined
    this.#open = undefined
  }

  readonly pass = async (): Promise<void> => {
    while (this.#closed) {
      this.#onWaiting()
      await this.#closed
    }
  }
}
