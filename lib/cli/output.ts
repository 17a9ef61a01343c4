import { styleText } from 'node:util'

export interface OutputOptions {
  readonly json: boolean
  readonly quiet: boolean
  readonly color: boolean
}

export type Style = Parameters<typeof styleText>[0]

/** The two streams of a command: results on stdout, everything else on stderr. */
export interface Output extends OutputOptions {
  /** Width of the terminal on stderr, or 100. */
  readonly columns: number
  /** True when stderr can redraw: a terminal, and no `--quiet`. */
  readonly live: boolean
  /** The command's result: with `--json` the document, else the text. Called once. */
  result(document: unknown, text: () => string): void
  /** A line of progress on stderr; a live line is redrawn in place, otherwise only `final` lines are written. Nothing with `--quiet`. */
  progress(line: string, options?: { final?: boolean }): void
  /** A line on stderr; nothing with `--quiet`. */
  note(line: string): void
  /** A line on stderr that is shown even with `--quiet`: something the user has to know. */
  warn(line: string): void
  /** Colours text when the terminal shows colours. */
  style(style: Style, text: string): string
}

/** A text as one line that a terminal shows as it is: names of files may hold anything, terminal sequences included. */
export function oneLine(text: string): string {
  return text.replace(/\s*[\p{Cc}\u2028\u2029]+\s*/gu, ' ')
}

/** How wide a terminal is, or 100 where it does not say. */
export function widthOf({ columns }: NodeJS.WriteStream): number {
  return columns || 100
}

/** `stdout` and `stderr` are written to synchronously where the platform does so. */
export function createOutput(options: OutputOptions, stdout: NodeJS.WriteStream = process.stdout, stderr: NodeJS.WriteStream = process.stderr): Output {
  const live = stderr.isTTY && !options.quiet
  const columns = widthOf(stderr)
  const styled = new Set<string>()
  let drawn = false
  const line = (text: string) => {
    stderr.write(`${drawn ? '\r\x1b[K' : ''}${oneLine(text)}\n`)
    drawn = false
  }
  /** A line without terminal sequences but those that `style` made. */
  const shown = (text: string) =>
    text
      .split(/(\x1b\[\d+m[^\x1b]*\x1b\[\d+m)/)
      .map((part) => (styled.has(part) ? part : oneLine(part)))
      .join('')
  return {
    ...options,
    columns,
    live,
    result(document, text) {
      if (drawn) stderr.write('\r\x1b[K')
      drawn = false
      const lines = () => text().trimEnd().split('\n').map(shown)
      stdout.write(`${options.json ? JSON.stringify(document) : lines().join('\n')}\n`)
    },
    progress(text, { final = false } = {}) {
      if (options.quiet) return
      if (final) line(text)
      else if (live) {
        stderr.write(`\r\x1b[K${oneLine(text).slice(0, columns - 1)}`)
        drawn = true
      }
    },
    note(text) {
      if (!options.quiet) line(text)
    },
    warn: line,
    style(style, text) {
      if (!options.color) return text
      const coloured = styleText(style, oneLine(text), { validateStream: false })
      styled.add(coloured)
      return coloured
    },
  }
}
