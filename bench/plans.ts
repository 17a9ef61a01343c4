import { setTimeout as sleep } from 'node:timers/promises'
import { native } from '../lib/native.js'
import { volume } from '../lib/network/cost.js'
import { Random } from '../lib/random.js'
import { sample } from '../lib/space/sample.js'
import { spaces } from '../lib/space/space.js'
import { collectGarbage } from './garbage.js'
import { randomBytes } from './statistics.js'

export interface PlanGrowth {
  readonly plans: number
  /** Resident memory before them, when Node itself no longer grows, and what they added, in MiB. */
  readonly residentMiB: number
  readonly grownMiB: number
}

/** Creates plans of random networks of the small space, runs each once and disposes of it; a fifth as many come first. */
export async function measurePlans(plans: number, progress: (line: string) => void = () => {}): Promise<PlanGrowth> {
  const random = Random.seeded(1)
  const values = new Float32Array(2 ** 20).map((_, i) => Math.sin(i) / 16)
  const bytes = randomBytes(2 ** 20)
  const warmUp = Math.ceil(plans / 5)
  let first = 0
  let last = 0
  for (let i = 1; i <= warmUp + plans; i++) {
    const network = sample(spaces.small, random)
    const graph = network.graph({ classes: 10 })
    const weights = Object.fromEntries(Object.entries(graph.parameters).map(([name, shape]) => [name, values.subarray(0, volume(shape)).map(Math.abs)]))
    const plan = await native().createPlan(graph, weights, { batch: 1, threads: 1 + (i % 2), precision: 'f32' })
    const { frames, size } = network.streams[0]
    await plan.run(bytes.subarray(0, frames * size * size * 3))
    const looks = (i - warmUp) % Math.ceil(plans / 10) === 0 || i === warmUp + plans
    if (looks) await settle() // before the plan gives memory back
    plan.dispose()
    if (!looks) continue
    await sleep(50)
    last = process.memoryUsage().rss / 2 ** 20
    if (i <= warmUp) first = last
    progress(`plan ${i} of ${warmUp + plans}: ${last.toFixed(1)} MiB`)
  }
  return { plans, residentMiB: first, grownMiB: last - first }
}

/** Twice: what the first collection finalizes is free for the second. */
async function settle(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    collectGarbage()
    await sleep(50)
  }
}
