/**
 * `npm run bench:native`: how fast our engine and its rivals run the released networks and two that everybody knows, how fast ours trains small ones, how
 * close its convolutions come to the machine's peak, and whether it leaves the event loop free. Figures are medians of interleaved turns.
 */
import { loadavg } from 'node:os'
import { defineCommand, flag, value, withDefault } from '../lib/cli/command.js'
import { createOutput, type Output } from '../lib/cli/output.js'
import { parseArguments } from '../lib/cli/parse.js'
import { timeText } from '../lib/cli/progress.js'
import { count } from '../lib/cli/values.js'
import { deviceOption } from '../lib/cli/shared-options.js'
import { requireDevice } from '../lib/device.js'
import { TvnError } from '../lib/errors.js'
import { thisMachine } from '../lib/latency/machine.js'
import { availablePrecisions } from '../lib/precision.js'
import { agreementTable, measureAgreement } from './agreement.js'
import { parseWords } from './contenders.js'
import { layerTable, measureLayers } from './layers.js'
import { measureNetworks, type NetworkOptions } from './networks.js'
import { measurePlans } from './plans.js'
import { measureResponsiveness, responsivenessTable } from './responsiveness.js'
import { type BenchDocument, saveResult } from './results.js'
import { networkTable } from './table.js'
import { measureTfjs, tfjsTable } from './tfjs.js'

/** Cores that others may keep busy before figures are in doubt. */
const quietLoad = 0.5

const command = defineCommand({
  name: 'bench:native',
  about: 'Times the native engine beside ONNX Runtime and TensorFlow.js, and on training steps of three small networks.',
  options: {
    layers: flag('also every distinct convolution of tvn-1 to tvn-4: forward, data and weight gradient'),
    tfjs: flag('only: a small video model of stock layers and of ours in TensorFlow.js, on its backends and on ours'),
    only: withDefault(value('WORDS', 'only rows of these networks, engines, precisions or tasks, separated by commas', parseWords), new Set(), 'all'),
    device: { ...deviceOption, about: 'cuda or cuda:<number>: only our engine on that GPU, beside one thread of the CPU' },
    quick: flag('fewer runs, at most a minute'),
    save: flag('keep the result in bench/results and put its table into docs/performance.md'),
    agreement: flag('only: whether 20 production processes of 1,000 calls agree with the verdict about a limit'),
    plans: value('N', 'only: how much this process grows while N plans of random networks are made, run and disposed of', count(10)),
  },
  examples: ['npm run bench:native -- --layers', 'npm run bench:native -- --only tvn-1,onnxruntime,tvn --quick'],
  async run({ options: { only, quick, layers, device, save, agreement, plans, tfjs }, output, signal }) {
    const gpu = await requireDevice(device)
    if (save && (quick || only.size > 0 || gpu))
      throw new TvnError('ERR_ARGUMENT', '--save keeps whole results of the CPU: it goes with neither --quick nor --only nor --device cuda')
    if (gpu?.emulated) output.warn('the GPU is emulated on the CPU: its times mean nothing')
    const [date, load] = [new Date().toISOString(), loadavg()[0] as number]
    if (load > quietLoad) output.warn(`load average ${load.toFixed(1)} before anything was started: figures will be too high and scattered`)
    const progress = (line: string) => {
      signal.throwIfAborted()
      output.progress(line)
    }
    if (agreement) {
      const result = await measureAgreement({ processes: 20, calls: 1000, ladder: 1.05, progress })
      output.result({ agreement: result }, () => agreementTable(result))
      return 0
    }
    if (plans !== undefined) {
      const growth = await measurePlans(plans, progress)
      output.result(growth, () => `${growth.plans} plans: ${growth.residentMiB.toFixed(1)} MiB before them, ${growth.grownMiB.toFixed(1)} MiB more at the end`)
      return 0
    }
    if (tfjs) {
      const { id, cpu, isa } = thisMachine()
      const rows = await measureTfjs(progress)
      output.result({ date, machine: { id, cpu, isa }, load, tfjs: rows }, () => tfjsTable(rows))
      return 0
    }
    const compared = await measureNetworks({ device, only, quick, signal, ...showNetworks(output) })
    const layerRows = layers ? await measureLayers({ only, precisions: availablePrecisions(), quick, progress }) : undefined
    const responsiveness = only.size === 0 && !quick && !gpu ? await measureResponsiveness(progress) : undefined
    const { id, cpu, isa, gpu: gpuName } = thisMachine(gpu)
    const { peak, rows, failures, notes, othersLoad } = compared
    const others = Number.isFinite(othersLoad) ? othersLoad : null
    const document: BenchDocument = {
      date,
      machine: { id, cpu, isa, ...(gpuName !== undefined && { gpu: gpuName }), peak },
      load,
      othersLoad: others,
      rows,
      failures,
      notes,
      layers: layerRows,
      responsiveness,
    }
    if (others !== null && others > quietLoad) output.warn(`others kept ${others.toFixed(1)} cores busy meanwhile: repeat this on a quiet machine`)
    for (const { contender, reason } of failures) output.warn(`${contender} failed: ${reason}`)
    output.result(document, () => report(document))
    if (failures.length > 0) return 1
    if (save) output.note(`kept as ${saveResult(document)}`)
    return 0
  },
})

/** Progress with the time left, from how long the networks before took; a line that stays for each network. */
function showNetworks(output: Output): Pick<NetworkOptions, 'onProgress' | 'onNetwork'> {
  const begin = performance.now()
  return {
    onProgress: ({ doing, done, total }) => {
      const elapsed = (performance.now() - begin) / 1000
      const left = done === 0 ? '' : `, ${timeText((elapsed / done) * (total - done))} left`
      output.progress(`network ${done + 1} of ${total}${left}  ${doing}`)
    },
    onNetwork: (line) => output.progress(line, { final: true }),
  }
}

function report({ date, machine, load, othersLoad, rows, notes, layers, responsiveness }: BenchDocument): string {
  const peaks = Object.entries(machine.peak).map(([precision, gflops]) => `${gflops.toFixed(0)} GFLOP/s ${precision}`)
  const others = othersLoad === null ? '' : `, others kept ${othersLoad.toFixed(2)} cores busy`
  const parts = [
    `${machine.gpu === undefined ? '' : `${machine.gpu}; `}${machine.cpu}, ${machine.isa}: ${peaks.join(', ')} on one core; ${date}, load ${load.toFixed(1)}${others}`,
  ]
  if (rows.length > 0) parts.push(networkTable(rows))
  if (notes.length > 0) parts.push(notes.join('\n'))
  if (layers) parts.push(layerTable(layers))
  if (responsiveness) parts.push(responsivenessTable(responsiveness))
  return parts.join('\n\n')
}

const controller = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort(new TvnError('ERR_ABORTED', `interrupted by ${name}`))
  })
}
try {
  const request = parseArguments(command, process.argv.slice(2))
  if (request.kind === 'help') process.stdout.write(request.text)
  else {
    const output = createOutput({ ...request.global, color: false })
    process.exitCode =
      (await command.run({ options: request.values as never, given: request.given as never, operands: [], output, signal: controller.signal })) ?? 0
  }
} catch (error) {
  const reason = controller.signal.aborted ? controller.signal.reason : error
  if (!(reason instanceof TvnError)) throw error
  process.stderr.write(`${reason.message}\n${reason.hint ? `${reason.hint}\n` : ''}`)
  process.exitCode = { ERR_ARGUMENT: 2, ERR_DEVICE: 2, ERR_ABORTED: 130 }[reason.code as string] ?? 1
}
