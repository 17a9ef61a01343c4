// `npm run cuda:resources`: compiles the CUDA kernels for each architecture whose compiler is here and compares what they use with
// native/cuda/resources.json. `--write` writes that file instead; `--arch sm_70,sm_90` takes some architectures; `--jobs 1` compiles one file at
// a time; `--sass FOLDER` keeps the disassembly, where the toolkit has cuobjdump; `--kernels FOLDER` takes other kernels than the project's.
import { parseArgs } from 'node:util'
import { architectures, checkResources } from './cuda/check.mjs'

const { values } = parseArgs({
  options: { write: { type: 'boolean' }, arch: { type: 'string' }, jobs: { type: 'string' }, sass: { type: 'string' }, kernels: { type: 'string' } },
})
const wanted = values.arch?.split(',') ?? architectures
for (const architecture of wanted) {
  if (architectures.includes(architecture)) continue
  console.error(`there is no architecture "${architecture}" here: ${architectures.join(', ')}`)
  process.exit(2)
}
const ok = await checkResources({
  architectures: wanted,
  write: values.write === true,
  ...(values.jobs && { jobs: Number(values.jobs) }),
  ...(values.sass && { disassembly: values.sass }),
  ...(values.kernels && { folder: values.kernels }),
})
process.exit(ok ? 0 : 1)
