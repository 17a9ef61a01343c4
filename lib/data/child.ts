import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Forks a module beside the caller's, e.g. `forkBeside(import.meta.url, 'worker')`: the compiled one from compiled code, the
 * TypeScript one (through tsx) from sources. Its stdout is dropped; its stderr is shown when TVN_VERBOSE asks for `decode`.
 */
export function forkBeside(url: string, module: string): ChildProcess {
  const extension = path.extname(fileURLToPath(url))
  return fork(new URL(`${module}${extension}`, url), {
    execArgv: extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [],
    stdio: ['ignore', 'ignore', isVerbose() ? 'inherit' : 'ignore', 'ipc'],
    serialization: 'advanced',
  })
}

const parent = process.ppid

/** True once the process that forked this one is gone. For loops that never return to the event loop. */
export function isOrphan(): boolean {
  return process.ppid !== parent
}

/** In a forked process: end with the parent, and leave Ctrl-C (which a terminal sends to both) to it. */
export function endWithParent(): void {
  process.on('disconnect', () => process.exit(0))
  process.on('SIGINT', () => {})
}

/** Bytes that a process holds in memory; undefined where the system does not tell. */
export function residentBytes(pid: number): number | undefined {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
    return Number.isFinite(pages) ? pages * 4096 : undefined
  } catch {
    return undefined
  }
}

function isVerbose(): boolean {
  return (process.env.TVN_VERBOSE ?? '').split(',').includes('decode')
}

/** One line on stderr when TVN_VERBOSE asks for `decode`. */
export function logDecode(message: string): void {
  if (isVerbose()) process.stderr.write(`decode: ${message}\n`)
}
