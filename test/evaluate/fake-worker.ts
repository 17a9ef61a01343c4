/** A worker whose tasks misbehave in every way the pool has to survive. Started by pool.test.ts. */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { TvnError } from '../../lib/errors.js'
import { serve, type TaskContext } from '../../lib/evaluate/serve.js'

interface FakeTask {
  readonly act:
    | 'echo'
    | 'throw'
    | 'diverge'
    | 'disk-full'
    | 'gpu-lost'
    | 'gpu-gone'
    | 'segfault'
    | 'exit'
    | 'hang'
    | 'spin'
    | 'memory'
    | 'killed-once'
    | 'killed'
    | 'work'
    | 'stamp'
  readonly file?: string
  readonly value?: unknown
}

const held: Buffer[] = []

serve((setup: unknown) => {
  const perform = async ({ act, file = '', value }: FakeTask, { gate, onProgress }: TaskContext): Promise<unknown> => {
    switch (act) {
      case 'echo':
        return { setup, value, pid: process.pid }
      case 'throw':
        throw new Error('the dog ate it')
      case 'diverge':
        throw new TvnError('ERR_DIVERGED', 'loss NaN at iteration 3')
      case 'disk-full':
        throw new TvnError('ERR_FILE', 'weights: no space left on the disk')
      case 'gpu-lost':
        throw new TvnError('ERR_DEVICE_LOST', 'the GPU fell off the bus')
      case 'gpu-gone':
        throw new TvnError('ERR_DEVICE', 'no GPU is there')
      case 'segfault':
        process.stderr.write('kernel: bad address\n')
        process.kill(process.pid, 'SIGSEGV')
        return sleep(60_000)
      case 'exit':
        return process.exit(3)
      case 'hang':
        return sleep(60_000)
      case 'spin':
        for (;;);
      case 'memory':
        for (;;) {
          held.push(Buffer.alloc(16 << 20, 1))
          await sleep(20)
          onProgress({ stage: 'train' })
        }
      case 'killed-once':
        if (existsSync(file)) return 'survived'
        writeFileSync(file, '')
        process.kill(process.pid, 'SIGKILL')
        return sleep(60_000)
      case 'killed':
        process.kill(process.pid, 'SIGTERM')
        process.kill(process.pid, 'SIGKILL')
        return sleep(60_000)
      case 'work':
        for (let i = 0; i < 60; i++) {
          await gate()
          appendFileSync(file, 'w')
          await sleep(20)
          appendFileSync(file, 'W')
          onProgress({ stage: 'train', fraction: i / 60 })
        }
        return 'worked'
      case 'stamp':
        appendFileSync(file, '<')
        await sleep(150)
        appendFileSync(file, '>')
        return 'measured'
      default:
        return act satisfies never
    }
  }
  return { train: perform, measure: perform }
})
