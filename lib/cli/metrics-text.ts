import type { Quarantined } from '../data/dataset.js'
import { type Column, textTable } from '../text-table.js'
import type { Metrics } from '../train/metrics.js'
import type { Output } from './output.js'

/** Metrics as a summary line and a table by class, worst first. */
export function metricsText(metrics: Metrics, split: string): string {
  const right = (title: string): Column => ({ title, align: 'right' })
  if ('top1' in metrics) {
    const rows = [...metrics.perClass]
      .sort((a, b) => (a.top1 ?? 2) - (b.top1 ?? 2))
      .map(({ label, samples, top1 }) => [label, samples, percent(top1), confusedWith(metrics, label)])
    const table = textTable(['class', right('videos'), right('top-1'), 'most often taken for'], rows)
    return `${split}: top-1 ${percent(metrics.top1)}, top-5 ${percent(metrics.top5)} on ${metrics.samples} videos\n\n${table}`
  }
  const rows = [...metrics.perClass].sort((a, b) => (a.ap ?? 2) - (b.ap ?? 2)).map(({ label, samples, ap }) => [label, samples, percent(ap)])
  return `${split}: mAP ${percent(metrics.map)} on ${metrics.samples} videos\n\n${textTable(['class', right('positives'), right('AP')], rows)}`
}

/** Names what was left out, with the reason of each; on stderr even with `--quiet`. */
export function warnQuarantined(output: Output, quarantined: readonly Quarantined[]): void {
  if (quarantined.length === 0) return
  output.warn(`${quarantined.length} ${quarantined.length === 1 ? 'video was' : 'videos were'} left out:`)
  for (const { path, reason } of quarantined) output.warn(`  ${path}: ${reason}`)
}

function percent(part: number | null): string {
  return part === null ? '–' : `${(100 * part).toFixed(1)} %`
}

function confusedWith({ perClass, confusion }: Extract<Metrics, { top1: number }>, label: string): string {
  const index = perClass.findIndex((entry) => entry.label === label)
  const others = (confusion[index] as readonly number[]).map((count, c) => ({ count, label: perClass[c]?.label ?? '' })).filter((_, c) => c !== index)
  const worst = others.sort((a, b) => b.count - a.count)[0]
  return worst && worst.count > 0 ? `${worst.label} (${worst.count})` : ''
}
