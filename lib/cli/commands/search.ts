import path from 'node:path'
import { TvnError } from '../../errors.js'
import { parseLimit } from '../../latency/limit.js'
import { reportsOf } from '../../latency/measure.js'
import { diagram } from '../../network/diagram.js'
import { Network } from '../../network/network.js'
import { program } from '../../program.js'
import { defaults } from '../../search/options.js'
import type { Report } from '../../search/report.js'
import { samplers } from '../../search/samplers/sampler.js'
import { type SearchOptions, search } from '../../search/search.js'
import { formatCount, formatMilliseconds, textTable } from '../../text-table.js'
import { defineCommand, repeatable, value } from '../command.js'
import { showSearch } from '../display/search-display.js'
import { metricsText } from '../metrics-text.js'
import { timeText } from '../progress.js'
import { count, device, duration, oneOf, text } from '../values.js'

const shown = (about: string, initial: string | number) => `${about} (default: ${initial})`

export const command = defineCommand({
  name: 'search',
  about: 'Finds the most accurate network that meets your limits on this machine, trains it and saves it. Ctrl-C saves; --resume goes on.',
  examples: [
    'tvn search',
    "tvn search --data videos --limit 'p90<1ms'",
    "tvn search --data videos --limit 'p90<20ms' --max-params 2M --space full --trials 200",
    "tvn search --data videos --device cuda --limit 'p90<1ms' --limit 'p90<20ms@cpu'",
    'tvn search --resume runs/2026-11-25-demo-small',
  ],
  options: {
    data: value('DIR|demo', shown('folder of labelled videos, or the generated demo data', defaults.data), text),
    out: value('DIR', 'run directory (default: runs/<date>-<study>)', text),
    space: value('S', shown('what may be proposed: small, full or a space file', defaults.space), text),
    sampler: value('S', shown('how it is proposed', defaults.sampler), oneOf(...samplers)),
    trials: value('N', shown('proposals, rejected ones included', defaults.trials), count(1, 1_000_000)),
    time: value('T', 'propose nothing more after this time, e.g. 10m', duration),
    population: value(
      'N',
      'evolution: random networks to begin with, and how many of the best may become parents (default: trials / 4, 6 to 200)',
      count(1, 1_000_000),
    ),
    tournament: value('N', 'evolution: how many compete to become the parent (default: the root of twice the population)', count(1, 1_000_000)),
    seed: value('S', shown('seed of every random choice', defaults.seed), count(0)),
    workers: value('W', shown('trials at the same time', defaults.workers), count(1, 256)),
    device: value('D', shown('where networks are trained, and where limits hold that name no device: cpu, cuda or cuda:<number>', 'cpu'), device),
    limit: repeatable(
      value('L', shown('latency limit, p<percentile> < <number>ms [@<confidence>%] [@cpu|@cuda[:i]]', defaults.limits.join(' ')), (given) => {
        parseLimit(given) // its device is found out when --device is known
        return given
      }),
    ),
    maxParams: value('N', shown('most parameters', formatCount(defaults.maxParams)), count(1)),
    frames: value('N', 'every network takes so many frames (default: the space decides)', count(1, 128)),
    iterations: value('N', shown("a trial's training steps", defaults.iterations), count(1)),
    finalIterations: value('N', `the winner's further training steps (default: ${defaults.finalFactor} times a trial's)`, count(0)),
    resume: value('DIR', 'go on with the study of this run directory; takes no other options', text),
  },
  async run({ options, given, output, signal }) {
    if (options.resume !== undefined && given.size > 1) {
      const others = [...given].filter((key) => key !== 'resume')
      throw new TvnError('ERR_ARGUMENT', `--resume takes its settings from the journal, got ${others.join(', ')} as well`, {
        hint: 'leave the other options away, or begin a new study',
      })
    }
    const { limit, ...rest } = options
    const settings = Object.fromEntries(
      Object.entries({ ...rest, limits: given.has('limit') ? limit : undefined }).filter(([, setting]) => setting !== undefined),
    ) as SearchOptions
    const display = showSearch(output)
    let [folder, classes] = ['', 0]
    try {
      const result = await search({
        ...settings,
        signal,
        onProgress(progress) {
          if (progress.kind === 'study') folder = progress.folder
          if (progress.kind === 'dataset') classes = progress.dataset.labels.length
          display.update(progress)
        },
      })
      display.end()
      output.result(result.report, () => summary(result.report, result.folder, classes, (style, text) => output.style(style, text)))
    } catch (error) {
      display.end()
      if (folder !== '' && !(error instanceof TvnError && error.code === 'ERR_NO_WINNER'))
        output.warn(`everything so far is saved; go on with: ${program} search --resume ${folder}`)
      throw error
    }
  },
})

/** What a person reads at the end: the front, the best network, where everything is. */
function summary(report: Report, folder: string, classes: number, style: (style: 'bold', text: string) => string): string {
  const { best, trials, front, counts, elapsedSeconds } = report
  if (best === null) return ''
  const right = (title: string) => ({ title, align: 'right' as const })
  const table = textTable(
    [right('trial'), right('accuracy'), right('p90'), right('parameters'), right('MACs'), 'frames × size @ fps', 'parent'],
    front.map((id) => {
      const trial = trials[id] as (typeof trials)[number]
      const [{ frames, size, fps }] = trial.network.streams
      return [
        id,
        percent(trial.fitness),
        trial.latency ? formatMilliseconds(trial.latency.p90) : '',
        formatCount(trial.params),
        formatCount(trial.macs),
        `${frames} × ${size} @ ${fps}`,
        trial.parent ?? 'random',
      ]
    }),
  )
  const network = Network.parse(trials[best.trial]?.network)
  const test = best.test ? metricsText(best.test, 'test') : 'no test split'
  const latencies = reportsOf(best.latency).map(({ device: on, verdict, limits, p50, p90, p99 }) => {
    const figures = `p50 ${formatMilliseconds(p50)}, p90 ${formatMilliseconds(p90)}, p99 ${formatMilliseconds(p99)}`
    return `latency ${figures} on ${on === 'cpu' ? 'one core' : on}${verdict ? `: ${verdict} ${limits?.join(' and ')}` : ''}`
  })
  return [
    `${trials.length} trials in ${timeText(elapsedSeconds)}: ${counts.complete} trained, ${counts.rejected} rejected, ${counts.failed} failed`,
    `${style('bold', 'accuracy/latency front')} (validation, ${report.trials[best.trial]?.iterations} steps)\n${table}`,
    `${style('bold', 'best network')} (trial ${best.trial}, trained on to ${best.iterations} steps)\n${diagram(network, { classes })}`,
    latencies.join('\n'),
    test,
    `model   ${path.join(folder, best.model)}\nreport  ${path.join(folder, 'report.json')}\n\ntry it: ${program} predict VIDEO --model ${path.join(folder, best.model)}`,
  ].join('\n\n')
}

function percent(x: number | null): string {
  return x === null ? '' : `${(100 * x).toFixed(1)} %`
}
