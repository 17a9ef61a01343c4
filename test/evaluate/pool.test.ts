import { createRequire } from 'node:module'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import type { Outcome } from '../../lib/evaluate/messages.js'
import { Pool, type PoolOptions, threadsPerWorker } from '../../lib/evaluate/pool.js'

const script = new URL('./fake-worker.ts', import.meta.url)

describe('worker pool', function () {
  this.timeout(60_000)
  let folder: string
  let pool: Pool

  const make = (options: Partial<PoolOptions> = {}) => {
    pool = new Pool({ workers: 1, setup: { hello: 1 }, script, ...options })
    return pool
  }
  const run = (act: string, more: object = {}, name: 'train' | 'measure' = 'train') => pool.run(name, { act, ...more } as never) as Promise<Outcome<unknown>>
  const reason = async (act: string, more: object = {}) => {
    const outcome = await run(act, more)
    return outcome.ok ? `ok: ${JSON.stringify(outcome.result)}` : outcome.reason
  }

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'tvn-pool-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  afterEach(() => pool?.close())

  it('hands setup and task over, values that JSON has no word for included, and keeps the process', async () => {
    make()
    const first = await run('echo', { value: [Number.NaN, Number.POSITIVE_INFINITY] })
    const second = await run('echo', { value: 2 })
    expect(first).to.deep.include({ ok: true })
    const results = [first, second].map((outcome) => (outcome as { result: { setup: unknown; value: unknown; pid: number } }).result)
    expect(results[0]?.setup).to.deep.equal({ hello: 1 })
    expect(results[0]?.value).to.deep.equal([Number.NaN, Number.POSITIVE_INFINITY])
    expect(results[1]?.pid).to.equal(results[0]?.pid)
  })

  it('turns every breakdown into an outcome with a reason, and works on', async () => {
    make({ silenceSeconds: 3, memoryLimit: 400 << 20 })
    expect(await reason('throw')).to.equal('error: the dog ate it')
    expect(await reason('diverge')).to.equal('diverged: loss NaN at iteration 3')
    expect(await reason('segfault')).to.equal('crashed: SIGSEGV, kernel: bad address')
    expect(await reason('exit')).to.equal('crashed: exit code 3')
    expect(await reason('hang')).to.equal('timeout: nothing heard of it for 3 s')
    expect(await reason('spin')).to.equal('timeout: nothing heard of it for 3 s')
    expect(await reason('memory')).to.equal('out of memory: it took more than 400 MiB')
    expect(await reason('echo')).to.match(/^ok: /)
  })

  it('holds nothing against a network when the GPU fails, or is gone: the task rejects', async () => {
    make()
    for (const [act, message] of [
      ['gpu-lost', 'the GPU fell off the bus'],
      ['gpu-gone', 'no GPU is there'],
    ] as const) {
      const error: unknown = await reason(act).catch((thrown: unknown) => thrown)
      expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_DEVICE_LOST', message })
    }
    expect(await reason('echo')).to.match(/^ok: /)
  })

  it('holds nothing against a network when the disk is full: the task rejects, and the worker works on', async () => {
    make()
    const error: unknown = await reason('disk-full').catch((thrown: unknown) => thrown)
    expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_FILE', message: 'weights: no space left on the disk' })
    expect(await reason('echo')).to.match(/^ok: /)
  })

  it('runs a task again whose process was killed from outside, once', async () => {
    make()
    expect(await reason('killed-once', { file: path.join(folder, 'once') })).to.equal('ok: "survived"')
    expect(await reason('killed')).to.equal('killed: by SIGKILL, twice')
  })

  it('measures alone: the others stop between two steps, and go on afterwards', async () => {
    make({ workers: 3 })
    const file = path.join(folder, 'log')
    const works = [run('work', { file }), run('work', { file })]
    // Measuring begins when both work, and again right after; a third worker does it.
    while (!/w.*w/s.test(read(file))) await sleep(10)
    const outcomes = await Promise.all([run('stamp', { file }, 'measure'), run('stamp', { file }, 'measure'), ...works])
    expect(outcomes.every(({ ok }) => ok)).to.equal(true)
    const log = read(file)
    expect(log.replace(/[wW]/g, '')).to.equal('<><>')
    expect(log.match(/</g)).to.have.length(2)
    expect(log, 'nothing between the stamps').to.match(/<>[wW]*<>/)
    let working = 0
    for (const mark of log) {
      working += mark === 'w' ? 1 : mark === 'W' ? -1 : 0
      if (mark === '<' || mark === '>') expect(working, `steps under way in ${log}`).to.equal(0)
    }
    expect(log.match(/w/g)).to.have.length(120)
    expect(log.indexOf('<'), 'it did interrupt them').to.be.below(log.lastIndexOf('w'))
  })

  it('does not count a pause as silence, and measures although a worker breaks down meanwhile', async () => {
    make({ workers: 2, silenceSeconds: 2 })
    const file = path.join(folder, 'break')
    const hang = run('hang')
    await sleep(1000)
    const [measured, hung] = await Promise.all([run('stamp', { file }, 'measure'), hang])
    expect(measured).to.deep.equal({ ok: true, result: 'measured' })
    expect(hung).to.deep.equal({ ok: false, reason: 'timeout: nothing heard of it for 2 s' })
  })

  it('ends its workers and rejects what runs and waits when the signal fires', async () => {
    const controller = new AbortController()
    make({ signal: controller.signal })
    const tasks = [run('hang'), run('echo')]
    setTimeout(() => controller.abort(), 1000)
    for (const task of tasks) expect(await task.catch((error) => error)).to.have.property('code', 'ERR_ABORTED')
    expect(await run('echo').catch((error) => error)).to.have.property('code', 'ERR_ABORTED')
  })

  it('workers end within 5 s when their coordinator is killed, busy or not', async () => {
    const code = `
      import { Pool } from ${JSON.stringify(new URL('../../lib/evaluate/pool.ts', import.meta.url).href)}
      const pool = new Pool({ workers: 2, setup: {}, script: new URL(${JSON.stringify(script.href)}) })
      const { result } = await pool.run('train', { act: 'echo' })
      void pool.run('train', { act: 'hang' })
      const other = await pool.run('train', { act: 'echo' })
      console.log(result.pid, other.result.pid)
      setInterval(() => {}, 1000)`
    const coordinator = spawn(process.execPath, ['--import', createRequire(import.meta.url).resolve('tsx'), '--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const line = await new Promise<string>((resolve) => coordinator.stdout.once('data', (data: Buffer) => resolve(data.toString())))
    const pids = line.trim().split(' ').map(Number)
    expect(pids.every(isAlive)).to.equal(true)
    coordinator.kill('SIGKILL')
    for (let i = 0; i < 50 && pids.some(isAlive); i++) await sleep(100)
    expect(pids.filter(isAlive)).to.deep.equal([])
  })

  it('divides the cores among its workers', () => {
    expect([threadsPerWorker(1, 8), threadsPerWorker(3, 8), threadsPerWorker(16, 8)]).to.deep.equal([8, 2, 1])
  })
})

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A zombie is dead too.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
