import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
const main = new URL('../../lib/cli/main.ts', import.meta.url).pathname

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Record<string, string>
  /** Sent when stderr first matches, or so many milliseconds later. */
  readonly interrupt?: { readonly when: RegExp; readonly signal: NodeJS.Signals; readonly later?: number }
}

/** Runs `tvn` from the sources to its end. */
export function tvn(args: readonly string[], { cwd, env, interrupt }: RunOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', tsx, main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (data: Buffer) => {
    stdout += data
  })
  let sent = false
  child.stderr.on('data', (data: Buffer) => {
    stderr += data
    if (interrupt && !sent && interrupt.when.test(stderr)) {
      sent = true
      setTimeout(() => child.kill(interrupt.signal), interrupt.later ?? 0)
    }
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
