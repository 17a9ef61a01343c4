import { throwIfAborted } from '../../abort.js'
import { requireDevice } from '../../device.js'
import type { LatencyReport } from '../../latency/measure.js'
import { median } from '../../latency/statistics.js'
import { Inference } from '../../model/inference.js'
import { layersOf, nonGemm, profileStages, type StageProfile } from '../../model/profile.js'
import { openNetwork } from '../../model/source.js'
import { type CpuPrecision, native } from '../../native.js'
import { precisionOn } from '../../precision.js'
import { Random } from '../../random.js'
import { type Column, formatMilliseconds, textTable } from '../../text-table.js'
import { initialize } from '../../train/initialize.js'
import { defineCommand, value, withDefault } from '../command.js'
import { classesFor, classesOption, deviceOption, precisionOption, threadsOption } from '../shared-options.js'
import { count } from '../values.js'

/** The peak is the median of so many slices of a millisecond: like a stage's median, untouched by what else wants the core. */
const peakSlices = 200

export const command = defineCommand({
  name: 'profile',
  about: 'Measures the latency of a network on this machine and shows where the time goes. Weights do not matter: a network without any gets random ones.',
  examples: ['tvn profile best.safetensors', 'tvn profile tvn-1 --threads 2 --json', 'tvn profile tvn-1 --device cuda'],
  operands: [{ name: 'MODEL|PRESET', about: 'model file, Network JSON or the name of a preset' }],
  options: {
    device: deviceOption,
    precision: precisionOption,
    threads: threadsOption,
    repetitions: withDefault(value('N', 'timed runs for the stages', count(1, 100_000)), 50),
    classes: classesOption,
  },
  async run({ options, operands: [name = ''], output, signal }) {
    const { device, threads, repetitions } = options
    const precision = precisionOn(device, options.precision)
    await requireDevice(device)
    const source = await openNetwork(name)
    const graph = source.network.graph({ classes: classesFor(source, options.classes) })
    const weights = source.model?.weights ?? (await initialize(graph, Random.seeded(0)))
    const { frames, size } = source.network.streams[0]
    const shape = [frames, size, size, 3]
    const random = Random.seeded(0)
    const clip = Uint8Array.from({ length: frames * size * size * 3 }, () => random.uint32() & 255)

    using inference = new Inference(graph, weights, { device, threads, precision, search: true })
    output.progress(`measuring ${source.network.name}`)
    const latency = await inference.measure(shape, { signal })
    const { stages, peak } = await inference.withPlan(async (plan) => {
      if (precision !== 'f16') output.progress('measuring the peak of this machine')
      const peak = precision === 'f16' ? undefined : (await peakOfCore(precision)) * threads
      throwIfAborted(signal)
      output.progress('timing the stages')
      return { stages: await profileStages(plan, clip, repetitions, peak), peak }
    })
    throwIfAborted(signal)
    output.result({ latency, stages, nonGemm: nonGemm(stages) }, () => `${latencyText(latency)}\n\n${stagesText(stages, peak)}`)
  },
})

/** GFLOP/s of one core. */
async function peakOfCore(precision: CpuPrecision): Promise<number> {
  const slices: number[] = []
  while (slices.length < peakSlices) slices.push(await native().measurePeak(1, precision))
  return median(slices)
}

function latencyText({ device, p50, p90, p99, samples, noise, compute, kernels, cold }: LatencyReport): string {
  const figures = (of: { p50: number; p90: number; p99: number }) =>
    `p50 ${formatMilliseconds(of.p50)}, p90 ${formatMilliseconds(of.p90)}, p99 ${formatMilliseconds(of.p99)}`
  return [
    ...(device === 'emulated' ? ['the GPU is emulated on the CPU: these times mean nothing'] : []),
    `warm     ${figures({ p50, p90, p99 })}  (${samples} calls, noise ${(noise * 100).toFixed(1)} %)`,
    `compute  ${figures(compute)}  (${compute.samples} runs without the call, pinned to a core)`,
    ...(kernels ? [`kernels  ${figures(kernels)}  (of those runs, by the clock of ${device}: without the way there and back)`] : []),
    ...(cold ? [`cold     p50 ${formatMilliseconds(cold.p50)}, at most ${formatMilliseconds(cold.max)}  (${cold.samples} runs, caches empty)`] : []),
  ].join('\n')
}

function stagesText(stages: readonly StageProfile[], peak: number | undefined): string {
  const sum = (of: (stage: StageProfile) => number) => stages.reduce((all, stage) => all + of(stage), 0)
  const total = sum(({ ms }) => ms)
  const right = (title: string): Column => ({ title, align: 'right' })
  const row = (name: string, fused: string, kernel: string, { ms, gflops, bytes }: Pick<StageProfile, 'ms' | 'gflops' | 'bytes'>) => [
    name,
    fused,
    kernel,
    ms.toFixed(3),
    `${((100 * ms) / total).toFixed(1)} %`,
    gflops > 0 ? gflops.toFixed(1) : '',
    ...(peak === undefined ? [] : [gflops > 0 ? `${((100 * gflops) / peak).toFixed(0)} %` : '']),
    (bytes / 1024).toFixed(0),
  ]
  // A band has a line for each of its layers, and its figures beside the first.
  const rows = stages.flatMap((stage) => {
    const [first, ...others] = layersOf(stage).map(({ name, fused, kernel }) => [name, fused, kernel] as const)
    const [name = '', fused = '', kernel = ''] = first ?? []
    return [row(name, fused, stage.cut ? `${kernel}, ${stage.cut}` : kernel, stage), ...others.map(([next, ...cells]) => [`⇒ ${next}`, ...cells])]
  })
  const all = { ms: total, gflops: sum(({ ms, gflops }) => ms * gflops) / total, bytes: sum(({ bytes }) => bytes) }
  const columns = [
    'stage',
    'fused into it',
    'kernel',
    right('ms'),
    right('time'),
    right('GFLOP/s'),
    ...(peak === undefined ? [] : [right('of peak')]),
    right('KiB'),
  ]
  const rest = nonGemm(stages)
  const share = `not matrix products: ${formatMilliseconds(rest.ms)}, ${(100 * rest.fraction).toFixed(1)} % of the time`
  const summary = peak === undefined ? share : `${share}; peak of the threads ${peak.toFixed(0)} GFLOP/s`
  return `${textTable(columns, [...rows, row('total', '', '', all)])}\n\n${summary}`
}
