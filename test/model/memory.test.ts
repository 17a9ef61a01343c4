import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { PlanGrowth } from '../../bench/plans.js'
import { loadModel } from '../../lib/model/model.js'
import { readSafetensors } from '../../lib/model/safetensors.js'
import { native } from '../../lib/native.js'
import { volume } from '../../lib/network/cost.js'
import { Network } from '../../lib/network/network.js'

const golden = new URL('../fixtures/golden/std-even-kernel.safetensors', import.meta.url).pathname
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const child = new URL('plans-child.ts', import.meta.url).pathname

describe('memory', () => {
  for (const name of ['tvn-1', 'tvn-2', 'tvn-3', 'tvn-4', 'tvn-mobile-1', 'tvn-mobile-2']) {
    it(`of ${name}: at most 1.3 times the largest two activations beside its packed weights`, async () => {
      const graph = Network.preset(name).graph({ classes: Network.presetClasses(name) as number })
      const weights = Object.fromEntries(Object.entries(graph.parameters).map(([parameter, shape]) => [parameter, new Float32Array(volume(shape)).fill(0.01)]))
      // Two threads need more scratch than one.
      const plan = await native().createPlan(graph, weights, { batch: 1, threads: 2, precision: 'f32' })
      const { arena, activations, scratch } = plan.memory()
      plan.dispose()
      expect(activations).to.be.above(0)
      expect(arena / activations, `${arena} bytes for ${activations}, ${scratch} of scratch`).to.be.within(1, 1.3)
    }).timeout(120_000)
  }

  it('is given back by plans that are disposed of', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--max-semi-space-size=1', '--import', tsx, child, '160'])
    const { plans, grownMiB } = JSON.parse(stdout) as PlanGrowth
    expect(plans).to.equal(160)
    // What Node itself takes until it is warm is in it; a leak of a tenth of each plan is more.
    expect(grownMiB).to.be.below(40)
  }).timeout(120_000)

  it('does not grow while a model runs', async () => {
    const clips = (await readSafetensors(golden)).tensors.get('golden.clips')
    using model = await loadModel(golden)
    const call = async (times: number) => {
      for (let i = 0; i < times; i++) await model.logits(clips?.data as Uint8Array, clips?.shape as number[])
      return process.memoryUsage()
    }
    await call(500)
    const before = await call(1)
    const after = await call(3000)
    // clips alone are 3000 times this much
    const bytes = clips?.data.length as number
    expect(after.arrayBuffers - before.arrayBuffers).to.be.below(8 * 2 ** 20)
    expect(after.rss - before.rss, `${bytes} bytes a call`).to.be.below(Math.min(24 * 2 ** 20, 1500 * bytes))
  })
})
