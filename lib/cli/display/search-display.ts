import { reasonCategory } from '../../evaluate/constraints.js'
import type { StageProgress } from '../../evaluate/messages.js'
import { reportsOf } from '../../latency/measure.js'
import type { SearchProgress } from '../../search/search.js'
import type { StudyState } from '../../search/state.js'
import { byFitness, isComplete, isFinal, type Trial } from '../../search/trial.js'
import { formatCount, formatMilliseconds } from '../../text-table.js'
import { warnQuarantined } from '../metrics-text.js'
import type { Output } from '../output.js'
import { showProgress, timeText } from '../progress.js'
import { LiveBlock } from './live-block.js'

const redrawMilliseconds = 200
const stageWords: Readonly<Record<StageProgress['stage'], string>> = {
  'warm-up': 'warming up to measure its latency',
  measure: 'measuring its latency',
  cold: 'measuring with cold caches',
  train: 'training',
  validate: 'validating',
  test: 'testing',
  save: 'saving',
}

/**
 * Shows a search on stderr: a line for every trial that has ended, and on a terminal below them a block with trials, best network, counts with
 * reasons, what is under way, and the time left.
 *
 * @param clock milliseconds
 */
export function showSearch(
  output: Output,
  stderr: NodeJS.WriteStream = process.stderr,
  clock = () => performance.now(),
): { update(progress: SearchProgress): void; end(): void } {
  const block = new LiveBlock(stderr)
  const showData = showProgress(output, clock)
  const stages = new Map<number, StageProgress>()
  let state: StudyState | undefined
  let [base, since, drawn, estimate] = [0, 0, Number.NEGATIVE_INFINITY, Number.NaN]

  const print = (line: string) => (output.live ? block.print(line) : output.note(line))
  const draw = (force = false) => {
    if (!output.live || !state || (!force && clock() - drawn < redrawMilliseconds)) return
    drawn = clock()
    block.draw(blockLines(state, stages, base + (drawn - since) / 1000, estimate))
  }

  return {
    update(progress) {
      switch (progress.kind) {
        case 'data':
          return showData(progress.progress)
        case 'dataset':
          return warnQuarantined(output, progress.dataset.quarantined)
        case 'preflight':
          estimate = progress.seconds
          return output.note(
            `pre-flight: the smallest network of the space takes ${formatMilliseconds(progress.fastest.p90)} (p90)${Number.isNaN(estimate) ? '' : `; the search will take about ${timeText(estimate)}`}`,
          )
        case 'study': {
          ;({ state } = progress)
          ;[base, since] = [state.elapsed, clock()]
          const { record, trials } = state
          const limits = [...record.limits, `≤ ${formatCount(record.maxParams)} parameters`, ...(record.device === 'cpu' ? [] : [`on ${record.device}`])].join(
            ', ',
          )
          print(
            `${trials.length > 0 ? `resuming after ${trials.length} trials` : `searching ${record.study}`}: ${record.sampler}, ${limits}, in ${progress.folder}`,
          )
          return draw(true)
        }
        case 'stage':
          stages.set(progress.trial, progress.progress)
          return draw()
        case 'event': {
          const { event } = progress
          ;({ state } = progress)
          ;[base, since] = [progress.elapsed, clock()]
          if ('trial' in event) {
            const trial = state.trials[event.trial]
            if (event.kind === 'complete' || event.kind === 'rejected' || event.kind === 'failed') {
              stages.delete(event.trial)
              if (trial) print(trialLine(trial))
            }
            if (event.kind === 'finishing') print(`trial ${event.trial} is the best: training it on`)
            if (event.kind === 'passed-over' || event.kind === 'delivered') stages.delete(event.trial)
            if (event.kind === 'passed-over') print(`trial ${event.trial} is passed over, ${event.reason}`)
          }
          if (event.kind === 'stopped') print(event.reason)
          return draw(true)
        }
        default:
          return progress satisfies never
      }
    },
    end: () => block.clear(),
  }
}

/** E.g. `trial 11  76.5 %  p90 0.42 ms  31.2 k parameters  8.10 M MACs  from 5: filters[1]`. */
export function trialLine(trial: Trial): string {
  const { id, parent, mutations, params, macs, reason, latency, fitness, iterations, skipped = 0 } = trial
  const name = `trial ${String(id).padEnd(3)}`
  const from = parent === null ? 'random' : `from ${parent}: ${mutations.join(', ')}`
  if (fitness === null) return `${name} ${trial.state.padEnd(8)}  ${reason}`
  const cells = [
    `${(100 * fitness).toFixed(1)} %`.padStart(8),
    `p90 ${
      latency
        ? reportsOf(latency)
            .map(({ p90 }) => formatMilliseconds(p90))
            .join(' and ')
        : 'unknown'
    }`,
    `${formatCount(params)} parameters`,
    `${formatCount(macs)} MACs`,
    from,
    ...(skipped > 0 ? [`${skipped} of ${iterations} steps skipped`] : []),
  ]
  return `${name} ${cells.join('  ')}`
}

function blockLines(state: StudyState, stages: ReadonlyMap<number, StageProgress>, elapsed: number, estimate: number): string[] {
  const { record, trials } = state
  const ended = trials.filter(isFinal)
  const best = trials.filter(isComplete).sort(byFitness)[0]
  const rejected = ended.filter((trial) => trial.state === 'rejected')
  const failed = ended.filter((trial) => trial.state === 'failed')
  const reasons = new Map<string, number>()
  for (const { reason } of [...rejected, ...failed]) {
    const category = reasonCategory(reason ?? '')
    reasons.set(category, (reasons.get(category) ?? 0) + 1)
  }
  const why = [...reasons].map(([category, count]) => `${count} ${category}`).join(', ')
  const cells = 24
  const bar = '█'.repeat(Math.round((ended.length / record.trials) * cells)).padEnd(cells, '·')
  const left = timeLeft(state, elapsed, estimate)
  const under = [...stages].map(([id, stage]) => stageText(id, stage, state))
  return [
    '',
    `  trials  ${bar} ${ended.length}/${record.trials}   ${timeText(elapsed)}${left === undefined ? '' : `, about ${timeText(left)} left`}`,
    `  best    ${best ? `${(100 * best.fitness).toFixed(1)} %, p90 ${formatMilliseconds(best.latency.p90)}, ${formatCount(best.params)} parameters (trial ${best.id})` : 'none yet'}`,
    `  so far  ${ended.length - rejected.length - failed.length} trained, ${rejected.length} rejected, ${failed.length} failed${why === '' ? '' : ` (${why})`}`,
    ...under.map((text, i) => `  ${i === 0 ? 'now' : '   '}     ${text}`),
  ]
}

function stageText(id: number, { stage, fraction, loss, skipped = 0 }: StageProgress, state: StudyState): string {
  const finishing = state.finishing === id
  const parts = [`${finishing ? 'the winner, trial' : 'trial'} ${id}: ${stageWords[stage]}`]
  if (fraction !== undefined) parts.push(`${Math.round(100 * fraction)} %`)
  if (loss !== undefined && Number.isFinite(loss)) parts.push(`loss ${loss.toFixed(2)}`)
  if (skipped > 0) parts.push(`${skipped} steps skipped`)
  return parts.join('  ')
}

/** Trials to come at the pace so far, and the winner's further training at the pace of the trained ones. */
function timeLeft({ record, trials }: StudyState, elapsed: number, estimate: number): number | undefined {
  const ended = trials.filter(isFinal).length
  const complete = trials.filter(isComplete).length
  if (complete < 2) return Number.isNaN(estimate) ? undefined : Math.max(0, estimate - elapsed)
  const final = ((elapsed / complete) * record.finalIterations) / record.iterations
  return (elapsed / ended) * (record.trials - ended) + final
}
