import { expect } from 'chai'
import { type Command, defineCommand, flag, repeatable, required, value, withDefault } from '../../lib/cli/command.js'
import { parseArguments } from '../../lib/cli/parse.js'
import { count, duration, number, oneOf, text } from '../../lib/cli/values.js'
import { TvnError } from '../../lib/errors.js'

const command: Command = defineCommand({
  name: 'sample',
  about: 'A command for tests.',
  examples: ['tvn sample clip.mp4 --out x'],
  operands: [{ name: 'FILE', about: 'what to read', many: true }],
  options: {
    out: required(value('FILE', 'where to write', text)),
    finalIterations: value('N', 'last part', count(1)),
    trials: withDefault(value('N', 'how many', count(1)), 32),
    limit: repeatable(value('L', 'a limit', text)),
    deep: flag('go deeper'),
  },
  run: async () => {},
})

function parsed(...argv: string[]) {
  const request = parseArguments(command, argv)
  if (request.kind !== 'run') throw new Error('help instead of a run')
  return request
}

function refused(...argv: string[]): TvnError {
  try {
    parseArguments(command, argv)
  } catch (error) {
    expect(error).to.be.instanceOf(TvnError)
    return error as TvnError
  }
  throw new Error('not refused')
}

describe('arguments of a command', () => {
  it('give every key of the options table a value', () => {
    const { values, operands, given } = parsed('--out', 'o', 'a.mp4', '--final-iterations', '2k', '--limit', 'x', 'b.mp4', '--limit=y')
    expect(values).to.deep.equal({ out: 'o', finalIterations: 2000, trials: 32, limit: ['x', 'y'], deep: false })
    expect(operands).to.deep.equal(['a.mp4', 'b.mp4'])
    expect([...given].sort()).to.deep.equal(['finalIterations', 'limit', 'out'])
  })

  it('may hold the options of every command', () => {
    expect(parsed('f', '--out', 'o').global).to.deep.equal({ json: false, quiet: false, color: true, debug: false })
    expect(parsed('f', '--json', '--quiet', '--no-color', '--debug', '--out', 'o').global).to.deep.equal({ json: true, quiet: true, color: false, debug: true })
  })

  it('take everything behind -- for operands', () => {
    expect(parsed('--out', 'o', '--', '--deep').operands).to.deep.equal(['--deep'])
  })

  const refusals: [what: string, argv: string[], message: RegExp][] = [
    ['an unknown option, with the nearest', ['f', '--out', 'o', '--trails', '3'], /unknown option '--trails', did you mean --trials\?/],
    [
      'a value out of its range, with the name of the option',
      ['f', '--out', 'o', '--trials', '0'],
      /^--trials: '0' is not valid, expected a whole number of at least 1$/,
    ],
    ['a required option that is missing', ['f'], /--out/],
    ['an option without its value', ['f', '--out'], /--out.*missing/],
    ['an operand that is missing', ['--out', 'o'], /FILE/],
  ]
  for (const [what, argv, message] of refusals) {
    it(`refuse ${what}`, () => {
      const error = refused(...argv)
      expect(error.code).to.equal('ERR_ARGUMENT')
      expect(error.message).to.match(message).and.not.include('\n')
    })
  }

  it('are told in the help: options with defaults, operands, examples', () => {
    const request = parseArguments(command, ['--help'])
    expect(request.kind).to.equal('help')
    const help = request.kind === 'help' ? request.text : ''
    for (const part of ['tvn sample [options] <FILE...>', '--final-iterations <N>', 'default: 32', 'repeatable', '--json', 'tvn sample clip.mp4'])
      expect(help).to.include(part)
  })
})

describe('values with units', () => {
  it('are counts', () => {
    expect(['7', '100k', '2.5M', '1G'].map(count())).to.deep.equal([7, 100_000, 2_500_000, 1e9])
    for (const bad of ['', '-1', '1.5', '1e3', '0x10', '2m', ' 3', 'many', '9007199254740993']) expect(() => count()(bad), bad).to.throw(TvnError)
    expect(() => count(2, 4)('5')).to.throw(TvnError, 'from 2 to 4')
  })

  it('are times in seconds', () => {
    expect(['500ms', '90s', '10m', '1.5h'].map(duration)).to.deep.equal([0.5, 90, 600, 5400])
    for (const bad of ['10', 'm', '0s', '-1s', '1d']) expect(() => duration(bad), bad).to.throw(TvnError, '10m')
  })

  it('are numbers', () => {
    expect(['0.1', '1e-4', '.5', '3'].map(number(0, 5))).to.deep.equal([0.1, 1e-4, 0.5, 3])
    for (const bad of ['', 'NaN', 'Infinity', '6', '-1', '0x1']) expect(() => number(0, 5)(bad), bad).to.throw(TvnError)
  })

  it('are words', () => {
    expect(oneOf('small', 'full')('full')).to.equal('full')
    expect(() => oneOf('small', 'full')('smal')).to.throw(TvnError, "'smal' is not valid, expected small or full")
  })
})
