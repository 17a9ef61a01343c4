import { throwIfAborted } from '../../abort.js'
import { type LatencyReport, measureLatency } from '../../latency/measure.js'
import { Inference } from '../../model/inference.js'
import { profileStages, type StageProfile } from '../../model/profile.js'
import { openNetwork } from '../../model/source.js'
import { native } from '../../native.js'
import { Random } from '../../random.js'
import { type Column, formatMilliseconds, textTable } from '../../text-table.js'
import { initialize } from '../../train/initialize.js'
import { defineCommand, value, withDefault } from '../command.js'
import { classesFor, classesOption, precisionOption, threadsOption } from '../shared-options.js'
import { count } from '../values.js'

const peakMilliseconds = 200

export const command = defineCommand({
  name: 'profile',
  about: 'Measures the latency of a network on this machine and shows where the time goes. Weights do not matter: a network without any gets random ones.',
  examples: ['tvn profile best.safetensors', 'tvn profile tvn-1 --threads 2 --json'],
  operands: [{ name: 'MODEL|PRESET', about: 'model file, Network JSON or the name of a preset' }],
  options: {
    precision: precisionOption,
    threads: threadsOption,
    repetitions: withDefault(value('N', 'timed runs for the stages', count(1, 100_000)), 50),
    classes: classesOption,
  },
  async run({ options, operands: [name = ''], output, signal }) {
    const source = await openNetwork(name)
    const graph = source.network.graph({ classes: classesFor(source, options.classes) })
    const weights = source.model?.weights ?? (await initialize(graph, Random.seeded(0)))
    const { frames, size } = source.network.streams[0]
    const shape = [frames, size, size, 3]
    const random = Random.seeded(0)
    const clip = Uint8Array.from({ length: frames * size * size * 3 }, () => random.uint32() & 255)

    using inference = new Inference(graph, weights, { threads: options.threads, precision: options.precision })
    const { latency, stages, peak } = await inference.withPlan(async (plan) => {
      output.progress(`measuring ${source.network.name}`)
      const latency = await measureLatency(plan, shape, { signal })
      output.progress('measuring the peak of this machine')
      const peak = (await native().measurePeak(peakMilliseconds)) * options.threads
      throwIfAborted(signal)
      output.progress('timing the stages')
      return { latency, stages: await profileStages(plan, clip, options.repetitions, peak), peak }
    })
    throwIfAborted(signal)
    output.result({ latency, stages }, () => `${latencyText(latency)}\n\n${stagesText(stages, peak)}`)
  },
})

function latencyText({ p50, p90, p99, samples, noise }: LatencyReport): string {
  return `latency  p50 ${formatMilliseconds(p50)}, p90 ${formatMilliseconds(p90)}, p99 ${formatMilliseconds(p99)}  (${samples} runs, noise ${(noise * 100).toFixed(1)} %)`
}

function stagesText(stages: readonly StageProfile[], peak: number): string {
  const total = stages.reduce((sum, { ms }) => sum + ms, 0)
  const right = (title: string): Column => ({ title, align: 'right' })
  const rows = stages.map(({ name, kernel, ops, ms, gflops, peakFraction, bytes }) => [
    name,
    kernel,
    ops.length,
    ms.toFixed(3),
    `${((100 * ms) / total).toFixed(1)} %`,
    gflops > 0 ? gflops.toFixed(1) : '',
    gflops > 0 ? `${(100 * peakFraction).toFixed(0)} %` : '',
    (bytes / 1024).toFixed(0),
  ])
  const table = textTable(['stage', 'kernel', right('ops'), right('ms'), right('time'), right('GFLOP/s'), right('of peak'), right('KiB')], rows)
  return `${table}\n\nstages together ${formatMilliseconds(total)}; peak of the threads ${peak.toFixed(0)} GFLOP/s`
}
