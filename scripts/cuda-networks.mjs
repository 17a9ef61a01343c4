// The presets as text, native/cuda/networks/*.txt, for the CUDA backend's tests and benchmarks: the machine with the GPU may have no Node.
//
//   node scripts/cuda-networks.mjs            says which files are not what the presets are now
//   node scripts/cuda-networks.mjs --write    writes them
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Network } from '../dist/network/network.js'
import { presetText } from './network-text.mjs'

const { values: options } = parseArgs({ options: { write: { type: 'boolean', default: false } } })
const folder = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'native', 'cuda', 'networks')
fs.mkdirSync(folder, { recursive: true })
let stale = 0
for (const preset of Network.presets) {
  const file = path.join(folder, `${preset}.txt`)
  const text = presetText(Network, preset)
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) continue
  stale++
  if (options.write) fs.writeFileSync(file, text)
  console.log(`${path.basename(file)} ${options.write ? 'is written' : 'is stale: node scripts/cuda-networks.mjs --write'}`)
}
process.exit(stale > 0 && !options.write ? 1 : 0)
