/**
 * `npm run record`: writes test/fixtures/latency/calls.json, times of calls in a row on this machine as it is now, for the
 * simulation of the latency verdict (test/latency/simulation.test.ts). Run it on machines that are quiet and on such that are not.
 */
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { thisMachine } from '../lib/latency/machine.js'
import { Inference } from '../lib/model/inference.js'
import { Random } from '../lib/random.js'
import { initialize } from '../lib/train/initialize.js'
import { smallNetworks } from './small-networks.js'
import { randomBytes } from './statistics.js'

const calls = 15_000
/** A time is `fastest · (1 + step)^byte`: a byte reaches 44 times the fastest. */
const step = 0.015

const sequences = []
for (const network of smallNetworks) {
  const graph = network.graph({ classes: 10 })
  using inference = new Inference(graph, await initialize(graph, Random.seeded(0)), { threads: 1, precision: 'f32', search: true })
  const { frames, size } = network.streams[0]
  const clip = randomBytes(frames * size * size * 3)
  const call = async () => {
    const begun = performance.now()
    await inference.logits(clip, 1)
    return performance.now() - begun
  }
  for (let i = 0; i < 500; i++) await call()
  const times: number[] = []
  const load = loadavg()[0]
  while (times.length < calls) times.push(await call())
  const fastest = Math.min(...times)
  const bytes = Uint8Array.from(times, (time) => Math.min(255, Math.round(Math.log(time / fastest) / Math.log1p(step))))
  sequences.push({ network: network.name, load, fastest, step, times: Buffer.from(bytes).toString('base64') })
  process.stderr.write(`${network.name}: ${calls} calls, load ${load?.toFixed(1)}\n`)
}
const { cpu, isa } = thisMachine()
writeFileSync('test/fixtures/latency/calls.json', `${JSON.stringify({ cpu, isa, sequences }, null, 1)}\n`)
