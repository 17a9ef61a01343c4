import { oneLine, widthOf } from '../output.js'

/** A block of lines at the bottom of a terminal that is redrawn in place, with lines that stay scrolling above it. */
export class LiveBlock {
  readonly #stream: NodeJS.WriteStream
  #lines: readonly string[] = []

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  /** Replaces the block. Lines longer than the terminal is wide are cut, since a wrapped one could not be redrawn. */
  draw(lines: readonly string[]): void {
    const width = widthOf(this.#stream) - 1
    this.#write(lines.map((line) => [...oneLine(line)].slice(0, width).join('')))
  }

  /** Writes a line that stays, above the block. */
  print(line: string): void {
    const lines = this.#lines
    this.clear()
    this.#stream.write(`${oneLine(line)}\n`)
    this.#write(lines)
  }

  clear(): void {
    this.#write([])
  }

  #write(lines: readonly string[]): void {
    const up = this.#lines.length > 0 ? `\x1b[${this.#lines.length}A` : ''
    const erased = `${up}\r\x1b[J`
    if (this.#lines.length === 0 && lines.length === 0) return
    this.#stream.write(`${this.#lines.length > 0 ? erased : ''}${lines.map((line) => `${line}\n`).join('')}`)
    this.#lines = lines
  }
}
