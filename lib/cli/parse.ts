import { Command as Parser, CommanderError, Option as ParserOption } from 'commander'
import { inContext, TvnError } from '../errors.js'
import { isas } from '../native.js'
import { nearest } from '../nearest.js'
import { program } from '../program.js'
import { type Command, type Option, type Options, optionFlag, type Values } from './command.js'
import type { CommandEntry } from './commands.js'
import { widthOf } from './output.js'

/** What `tvn` was asked to do. */
export type Request =
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'run'
      readonly values: Values<Options>
      readonly given: ReadonlySet<string>
      readonly operands: readonly string[]
      readonly global: GlobalOptions
    }

export interface GlobalOptions {
  readonly json: boolean
  readonly quiet: boolean
  readonly color: boolean
  readonly debug: boolean
}

const globalOptions: readonly (readonly [flags: string, about: string])[] = [
  ['--json', 'print one JSON document on stdout and nothing else there'],
  ['--quiet', 'no progress on stderr'],
  ['--no-color', 'no colours'],
  ['--debug', 'show stack traces of errors'],
]
export const globalFlags: readonly string[] = globalOptions.map(([flags]) => flags)

const environment: readonly (readonly [name: string, about: string])[] = [
  ['TVN_MAX_ISA', `use no kernels above this level: ${isas.join(', ')}`],
  ['TVN_CONVOLUTION', 'direct: neither Winograd nor Strassen'],
  ['TVN_BANDS', 'off: every layer writes all of its output before the next one begins'],
  ['TVN_TUNING', 'off: no search for the fastest way to cut the work of a network, and none that was found is used'],
  ['TVN_CUDA', 'auto: GPUs are used where they are asked for; on: and doctor fails without one; off: never; emulated: kernels on the CPU, for tests'],
  ['TVN_CUDNN', 'off; on, or a path: cuDNN may do convolutions on the GPU where it is faster'],
  ['TVN_VERBOSE', 'dispatch: the kernel of every stage of a network and why better ones were refused; decode: what the decoder does'],
  ['TVN_CACHE_DIR', 'where decoded videos, the demo and what was found about this machine are kept'],
  ['FFMPEG_PATH', 'decode with this ffmpeg'],
  ['NO_COLOR', 'no colours'],
]

/** Help of `tvn` itself. */
export function mainHelp(entries: readonly CommandEntry[], about: string): string {
  const parser = quietParser('tvn').usage('<command> [options]').description(about).option('--version', 'print the version')
  for (const { name, summary } of entries) parser.command(name, summary)
  parser.helpCommand(false)
  for (const [flags, description] of globalOptions) parser.option(flags, description)
  const width = Math.max(...environment.map(([name]) => name.length)) + 2
  parser.addHelpText('after', `\nEnvironment variables:\n${environment.map(([name, what]) => `  ${name.padEnd(width)}${what}`).join('\n')}`)
  parser.addHelpText('after', '\nOptions of a command: tvn <command> --help')
  return helpText(parser)
}

export function unknownCommand(name: string, entries: readonly CommandEntry[]): TvnError {
  const near = nearest(
    name,
    entries.map((entry) => entry.name),
  )
  const what = name.startsWith('-') ? 'option' : 'command'
  return new TvnError('ERR_ARGUMENT', `unknown ${what} '${name}'${near ? `, did you mean ${near}?` : ''}`, { hint: `${program} --help lists the commands` })
}

/** Reads the arguments behind the command's name. Throws ERR_ARGUMENT, or what an option's reader throws with the option's name in front. */
export function parseArguments(command: Command, argv: readonly string[]): Request {
  const parser = quietParser(`tvn ${command.name}`).description(command.about)
  for (const { name, about, optional, many } of command.operands ?? []) {
    const body = `${name}${many ? '...' : ''}`
    parser.argument(optional ? `[${body}]` : `<${body}>`, about)
  }
  const keys = Object.keys(command.options)
  for (const key of keys) parser.addOption(parserOption(key, command.options[key] as Option<unknown>))
  for (const [flags, description] of globalOptions) parser.option(flags, description)
  if (command.examples) parser.addHelpText('after', `\nExamples:\n${command.examples.map((line) => `  ${line}`).join('\n')}`)

  try {
    parser.parse(argv as string[], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.code === 'commander.helpDisplayed') return { kind: 'help', text: helpText(parser) }
    throw friendly(error, command)
  }
  const parsed = parser.opts<Record<string, unknown>>()
  const given = new Set(keys.filter((key) => parser.getOptionValueSource(key) === 'cli'))
  // Not left to commander, which would complain of it before it names a mistyped option.
  const missing = keys.find((key) => command.options[key]?.required && !given.has(key))
  if (missing !== undefined) {
    throw new TvnError('ERR_ARGUMENT', `the option ${optionFlag(missing)} <${command.options[missing]?.placeholder}> is required`, { hint: helpHint(command) })
  }
  return {
    kind: 'run',
    values: Object.fromEntries(keys.map((key) => [key, given.has(key) ? parsed[key] : (command.options[key] as Option<unknown>).initial])),
    given,
    operands: parser.args,
    global: { json: parsed.json === true, quiet: parsed.quiet === true, color: parsed.color !== false, debug: parsed.debug === true },
  }
}

function parserOption(key: string, option: Option<unknown>): ParserOption {
  const name = optionFlag(key)
  const flags = option.placeholder === undefined ? name : `${name} <${option.placeholder}>`
  const notes = [
    option.required ? 'required' : undefined,
    option.repeatable ? 'repeatable' : undefined,
    option.shownDefault === undefined ? undefined : `default: ${option.shownDefault}`,
  ].filter(Boolean)
  const row = new ParserOption(flags, `${option.about}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`)
  if (option.placeholder !== undefined) row.argParser((text: string, before: unknown) => readValue(name, option, text, before))
  return row
}

function readValue(name: string, option: Option<unknown>, text: string, before: unknown): unknown {
  try {
    const parsed = option.parse(text)
    return option.repeatable ? [...((before as readonly unknown[] | undefined) ?? []), parsed] : parsed
  } catch (error) {
    throw inContext(name, error)
  }
}

function quietParser(name: string): Parser {
  return new Parser(name)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} })
    .configureHelp({ helpWidth: Math.min(widthOf(process.stdout), 120), sortOptions: false })
    .helpOption('--help', 'show this help')
}

/** Help with the text added behind it, which `helpInformation` leaves out. */
function helpText(parser: Parser): string {
  let text = ''
  parser.configureOutput({ writeOut: (part) => (text += part) }).outputHelp()
  return text
}

/** Commander's message in our voice: one line, no prefix, its suggestion in the same line. */
function friendly(error: CommanderError, command: Command): TvnError {
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  const near = /\(Did you mean (?:one of )?(.*)\?\)/.exec(suggestion ?? '')?.[1]
  return new TvnError('ERR_ARGUMENT', `${first}${near ? `, did you mean ${near}?` : ''}`, { hint: helpHint(command), cause: error })
}

function helpHint({ name }: Command): string {
  return `${program} ${name} --help lists the options`
}
