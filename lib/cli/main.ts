#!/usr/bin/env node
import { type ErrorCode, TvnError } from '../errors.js'
import { version } from '../version.js'
import type { Command } from './command.js'
import { commands } from './commands.js'
import { createOutput, oneLine } from './output.js'
import { globalFlags, mainHelp, parseArguments, unknownCommand } from './parse.js'

const about = 'Finds, trains and runs tiny video networks that meet a latency limit on your own machine.'

/** Input that is found to be invalid before any work starts: exit code 2. */
const invalidInput: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_ARGUMENT',
  'ERR_NETWORK_INVALID',
  'ERR_GRAPH_INVALID',
  'ERR_MODEL_FILE',
  'ERR_MODEL_TENSOR',
  'ERR_DATASET',
  'ERR_LIMIT_INVALID',
  'ERR_PRECISION',
  'ERR_DEVICE',
  'ERR_LIMIT_IMPOSSIBLE',
  'ERR_STUDY',
])

function exitCode(error: unknown): number {
  if (!(error instanceof TvnError)) return 1
  if (error.code === 'ERR_ABORTED') return 130
  return invalidInput.has(error.code) ? 2 : 1
}

/** An error as one line and, where there is one, a hint; with `--debug` the stack. */
function explain(error: unknown, debug: boolean): string {
  if (debug && error instanceof Error) return `${(error.stack ?? error.message).split('\n').map(oneLine).join('\n')}\n`
  if (error instanceof TvnError) return `tvn: ${oneLine(error.message)}\n${error.hint === undefined ? '' : `     ${oneLine(error.hint)}\n`}`
  return `tvn: internal error: ${oneLine(error instanceof Error ? error.message : String(error))}\n     run it again with --debug for the stack trace\n`
}

/** SIGINT, SIGTERM and SIGHUP end the command in good order; a second one ends it at once. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130)
      controller.abort(new TvnError('ERR_ABORTED', `interrupted by ${name}`))
    })
  }
  return controller.signal
}

async function main(argv: readonly string[]): Promise<number> {
  const leading = argv.findIndex((argument) => !globalFlags.includes(argument))
  const [name, ...behind] = leading < 0 ? [] : argv.slice(leading)
  if (name === undefined) {
    process.stderr.write(mainHelp(commands, about))
    return 2
  }
  if (name === '--help' || name === '-h' || (name === 'help' && behind.length === 0)) {
    process.stdout.write(mainHelp(commands, about))
    return 0
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${version}\n`)
    return 0
  }
  const [called, ...given] = name === 'help' ? [behind[0] as string, '--help'] : [name, ...argv.slice(0, leading), ...behind]
  const entry = commands.find((candidate) => candidate.name === called)
  if (!entry) throw unknownCommand(called, commands)
  const { command } = await entry.load()
  return run(command, given)
}

async function run(command: Command, argv: readonly string[]): Promise<number> {
  const request = parseArguments(command, argv)
  if (request.kind === 'help') {
    process.stdout.write(request.text)
    return 0
  }
  const { json, quiet, color } = request.global
  const output = createOutput({ json, quiet, color: color && wantsColor() })
  const signal = abortOnSignals()
  try {
    return (await command.run({ options: request.values, given: request.given, operands: request.operands, output, signal })) ?? 0
  } catch (error) {
    // Whatever else an interrupted call rejects with, the interruption is the reason.
    throw signal.aborted && !(error instanceof TvnError && error.code === 'ERR_ABORTED') ? signal.reason : error
  }
}

function wantsColor(): boolean {
  return !process.env.NO_COLOR && process.stdout.isTTY && process.env.TERM !== 'dumb'
}

/** A reader that went away (`tvn … | head`) ends the command silently. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
}

const argv = process.argv.slice(2)
const code = await main(argv).catch((error: unknown) => {
  process.stderr.write(explain(error, argv.includes('--debug')))
  return exitCode(error)
})
// What a decoder or a thread pool still holds must not keep the process alive, nor be torn down half-way.
process.stdout.write('', () => process.exit(code))
