import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { decide } from '../../lib/latency/verdict.js'
import { Random } from '../../lib/random.js'

/** Gives the time of the next call, in milliseconds. */
type Machine = () => number

const typical = 0.5
const seed = 21

/** What slows calls down, each another way. */
const noises: Record<string, (random: Random) => Machine> = {
  gaussian: (random) => () => typical * (1 + 0.05 * random.normal()),
  'log-normal tail': (random) => () => typical * (1 + 0.1 * Math.exp(1.2 * random.normal())),
  bimodal: (random) => () => typical * (random.float() < 0.12 ? 1.6 : 1) * (1 + 0.02 * random.normal()),
  'bursts of 2 ms': bursts(2),
  'bursts of 20 ms': bursts(20),
  'slow drift': (random) => {
    let level = random.normal()
    const kept = Math.exp(-typical / 300) // for 300 ms
    return () => {
      level = kept * level + Math.sqrt(1 - kept * kept) * random.normal()
      return typical * (1 + 0.03 * level) * (1 + 0.02 * random.normal())
    }
  },
}

/** 15 % of the time slow, in bursts of so many milliseconds on average. */
function bursts(milliseconds: number): (random: Random) => Machine {
  return (random) => {
    let [slow, left] = [false, 0]
    return () => {
      left -= typical
      if (left <= 0) {
        slow = random.float() < 0.15
        left = -Math.log(1 - random.float()) * milliseconds
      }
      return typical * (slow ? 1.5 : 1) * (1 + 0.02 * random.normal())
    }
  }
}

interface Recorded {
  readonly sequences: readonly { readonly network: string; readonly load: number; readonly fastest: number; readonly step: number; readonly times: string }[]
}
// written by `npm run record`
const recorded = JSON.parse(readFileSync(new URL('../fixtures/latency/calls.json', import.meta.url), 'utf8')) as Recorded
for (const { network, load, fastest, step, times } of recorded.sequences) {
  const sequence = Float64Array.from(Buffer.from(times, 'base64'), (byte) => fastest * (1 + step) ** byte)
  noises[`recorded: ${network}, load ${load.toFixed(1)}`] = (random) => {
    let at = Math.floor(random.float() * sequence.length)
    return () => sequence[at++ % sequence.length] as number
  }
}

function truePercentile(noise: (random: Random) => Machine, p: number): number {
  const random = Random.seeded(seed + 1)
  const times: number[] = []
  for (let i = 0; i < 20; i++) {
    const machine = noise(random)
    for (let k = 0; k < 15_000; k++) times.push(machine())
  }
  return Float64Array.from(times).sort()[Math.floor((p / 100) * times.length)] as number
}

/** Measures as measureLatency does, for 5 s at most. */
function measure(machine: Machine, milliseconds: number): { verdict: string; calls: number } {
  const limit = { percentile: 90, milliseconds, confidence: 99, device: 'cpu' } as const
  const times: number[] = []
  let clock = 0
  // looks are at 2, 4, 11, 22, 44, 88 and 176 blocks
  for (const stop of [100, 250, 950, 1900, 3700, 5000]) {
    while (clock < stop) {
      const time = machine()
      times.push(time)
      clock += time
    }
    const verdict = decide(limit, times)
    if (verdict !== 'uncertain') return { verdict, calls: times.length }
  }
  return { verdict: 'uncertain', calls: times.length }
}

describe('the verdict on simulated machines', function () {
  this.timeout(120_000)
  const rounds = 200
  for (const [name, noise] of Object.entries(noises)) {
    it(`${name}: at most 1 % false "meets" 5 % below the true p90 (seed ${seed})`, () => {
      const random = Random.seeded(seed)
      const p90 = truePercentile(noise, 90)
      const run = (milliseconds: number) => {
        const outcomes = Array.from({ length: rounds }, () => measure(noise(random), milliseconds))
        const median = (verdict: string) => {
          const calls = outcomes.filter((outcome) => outcome.verdict === verdict).map((outcome) => outcome.calls)
          return calls.sort((a, b) => a - b)[calls.length >> 1] ?? 0
        }
        const count = (verdict: string) => outcomes.filter((outcome) => outcome.verdict === verdict).length
        const text = (['meets', 'fails', 'uncertain'] as const).map(
          (v) => `${v} ${((100 * count(v)) / rounds).toFixed(1)} %${count(v) ? ` (median ${median(v)} calls)` : ''}`,
        )
        return { meets: count('meets'), fails: count('fails'), text: text.join(', ') }
      }
      const below = run(0.95 * p90)
      const far = run(1.5 * truePercentile(noise, 99.9))
      console.log(`        5 % below: ${below.text}\n        far above: ${far.text}`)
      expect(below.meets).to.be.at.most(0.01 * rounds)
      // and it is no verdict that never says so
      expect(far.meets).to.be.at.least(0.95 * rounds)
      expect(far.fails).to.equal(0)
    })
  }
})
