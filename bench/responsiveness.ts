import { native } from '../lib/native.js'
import { Random } from '../lib/random.js'
import { initialize } from '../lib/train/initialize.js'
import { smallNetworks } from './small-networks.js'
import { randomBytes } from './statistics.js'

/** How late a 10 ms timer fires, in milliseconds, while the engine trains in the same process. */
export interface Responsiveness {
  readonly timers: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Trains a small network on two threads for `seconds` and watches a 10 ms timer. */
export async function measureResponsiveness(seconds = 5): Promise<Responsiveness> {
  const network = smallNetworks[1] as (typeof smallNetworks)[number]
  const graph = network.graph({ classes: 10 })
  const options = { threads: 2, task: 'single-label', labelSmoothing: 0.1, dropout: 0.2, momentum: 0.9, nesterov: true, weightDecay: 1e-4, seed: 1 } as const
  const trainer = await native().createTrainer(graph, Object.fromEntries(await initialize(graph, Random.seeded(1))), options)
  const { frames, size } = network.streams[0]
  const clips = randomBytes(16 * frames * size * size * 3)
  const labels = new Int32Array(16)

  const lateness: number[] = []
  let due = performance.now() + 10
  const timer = setInterval(() => {
    const now = performance.now()
    lateness.push(Math.max(0, now - due))
    due = now + 10
  }, 10)
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) await trainer.step(clips, 16, labels, 1e-3)
  clearInterval(timer)
  trainer.dispose()
  lateness.sort((a, b) => a - b)
  const at = (share: number) => lateness[Math.min(lateness.length - 1, Math.floor(share * lateness.length))] ?? Number.NaN
  return { timers: lateness.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

export function responsivenessLine({ timers, p50, p99, max }: Responsiveness): string {
  return `event loop while training on two threads: a 10 ms timer fires ${p50.toFixed(1)} ms late (median of ${timers}), p99 ${p99.toFixed(1)} ms, at most ${max.toFixed(1)} ms`
}
