// `npm run cuda:resources`: compiles the CUDA kernels for each architecture whose compiler is here and compares what they use with
// native/cuda/resources.json. `--write` writes that file instead; `--arch sm_70,sm_90` takes some architectures; `--jobs 1` compiles one file at
// a time; `--sass FOLDER` keeps the disassembly, where the toolkit has cuobjdump; `--kernels FOLDER` takes other kernels than the project's.
import fs from 'node:fs'
import { parseArgs } from 'node:util'
import { architectures, checkResources } from './cuda/check.mjs'

/** Ends with one line that says what cannot be meant. */
function refuse(why) {
  console.error(`cuda:resources: ${why}`)
  process.exit(2)
}

function readOptions() {
  const text = { type: 'string' }
  try {
    return parseArgs({ options: { write: { type: 'boolean' }, arch: text, jobs: text, sass: text, kernels: text } }).values
  } catch (error) {
    return refuse(error.message.split('\n')[0])
  }
}

const values = readOptions()
const wanted = values.arch?.split(',') ?? architectures
for (const architecture of wanted)
  if (!architectures.includes(architecture)) refuse(`there is no architecture "${architecture}" here: ${architectures.join(', ')}`)
if (values.jobs !== undefined && !/^[1-9]\d*$/.test(values.jobs)) refuse(`--jobs is "${values.jobs}", expected a number of 1 or more`)
if (values.kernels !== undefined && !(fs.existsSync(values.kernels) && fs.readdirSync(values.kernels).some((name) => name.endsWith('.cu'))))
  refuse(`there are no .cu files in ${values.kernels}`)
const ok = await checkResources({
  architectures: wanted,
  write: values.write === true,
  ...(values.jobs && { jobs: Number(values.jobs) }),
  ...(values.sass && { disassembly: values.sass }),
  ...(values.kernels && { folder: values.kernels }),
})
process.exit(ok ? 0 : 1)
