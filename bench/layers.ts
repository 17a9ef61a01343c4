import { type NativeConvBenchmark, native, type CpuPrecision } from '../lib/native.js'
import { Network } from '../lib/network/network.js'
import { textTable } from '../lib/text-table.js'
import { summarize } from './statistics.js'

export interface LayerRow {
  readonly network: string
  readonly layer: string
  /** E.g. `4×4/2 64→64 @1×224×224`. */
  readonly shape: string
  readonly pass: NativeConvBenchmark['pass']
  readonly precision: CpuPrecision
  /** The kernel that ran. */
  readonly algorithm: string
  readonly gflops: number
  /** Arithmetic intensity: operations for each byte of input, output and weights, moved once. Below about 10 the memory is the limit, not the FMA units. */
  readonly flopsPerByte: number
  /** Of the FMA peak of one core, measured just before and after. */
  readonly peakFraction: number
}

export interface LayerOptions {
  readonly only: ReadonlySet<string>
  readonly precisions: readonly CpuPrecision[]
  readonly quick: boolean
  readonly progress: (line: string) => void
}

const networks = ['tvn-1', 'tvn-2', 'tvn-3', 'tvn-4']
const passes = ['forward', 'data-gradient', 'weight-gradient'] as const

interface Layer {
  readonly network: string
  readonly layer: string
  readonly shape: string
  readonly macs: number
  readonly bytes: number
  readonly conv: Pick<NativeConvBenchmark, 'x' | 'outputChannels' | 'kernel' | 'stride' | 'depthwise'>
}

/** Every distinct convolution, dense or depthwise, of the networks: one clip. The gates' matrix–vector products are left out. */
function distinctLayers(only: ReadonlySet<string>): Layer[] {
  const found = new Map<string, Layer>()
  for (const network of networks.filter((name) => !networks.some((n) => only.has(n)) || only.has(name))) {
    const graph = Network.preset(network).graph({ classes: Network.presetClasses(network) ?? 10 })
    for (const op of graph.ops) {
      if (op.op !== 'conv' && op.op !== 'depthwise') continue
      const [t, h, w, c] = graph.tensors[op.inputs[0]] as readonly [number, number, number, number]
      const [ot, oh, ow, oc] = graph.tensors[op.output] as readonly [number, number, number, number]
      if (t * h * w === 1) continue
      const [kt, kh, kw] = op.kernel
      const [, stride] = op.stride
      const depthwise = op.op === 'depthwise'
      const extent = kt > 1 ? `${kt}×1×1` : `${kh}×${kw}`
      const shape = `${depthwise ? 'depthwise ' : ''}${extent}${stride > 1 ? `/${stride}` : ''} ${c}→${oc} @${t}×${h}×${w}`
      if (found.has(shape)) continue
      const weights = oc * kt * kh * kw * (depthwise ? 1 : c)
      const macs = ot * oh * ow * weights
      found.set(shape, {
        network,
        layer: op.name,
        shape,
        macs,
        bytes: 4 * (t * h * w * c + ot * oh * ow * oc + weights),
        conv: { x: [1, t, h, w, c], outputChannels: oc, kernel: op.kernel, stride: op.stride, depthwise },
      })
    }
  }
  return [...found.values()]
}

/** GFLOP/s of each pass of each distinct layer on one thread, in every precision that it has. The first layer's data gradient is never needed and left out. */
export async function measureLayers({ only, precisions, quick, progress }: LayerOptions): Promise<LayerRow[]> {
  const rows: LayerRow[] = []
  const layers = distinctLayers(only)
  const budget = quick ? 60 : 250 // ms of timed runs for each pass
  for (const [i, { network, layer, shape, macs, bytes, conv }] of layers.entries()) {
    progress(`layer ${i + 1} of ${layers.length}: ${shape}`)
    for (const precision of precisions) {
      const before = await native().measurePeak(15, precision)
      const timed: { pass: NativeConvBenchmark['pass']; kernel: string; median: number }[] = []
      for (const pass of passes) {
        if (pass === 'data-gradient' && conv.x[4] === 3) continue
        if (precision !== 'f32' && (pass !== 'forward' || conv.depthwise)) continue
        const one = (await native().benchmarkConv({ ...conv, pass, threads: 1, runs: 1, precision })).ms[0] as number
        const runs = Math.max(3, Math.min(2000, Math.ceil(budget / Math.max(one, 1e-3))))
        const { kernel, ms } = await native().benchmarkConv({ ...conv, pass, threads: 1, runs, precision })
        timed.push({ pass, kernel, median: summarize([...ms]).median })
      }
      const peak = Math.max(before, await native().measurePeak(15, precision))
      for (const { pass, kernel, median } of timed) {
        const gflops = (macs * 2) / median / 1e6
        rows.push({ network, layer, shape, pass, precision, algorithm: kernel, gflops, flopsPerByte: (macs * 2) / bytes, peakFraction: gflops / peak })
      }
    }
  }
  return rows
}

/** One line a layer, the passes side by side. */
export function layerTable(rows: readonly LayerRow[]): string {
  const byShape = new Map<string, LayerRow[]>()
  for (const row of rows) byShape.set(row.shape, [...(byShape.get(row.shape) ?? []), row])
  const columns = [
    'first in',
    'layer',
    'shape',
    { title: 'FLOP/byte', align: 'right' as const },
    ...passes.map((title) => ({ title, align: 'right' as const })),
    { title: 'forward bf16', align: 'right' as const },
  ]
  return `GFLOP/s (share of peak), one core\n${textTable(
    columns,
    [...byShape.values()].map((layer) => {
      const { network, layer: name, shape, flopsPerByte } = layer[0] as LayerRow
      const cell = (pass: string, precision: CpuPrecision) => {
        const row = layer.find((r) => r.pass === pass && r.precision === precision)
        return row ? `${row.gflops.toFixed(0)} (${(100 * row.peakFraction).toFixed(0)} %)` : '–'
      }
      return [network, name, shape, flopsPerByte.toFixed(1), ...passes.map((pass) => cell(pass, 'f32')), cell('forward', 'bf16')]
    }),
  )}`
}
