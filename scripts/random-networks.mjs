// Holds networks against an f64 interpreter: every fusing pass alone, all of them, every instruction set (native/test/networks).
//
//   node scripts/random-networks.mjs                               60 random networks and the presets in small: part of `npm test`
//   node scripts/random-networks.mjs --count 500 --presets full    more of them, and the presets in their own size
//   node scripts/random-networks.mjs --seed 173                    one random network, in words: what a failure prints
//   node scripts/random-networks.mjs --preset tvn-1                one preset
//
// --first is the first seed (1), --presets small, full or none, --max-work what a random network may cost (200e6, see `work`), --tool another
// build of tvn_networks.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Network } from '../dist/network/network.js'
import { Random } from '../dist/random.js'
import { extremes } from '../dist/space/domain.js'
import { sample } from '../dist/space/sample.js'
import { spaces } from '../dist/space/space.js'
import { cornersOf, geneCounts } from './network-coverage.mjs'
import { networkText } from './network-text.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const standard = { count: 60, maxWork: '200e6' }
const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: String(standard.count) },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    preset: { type: 'string' },
    presets: { type: 'string', default: 'small' },
    'max-work': { type: 'string', default: standard.maxWork },
    tool: { type: 'string', default: path.join(root, 'build', 'Release', 'test', 'tvn_networks') },
  },
})
const classes = 11
/** Multiply-accumulates of a preset in small. */
const presetMacs = 500e6
const smallestSize = 8

/** The full space with every head there is. */
const space = { ...spaces.full, head: ['mean', 'temporal-softmax'] }
/** Every value of a block's genes (of a range: its ends). The network of seed k has the k-th for certain. */
const features = Object.entries(space.block).flatMap(([gene, domain]) => extremes(domain).map((value) => ({ gene, value })))

/** Multiply-accumulates for a clip, and a hundred for each parameter: weights are folded and packed anew for every set of passes. */
function work(network) {
  const { macs, params } = network.cost({ classes })
  return macs + 100 * params
}

/** The random network of a seed. As they are drawn, most are too much for the interpreter: blocks keep all their genes, the stream shrinks. */
function randomNetwork(seed) {
  const random = Random.seeded(seed).fork('network')
  const { gene, value } = features[seed % features.length]
  for (;;) {
    const json = sample(space, random, `seed_${seed}`).toJSON()
    const blocks = [...json.blocks]
    const i = random.int(blocks.length)
    blocks[i] = { ...blocks[i], [gene]: value }
    const network = shrink(Network.parse({ ...json, blocks }), random, (small) => work(small) <= Number(options['max-work']))
    if (network !== undefined) return network
  }
}

/** The same blocks on a clip that is small enough: frames or pixels halved by lot, down to one frame of 8 pixels; none where that is too much. */
function shrink(network, random, isSmall) {
  const [stream] = network.streams
  let { frames, size } = stream
  for (;;) {
    const small = Network.parse({ ...network.toJSON(), streams: [{ ...stream, frames, size }] })
    if (small.isBuildable() && isSmall(small)) return small
    if (frames === 1 && size === smallestSize) return undefined
    if (frames > 1 && (size === smallestSize || random.float() < 0.5)) frames = Math.ceil(frames / 2)
    else size = Math.max(Math.floor(size / 2), smallestSize)
  }
}

function preset(name) {
  const network = Network.preset(name)
  return options.presets === 'full' ? network : shrink(network, Random.seeded(0).fork(name), (small) => small.cost({ classes }).macs <= presetMacs)
}

/**
 * The graph of a network, with strides by lot for shortcuts over maps of one pixel. They change nothing, so the lowering writes none; but graphs
 * may have them, and a kernel that told grids apart by the number of their pixels wrote past its memory.
 */
function graphOf(network, seed) {
  const graph = network.graph({ classes })
  const random = Random.seeded(seed).fork('strides')
  const ops = graph.ops.map((op) => {
    if (!op.name.endsWith('.shortcut') || graph.tensors[op.inputs[0]][1] > 1) return op
    const stride = 1 + random.int(3)
    return { ...op, stride: [1, stride, stride] }
  })
  return { ...graph, ops }
}

/** Prints how often values of the genes and corner cases of shapes are among the networks. False where one is missing. */
function printCoverage(cases) {
  const genes = geneCounts(cases)
  const corners = cornersOf(cases)
  console.log(`\n${cases.length} networks; the genes' values, in how many blocks (of stream, blocks and head: networks)`)
  const list = (counts) => [...counts].map(([value, n]) => `${value}: ${n}`).join('   ')
  for (const [gene, counts] of genes) console.log(`${gene.padEnd(20)} ${list(counts)}`)
  console.log(`networks with ${list(corners)}`)
  const missing = [
    ...features.filter(({ gene, value }) => !genes.get(gene).has(value)).map(({ gene, value }) => `${gene} ${value}`),
    ...[...corners.keys()].filter((corner) => corners.get(corner) === 0),
  ]
  if (missing.length > 0) console.log(`no network has ${missing.join(', ')}`)
  return missing.length === 0
}

if (!fs.existsSync(options.tool)) {
  console.error(`${options.tool} is missing: npm test -- --only networks builds it`)
  process.exit(2)
}
const one = options.seed !== undefined || options.preset !== undefined
const maxWork = options['max-work'] === standard.maxWork ? '' : ` --max-work ${options['max-work']}`
const seeds = options.seed ? [Number(options.seed)] : one ? [] : Array.from({ length: Number(options.count) }, (_, i) => Number(options.first) + i)
const presets = options.preset ? [options.preset] : one || options.presets === 'none' ? [] : Network.presets
const cases = [
  ...presets.map((name) => ({ network: preset(name), seed: 0, repeat: `node scripts/random-networks.mjs --preset ${name} --presets ${options.presets}` })),
  ...seeds.map((seed) => ({ network: randomNetwork(seed), seed, repeat: `node scripts/random-networks.mjs --seed ${seed}${maxWork}` })),
].map((each) => ({ ...each, name: each.network.name.replaceAll('-', '_'), graph: graphOf(each.network, each.seed) }))
if (one) console.log(JSON.stringify(cases[0].network, undefined, 2))

const begin = Date.now()
const child = spawn(options.tool, { stdio: ['pipe', 'pipe', 'inherit'] })
child.stdin.on('error', () => {}) // it has crashed: its signal says more
for (const each of cases) child.stdin.write(networkText(each))
child.stdin.end()
let running // name of the network under test
createInterface({ input: child.stdout }).on('line', (line) => {
  running = /^\[ RUN +\] Networks\.(\w+)/.exec(line)?.[1] ?? running
  if (one || !/^\[( RUN| +OK|-)/.test(line)) console.log(line)
})
child.on('close', (status, signal) => {
  // sanitizers end it with a status
  if (status !== 0) console.log(`${signal ? `ended by ${signal}, ` : ''}last network:\nrepeat: ${cases.find(({ name }) => name === running)?.repeat}`)
  const covered = one || printCoverage(cases) || cases.length < standard.count
  const macs = cases.reduce((sum, { network }) => sum + network.cost({ classes }).macs, 0)
  console.log(`${cases.length} networks, ${(macs / 1e9).toFixed(1)} GMACs, ${((Date.now() - begin) / 1000).toFixed(0)} s`)
  process.exit(status === 0 && covered ? 0 : 1)
})
