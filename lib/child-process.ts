import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** Forks a module, compiled or, under tsx, a .ts file. It is spoken to by messages only; `stderr` says where its complaints go. */
export function forkModule(module: URL, stderr: 'inherit' | 'ignore' | 'pipe'): ChildProcess {
  return fork(module, {
    execArgv: module.pathname.endsWith('.ts') ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href] : [],
    stdio: ['ignore', 'ignore', stderr, 'ipc'],
    serialization: 'advanced',
  })
}

/** Bytes that a process holds in memory; 0 where the system does not tell. */
export function residentBytes(pid: number | undefined): number {
  try {
    return Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
