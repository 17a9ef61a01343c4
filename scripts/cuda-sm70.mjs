// `npm run cuda:sm70`: fetches CUDA 11.8, the last one in Debian that compiles for V100 (sm_70), into the cache folder (about 860 MB to fetch, 160 MB
// kept; nothing is installed), then compiles the kernels with it and compares what they use with native/cuda/resources.json.
// `--fetch` only fetches; `--write`, `--jobs`, `--sass` and `--kernels` are those of scripts/cuda-resources.mjs.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackedVersions, unpackToolkit, whatIsMissing } from './cuda/debian.mjs'
import { cachedToolkit, cachedVersion, toolkitIn } from './cuda/toolchain.mjs'

const folder = cachedToolkit()
const versions = unpackedVersions(folder)
if (versions) console.log(`CUDA ${cachedVersion} is in ${folder} already (Debian's ${versions['nvidia-cuda-toolkit']})`)
else await fetchToolkit()
if (process.argv.includes('--fetch')) process.exit(0)

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cuda-resources.mjs')
process.exit(spawnSync(process.execPath, [script, '--arch', 'sm_70', ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1)

async function fetchToolkit() {
  const begin = Date.now()
  try {
    const missing = whatIsMissing()
    if (missing) throw new Error(missing)
    await unpackToolkit(folder, (line) => console.log(line))
    if (!toolkitIn(folder)) throw new Error(`${folder}/bin/nvcc does not run on this machine`)
  } catch (error) {
    console.error(`CUDA ${cachedVersion} cannot be had: ${error.message}`)
    process.exit(1)
  }
  const { stdout } = spawnSync('du', ['-sm', folder], { encoding: 'utf8' })
  console.log(`CUDA ${cachedVersion} is in ${folder} (${stdout.split('\t')[0]} MB, ${((Date.now() - begin) / 1000).toFixed(0)} s)`)
}
