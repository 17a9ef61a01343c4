import type { Output } from './output.js'

export interface PhaseProgress {
  readonly phase: string
  readonly done: number
  readonly total: number
  readonly loss?: number
  /** Steps so far that were skipped. */
  readonly skipped?: number
}

const words: Readonly<Record<string, string>> = {
  hash: 'reading files',
  render: 'making the demo videos',
  decode: 'decoding videos',
  train: 'training',
  evaluate: 'evaluating',
}
const redrawMilliseconds = 100

/**
 * Shows the phases of a long command on stderr: a live line with a bar and the time left; when a phase is done, one line that stays.
 *
 * @param clock milliseconds
 */
export function showProgress(output: Output, clock: () => number = () => performance.now()): (progress: PhaseProgress) => void {
  let phase = ''
  let [begun, drawn] = [0, 0]
  let loss: number | undefined
  return (progress) => {
    const now = clock()
    if (progress.phase !== phase) {
      phase = progress.phase
      begun = now
      drawn = Number.NEGATIVE_INFINITY
      loss = undefined
    }
    if (progress.loss !== undefined && Number.isFinite(progress.loss)) loss = loss === undefined ? progress.loss : 0.95 * loss + 0.05 * progress.loss
    const final = progress.done >= progress.total
    if (!final && now - drawn < redrawMilliseconds) return
    drawn = now
    const { loss: _, ...rest } = progress
    output.progress(progressLine({ ...rest, ...(loss !== undefined && { loss }) }, (now - begun) / 1000), { final })
  }
}

/** E.g. `training        ████████····  340/500  loss 1.234  6 s left`. */
export function progressLine({ phase, done, total, loss, skipped = 0 }: PhaseProgress, elapsedSeconds: number): string {
  const part = total > 0 ? Math.min(done / total, 1) : 1
  const cells = 20
  const bar = '█'.repeat(Math.round(part * cells)).padEnd(cells, '·')
  const time =
    done >= total ? `in ${timeText(elapsedSeconds)}` : done > 0 && elapsedSeconds > 1 ? `${timeText((elapsedSeconds / done) * (total - done))} left` : ''
  return [
    (words[phase] ?? phase).padEnd(22),
    bar,
    `${done}/${total}`,
    loss === undefined ? '' : `loss ${loss.toFixed(3)}`,
    skipped > 0 ? `${skipped} skipped` : '',
    time,
  ]
    .filter((text) => text !== '')
    .join('  ')
}

/** `8 s`, `3 min 20 s`, `1 h 5 min`. */
export function timeText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
