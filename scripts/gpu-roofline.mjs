// What TVN-1 to TVN-4 should cost on GPUs, from what their plans and training steps do: native/cuda/stages.json and training.json hold bytes,
// multiply-accumulates and blocks of every kernel, docs/gpu.md the tables made of them.
//
//   node scripts/gpu-roofline.mjs                                          writes the tables of docs/gpu.md anew; --check only compares
//   node scripts/gpu-roofline.mjs --plan build/cuda-emulation/tools/tvn_cuda_bench_80    asks the emulation for them before; with --check as well, it compares
//   node scripts/gpu-roofline.mjs --print tvn-4                            every kernel of one network
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const stagesFile = path.join(root, 'native', 'cuda', 'stages.json')
const trainingFile = path.join(root, 'native', 'cuda', 'training.json')
const docsFile = path.join(root, 'docs', 'gpu.md')
const networks = ['tvn-1', 'tvn-2', 'tvn-3', 'tvn-4']
const batches = [1, 8]
const trainingBatches = [8]

/** Data sheets: FLOP/s of tensor cores in fp16 with f32 sums (dense), bytes a second, multiprocessors. */
export const devices = [
  { name: 'V100', flops: 125e12, bandwidth: 900e9, multiprocessors: 80 },
  { name: 'H100', flops: 990e12, bandwidth: 3.35e12, multiprocessors: 132 },
]
/** Seconds from one kernel of a graph to the next. */
export const launchSeconds = 2.5e-6

/**
 * Seconds of a stage. `floor`: at the full speed of memory or tensor cores. `expected`: tensor cores of multiprocessors without a block are idle, and
 * every kernel is launched. `limit` says which of them it is.
 */
export function timeOf({ macs, bytes, launches }, { flops, bandwidth, multiprocessors }) {
  const memory = bytes / bandwidth
  const blocks = Math.max(...launches.map((launch) => launch.blocks))
  const compute = (2 * macs) / (flops * Math.min(1, blocks / multiprocessors))
  const start = launches.length * launchSeconds
  const work = Math.max(memory, compute)
  return { floor: Math.max(memory, (2 * macs) / flops), expected: work + start, limit: start > work ? 'launch' : memory > compute ? 'memory' : 'compute' }
}

/** The file of a kernel's name in a plan, and how many launches it may be. */
const files = {
  stem: 'stem.cu',
  conv_gemm: 'conv.cu',
  block_gemm: 'block.cu',
  window_gemm: 'window.cu',
  vector_chain: 'vector.cu',
  depthwise: 'depthwise.cu',
  pool: 'pool.cu',
  mean: 'mean.cu',
  gate: 'gate.cu',
  add: 'elementwise.cu',
  activation: 'elementwise.cu',
  normalize: 'elementwise.cu',
}

/** Rows of tvn_cuda_bench --stages as stages with their launches. A stage has all launches from its own files until the next one's begin. */
export function stagesOf(rows) {
  const launches = rows.filter(({ kind }) => kind === 'launch')
  let at = 0
  const stages = rows
    .filter(({ kind }) => kind === 'stage')
    .map(({ kernel, name, macs, bytes }) => {
      const own = []
      for (const part of kernel.split(', ')) {
        const file = files[part]
        if (launches[at]?.file !== file) throw new Error(`${name}: ${kernel} is launched from ${launches[at]?.file}, expected ${file}`)
        own.push(launches[at++])
        while (launches[at]?.file === 'rows.h') own.push(launches[at++]) // adds parts
      }
      return { kernel, name, macs, bytes, launches: own.map(({ blocks, threads }) => ({ blocks, threads })) }
    })
  if (at !== launches.length) throw new Error(`${launches.length - at} launches belong to no stage`)
  return stages
}

/** Rows of a training step, of which each kernel is one launch, as stages: those that do as much are one, so many times. */
export function trainingOf(rows) {
  const launches = rows.filter(({ kind }) => kind === 'launch')
  const kernels = rows.filter(({ kind }) => kind === 'training_kernel')
  if (launches.length !== kernels.length) throw new Error(`${kernels.length} kernels have ${launches.length} launches`)
  const stages = new Map()
  for (const [i, { kernel, name, file, macs, bytes }] of kernels.entries()) {
    const { blocks, threads } = launches[i]
    if (launches[i].file !== file) throw new Error(`${name}: ${kernel} is launched from ${launches[i].file}, expected ${file}`)
    const key = JSON.stringify([kernel, macs, bytes, blocks])
    const stage = stages.get(key) ?? { kernel, name, times: 0, macs, bytes, launches: [{ blocks, threads }] }
    stages.set(key, { ...stage, times: stage.times + 1 })
  }
  return [...stages.values()]
}

/** By network and batch. `option` is how tvn_cuda_bench takes a batch of that kind, `other` the other one. */
function ask(bench, [option, other], ofBatches, stagesOfRows) {
  const plans = {}
  for (const network of networks) {
    plans[network] = {}
    for (const batch of ofBatches) {
      const text = execFileSync(bench, ['--stages', '--network', network, option, String(batch), other, 'none'], { encoding: 'utf8', maxBuffer: 2 ** 28 })
      const rows = text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      const failure = rows.find(({ kind }) => kind === 'failure')
      if (failure) throw new Error(`${network}, batch ${batch}: ${failure.message}`)
      plans[network][batch] = stagesOfRows(rows)
    }
  }
  return plans
}

/** One stage a line. */
function formatPlans(plans) {
  const entries = (object, format) => Object.entries(object).map(([key, value]) => `${JSON.stringify(key)}: ${format(value)}`)
  const list = (stages) => `[\n${stages.map((stage) => `      ${JSON.stringify(stage)}`).join(',\n')}\n    ]`
  const perBatch = (plan) => `{\n    ${entries(plan, list).join(',\n    ')}\n  }`
  return `{\n  ${entries(plans, perBatch).join(',\n  ')}\n}\n`
}

const sum = (list) => list.reduce((total, value) => total + value, 0)
const microseconds = (seconds) => (seconds * 1e6).toFixed(seconds < 1e-4 ? 1 : 0)
const row = (cells) => `| ${cells.join(' | ')} |`

/** A line a network and batch. */
export function networkTable(plans) {
  const lines = [
    row(['network', 'batch', 'kernels', 'GFLOP', 'MB', ...devices.flatMap(({ name }) => [`${name}: floor µs`, `${name}: expected µs`])]),
    row(['---', '--:', '--:', '--:', '--:', ...devices.flatMap(() => ['--:', '--:'])]),
  ]
  for (const [network, plan] of Object.entries(plans)) {
    for (const [batch, merged] of Object.entries(plan)) {
      const stages = merged.flatMap((stage) => Array.from({ length: stage.times ?? 1 }, () => stage))
      const times = devices.map((device) => stages.map((stage) => timeOf(stage, device)))
      lines.push(
        row([
          network,
          batch,
          sum(stages.map(({ launches }) => launches.length)),
          ((2 * sum(stages.map(({ macs }) => macs))) / 1e9).toFixed(1),
          (sum(stages.map(({ bytes }) => bytes)) / 1e6).toFixed(1),
          ...times.flatMap((list) => [microseconds(sum(list.map(({ floor }) => floor))), microseconds(sum(list.map(({ expected }) => expected)))]),
        ]),
      )
    }
  }
  return lines
}

/** A line a kernel of one clip. */
export function kernelTable(stages) {
  const lines = [
    row(['', 'kernel', 'layers', 'MMACs', 'MB', 'blocks', ...devices.map(({ name }) => `${name} µs, by`)]),
    row(['--:', '---', '---', '--:', '--:', '--:', ...devices.map(() => '--:')]),
  ]
  for (const [i, stage] of stages.entries()) {
    const times = devices.map((device) => timeOf(stage, device))
    lines.push(
      row([
        i + 1,
        stage.kernel,
        layersOf(stage.name),
        (stage.macs / 1e6).toFixed(1),
        (stage.bytes / 1e6).toFixed(2),
        stage.launches.map(({ blocks }) => blocks).join(' + '),
        ...times.map(({ expected, limit }) => `${microseconds(expected)} ${limit}`),
      ]),
    )
  }
  const totals = devices.map((device) => microseconds(sum(stages.map((stage) => timeOf(stage, device).expected))))
  lines.push(
    row(['', '', 'sum', (sum(stages.map(({ macs }) => macs)) / 1e6).toFixed(0), (sum(stages.map(({ bytes }) => bytes)) / 1e6).toFixed(1), '', ...totals]),
  )
  return lines
}

/** "blocks.3.0.gate ⇒ blocks.3.0.expand" → "3.0 gate ⇒ expand" */
function layersOf(name) {
  let block
  return name
    .split(' ⇒ ')
    .map((layer) => {
      const [, of, rest] = /^blocks\.(\d+\.\d+)\.(.*)$/.exec(layer.split('/')[0]) ?? [undefined, undefined, layer]
      const begins = of !== undefined && of !== block
      block = of ?? block
      return begins ? `${of} ${rest}` : rest
    })
    .filter((layer, i, all) => all.indexOf(layer) === i)
    .join(' ⇒ ')
}

/** The tables in a text, each between two comments, anew. */
export function withTables(text, plans, training) {
  const tables = { networks: networkTable(plans), 'tvn-1': kernelTable(plans['tvn-1'][1]), training: networkTable(training) }
  return text.replaceAll(/(<!-- table ([\w-]+), made by scripts\/gpu-roofline\.mjs -->\n)[^]*?(<!-- end of the table -->)/g, (_, begin, name, end) => {
    if (!(name in tables)) throw new Error(`there is no table "${name}"`)
    return `${begin}\n${tables[name].join('\n')}\n\n${end}`
  })
}

export const readPlans = () => JSON.parse(fs.readFileSync(stagesFile, 'utf8'))
export const readTraining = () => JSON.parse(fs.readFileSync(trainingFile, 'utf8'))

function main() {
  const { values } = parseArgs({ options: { plan: { type: 'string' }, check: { type: 'boolean' }, print: { type: 'string' } } })
  if (values.plan) {
    const asked = [
      [stagesFile, formatPlans(ask(values.plan, ['--batch', '--train'], batches, stagesOf))],
      [trainingFile, formatPlans(ask(values.plan, ['--train', '--batch'], trainingBatches, trainingOf))],
    ]
    for (const [file, text] of asked) {
      if (!values.check) fs.writeFileSync(file, text)
      else if (fs.readFileSync(file, 'utf8') !== text) {
        console.log(`${path.relative('', file)} is not what plans do: node scripts/gpu-roofline.mjs --plan ${values.plan}`)
        process.exitCode = 1
      }
    }
  }
  const plans = readPlans()
  if (values.print) {
    console.log(kernelTable(plans[values.print][1]).join('\n'))
    return
  }
  const before = fs.readFileSync(docsFile, 'utf8')
  const after = withTables(before, plans, readTraining())
  if (before === after) return
  if (!values.check) fs.writeFileSync(docsFile, after)
  console.log(`docs/gpu.md ${values.check ? 'is stale: node scripts/gpu-roofline.mjs' : 'is written'}`)
  process.exit(values.check ? 1 : 0)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main()
