import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { native } from '../../lib/native.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
/** The emulation's library. */
export const library = `${root}build/Release/libtvn_cuda_emu.so`
const build = 'npm run build:cuda -- --emulation'

/** What makes programs compute on the emulated GPU. */
export const emulatedEnv = { TVN_CUDA: 'emulated' } as const

/** The tests of this block run with these variables, which are as before after it. */
export function withEnvironment(variables: Readonly<Record<string, string | undefined>>): void {
  const before = new Map<string, string | undefined>()
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  globalThis.before(() => {
    for (const [name, value] of Object.entries(variables)) {
      before.set(name, process.env[name])
      set(name, value)
    }
  })
  globalThis.after(() => {
    for (const [name, value] of before) set(name, value)
  })
}

/** The tests of this block have the emulated GPU, which is built where it is missing; what keeps it from running fails them. */
export function withEmulation(variables: Readonly<Record<string, string>> = {}): void {
  withEnvironment({ ...emulatedEnv, TVN_EMULATION_THREADS: '2', ...variables })
  globalThis.before(async function () {
    this.timeout(20 * 60_000)
    buildEmulation()
    const { available, reason } = await native().cudaDevices()
    if (!available) throw new Error(`${reason} (${build})`)
  })
}

/** The emulation's library, made where it is missing. */
export function buildEmulation(): void {
  if (existsSync(library)) return
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build-cuda.mjs', '--emulation'], { cwd: root, encoding: 'utf8' })
  if (status !== 0 || !existsSync(library)) throw new Error(`the emulation cannot be built, ${build} says why:\n${stdout}${stderr}`)
}
