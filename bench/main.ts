/**
 * `npm run bench:native`: how fast the engine runs the released networks, trains small ones, and how close to the machine's peak
 * its convolutions come. Everything is timed in interleaved rounds in one process; figures are medians.
 */
import { loadavg } from 'node:os'
import { defineCommand, flag, value } from '../lib/cli/command.js'
import { createOutput } from '../lib/cli/output.js'
import { parseArguments } from '../lib/cli/parse.js'
import { count, text } from '../lib/cli/values.js'
import { TvnError } from '../lib/errors.js'
import { thisMachine } from '../lib/latency/machine.js'
import { agreementTable, measureAgreement } from './agreement.js'
import { type LayerRow, layerTable, measureLayers } from './layers.js'
import { measureNetworks, type NetworkRow, networkTable, rowWords } from './networks.js'
import { measurePlans } from './plans.js'
import { measureResponsiveness, type Responsiveness, responsivenessTable } from './responsiveness.js'

const command = defineCommand({
  name: 'bench:native',
  about: 'Times the native engine on the released networks and on training steps of three small ones.',
  options: {
    layers: flag('also every distinct convolution of tvn-1 to tvn-4: forward, data and weight gradient'),
    only: value('WORDS', 'only rows with these networks or tasks, separated by commas', text),
    quick: flag('fewer runs, at most a minute'),
    agreement: flag('only: whether 20 production processes of 1,000 calls agree with the verdict about a limit'),
    plans: value('N', 'only: how much this process grows while N plans of random networks are made, run and disposed of', count(10)),
  },
  examples: ['npm run bench:native -- --layers', 'npm run bench:native -- --only tvn-1,inference --quick'],
  async run({ options, output }) {
    const only = new Set((options.only ?? '').split(',').filter((word) => word !== ''))
    const known = Object.values(rowWords).flat()
    for (const word of only)
      if (!known.includes(word)) throw new TvnError('ERR_ARGUMENT', `--only knows no ${JSON.stringify(word)}`, { hint: `it takes ${known.join(', ')}` })
    const progress = (line: string) => output.progress(line)
    if (options.agreement) {
      const agreement = await measureAgreement({ processes: 20, calls: 1000, ladder: 1.05, progress })
      return output.result({ agreement }, () => agreementTable(agreement))
    }
    if (options.plans !== undefined) {
      const growth = await measurePlans(options.plans, progress)
      return output.result(
        growth,
        () => `${growth.plans} plans: ${growth.residentMiB.toFixed(1)} MiB after a tenth of them, ${growth.grownMiB.toFixed(1)} MiB more at the end`,
      )
    }
    const { peak, rows } = await measureNetworks({ only, quick: options.quick, progress })
    const layers = options.layers ? await measureLayers({ only, quick: options.quick, progress }) : undefined
    const responsiveness = only.size === 0 ? await measureResponsiveness(progress) : undefined
    const { id, cpu, isa } = thisMachine()
    const document = { date: new Date().toISOString(), machine: { id, cpu, isa, peak: { f32: peak } }, load: loadavg()[0], rows, layers, responsiveness }
    output.result(document, () => report(document))
  },
})

interface Report {
  readonly machine: { readonly cpu: string; readonly isa: string; readonly peak: { readonly f32: number } }
  readonly load: number | undefined
  readonly rows: readonly NetworkRow[]
  readonly layers: readonly LayerRow[] | undefined
  readonly responsiveness: readonly Responsiveness[] | undefined
}

function report({ machine, load, rows, layers, responsiveness }: Report): string {
  const parts = [`${machine.cpu}, ${machine.isa}: ${machine.peak.f32.toFixed(0)} GFLOP/s f32 on one core; load ${load?.toFixed(1)}`]
  if (rows.length > 0) parts.push(networkTable(rows))
  if (layers) parts.push(layerTable(layers))
  if (responsiveness) parts.push(responsivenessTable(responsiveness))
  return parts.join('\n\n')
}

try {
  const request = parseArguments(command, process.argv.slice(2))
  if (request.kind === 'help') process.stdout.write(request.text)
  else {
    const output = createOutput({ ...request.global, color: false })
    await command.run({ options: request.values as never, given: request.given as never, operands: [], output, signal: new AbortController().signal })
  }
} catch (error) {
  if (!(error instanceof TvnError)) throw error
  process.stderr.write(`${error.message}\n${error.hint ? `${error.hint}\n` : ''}`)
  process.exitCode = 2
}
