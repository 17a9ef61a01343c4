import type { Output } from './output.js'

/**
 * One row of a command's options table. The table is the only place where an option is written down: the parser, the help and
 * the validation are made of it. Build rows with `flag` and `value`, and refine them with `withDefault`, `required` and `repeatable`.
 */
export interface Option<T> {
  /** What stands for the value in the help, e.g. `FILE`; a switch has none. */
  readonly placeholder?: string
  readonly about: string
  /** Value when the option is not given. */
  readonly initial: T
  /** How the default is written in the help, where there is one. */
  readonly shownDefault?: string
  readonly required: boolean
  readonly repeatable: boolean
  /** Reads one occurrence. Throws a TvnError that says what was expected; the frame puts the option's name in front. */
  readonly parse: (text: string) => unknown
}

/** A switch, off unless given. */
export function flag(about: string): Option<boolean> {
  return { about, initial: false, required: false, repeatable: false, parse: Boolean }
}

/** An option with a value, undefined unless given. */
export function value<T>(placeholder: string, about: string, parse: (text: string) => T): Option<T | undefined> {
  return { placeholder, about, initial: undefined, required: false, repeatable: false, parse }
}

/** `shown` is the default as the user would write it. */
export function withDefault<T>(option: Option<T | undefined>, initial: T, shown: string = String(initial)): Option<T> {
  return { ...option, initial, shownDefault: shown }
}

/** The command is refused without it. */
export function required<T>(option: Option<T | undefined>): Option<T> {
  return { ...option, initial: undefined as T, required: true }
}

/** May be given several times; the value is the list of all, empty unless given. */
export function repeatable<T>(option: Option<T | undefined>): Option<readonly T[]> {
  return { ...option, initial: [], repeatable: true }
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds options of any type; `Values` gives each back its own
export type Options = Readonly<Record<string, Option<any>>>

/** The values that a command with this options table receives, under the table's keys. */
export type Values<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never }

/** A positional argument. */
export interface Operand {
  /** As it is shown in the help, e.g. `FILE`. */
  readonly name: string
  readonly about: string
  readonly optional?: boolean
  /** Takes all that remain; the last operand only. */
  readonly many?: boolean
}

/** What a command works with. */
export interface Context<O extends Options> {
  readonly options: Values<O>
  /** The positional arguments, as given. */
  readonly operands: readonly string[]
  /** Names (keys of the options table) that the user gave, as opposed to defaults. */
  readonly given: ReadonlySet<keyof O & string>
  readonly output: Output
  /** Aborted by SIGINT, SIGTERM and SIGHUP. A command then saves what it has and throws ERR_ABORTED. */
  readonly signal: AbortSignal
}

/** One command of `tvn`. The keys of the options table are camelCase; on the command line they are kebab-case. */
export interface Command<O extends Options = Options> {
  readonly name: string
  /** One or two sentences for the command's own help. */
  readonly about: string
  /** Lines shown at the end of its help. */
  readonly examples?: readonly string[]
  readonly operands?: readonly Operand[]
  readonly options: O
  /**
   * Resolves to the exit code; nothing means 0. A TvnError about invalid input (see `exitCode`) becomes 2, any other 1, an abort 130.
   */
  run(context: Context<O>): Promise<number | void>
}

/** Types a command by its options table. */
export function defineCommand<const O extends Options>(command: Command<O>): Command<O> {
  return command
}

/** `finalIterations` → `--final-iterations`. */
export function optionFlag(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
