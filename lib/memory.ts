import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { TvnError } from './errors.js'

/** Bytes that this process may still take: what the system has left, or what its control group allows, whichever is less. */
export function availableMemory(): number {
  let left = totalmem()
  try {
    const kib = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]
    if (kib !== undefined) left = Number(kib) * 1024
  } catch {
    // The total is all that can be known.
  }
  const allowed = process.constrainedMemory() ?? 0 // 0 or a huge number: no limit
  return allowed > 0 ? Math.min(left, allowed) : left
}

/** Throws ERR_MEMORY when `bytes` are more than can be had, before anything is allocated: the system would grant them and end the process later. */
export function requireMemory(what: string, bytes: number, available = availableMemory()): void {
  const mib = (n: number) => `${Math.ceil(n / 2 ** 20)} MiB`
  if (bytes > available)
    throw new TvnError('ERR_MEMORY', `${what} takes ${mib(bytes)}, this machine has ${mib(available)} left`, {
      hint: 'end other programs, or use a machine with more memory',
    })
}
