import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import type { DataProgress, PreparedDataset } from '../../lib/data/dataset.js'
import { openDataset } from '../../lib/data/open.js'
import { type PrepareOptions, prepareDataset } from '../../lib/data/prepare.js'
import { TvnError } from '../../lib/errors.js'
import { badFiles, goodVideos, makeClip, makeCutVideo, temporaryFolder } from './videos.js'

const base = temporaryFolder('prepare')
let caches = 0
const newCache = (): string => path.join(base, `cache${caches++}`)

async function prepare(root: string, options: PrepareOptions): Promise<PreparedDataset> {
  return prepareDataset(await openDataset(root, options), options)
}

async function failure(attempt: Promise<unknown>): Promise<TvnError> {
  const error = await attempt.catch((caught: unknown) => caught)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

function storedFiles(cacheDir: string): string[] {
  return readdirSync(path.join(cacheDir, 'frames')).sort()
}

/** What names files of the cache, made independent of where the cache is. */
function portable(dataset: PreparedDataset, cacheDir: string): unknown {
  return JSON.parse(JSON.stringify(dataset).replaceAll(cacheDir, ''))
}

describe('prepareDataset', function () {
  this.timeout(120_000)
  const clips = path.join(base, 'clips')
  const cacheDir = newCache()

  before(() => {
    for (const [c, label] of ['a', 'b'].entries()) for (let i = 0; i < 6; i++) makeClip(path.join(clips, label, `${i}.mkv`), 10 * c + i)
  })

  it('decodes each video once, as plain JSON', async () => {
    const progress: DataProgress[] = []
    const dataset = await prepare(clips, { cacheDir, onProgress: (now) => progress.push(now) })
    expect(dataset).to.include({ name: 'clips', task: 'single-label', flip: false })
    expect(dataset.labels).to.deep.equal(['a', 'b'])
    expect(Object.values(dataset.splits).map((samples) => samples.length)).to.deep.equal([8, 2, 2])
    expect(JSON.parse(JSON.stringify(dataset))).to.deep.equal(dataset)
    for (const { id, labels, video } of dataset.splits.train) {
      expect(labels).to.deep.equal([id.startsWith('a/') ? 0 : 1])
      expect(video).to.include({ frames: 8, fps: 8, width: 32, height: 32 })
      expect(readFileSync(video.path).length).to.equal(video.offset + 8 * 32 * 32 * 3)
    }
    expect(storedFiles(cacheDir)).to.have.length(12)
    const decoding = progress.filter(({ phase }) => phase === 'decode')
    expect(decoding.map(({ done }) => done)).to.deep.equal(Array.from({ length: 13 }, (_, i) => i))
    expect(decoding.at(-1)).to.deep.include({ total: 12, eta: 0 })

    const again: DataProgress[] = []
    expect(await prepare(clips, { cacheDir, onProgress: (now) => again.push(now) })).to.deep.equal(dataset)
    expect(again.filter(({ phase }) => phase === 'decode')).to.deep.equal([{ phase: 'decode', done: 12, total: 12 }])
  })

  it('repairs stored files that are not whole and removes what dead writers left', async () => {
    const whole = await prepare(clips, { cacheDir })
    const damaged = whole.splits.train[0]?.video.path as string
    const original = readFileSync(damaged)
    truncateSync(damaged, 5000)
    const stale = path.join(cacheDir, 'frames', '.x.frames.999999999-0.tmp')
    const alive = path.join(cacheDir, 'frames', `.y.frames.${process.ppid}-0.tmp`)
    for (const file of [stale, alive]) writeFileSync(file, '')
    expect(await prepare(clips, { cacheDir })).to.deep.equal(whole)
    expect(readFileSync(damaged).equals(original)).to.equal(true)
    expect(storedFiles(cacheDir).filter((name) => name.startsWith('.'))).to.deep.equal([path.basename(alive)])
    rmSync(alive)
  })

  it('keeps one stored file for one content', async () => {
    const copied = path.join(base, 'copied')
    cpSync(clips, copied, { recursive: true })
    const files = storedFiles(cacheDir)
    const dataset = await prepare(copied, { cacheDir })
    expect(storedFiles(cacheDir)).to.deep.equal(files)
    expect(dataset.splits.train[0]?.path).to.match(/copied/)
  })

  it('can be aborted and goes on later', async () => {
    const slow = newCache()
    const abort = new AbortController()
    const error = await failure(
      prepare(clips, { cacheDir: slow, signal: abort.signal, onProgress: ({ phase, done }) => phase === 'decode' && done === 3 && abort.abort() }),
    )
    expect(error.code).to.equal('ERR_ABORTED')
    expect(storedFiles(slow).length).to.be.within(3, 6)
    expect(storedFiles(slow).filter((name) => name.startsWith('.'))).to.deep.equal([])
    const dones: number[] = []
    await prepare(clips, { cacheDir: slow, onProgress: ({ phase, done }) => phase === 'decode' && dones.push(done) })
    expect(dones[0]).to.be.at.least(3)
    expect(storedFiles(slow)).to.have.length(12)
  })

  it('uses a folder of mixed videos and names the bad ones', async () => {
    const mixed = path.join(base, 'mixed')
    mkdirSync(path.join(mixed, 'moves'), { recursive: true })
    mkdirSync(path.join(mixed, 'rests'))
    const names = Object.keys(goodVideos)
    names.forEach((name, i) => {
      const folder = path.join(mixed, i % 2 ? 'moves' : 'rests')
      goodVideos[name]?.make(path.join(folder, name), folder)
    })
    for (const [name, { make }] of Object.entries(badFiles)) make(path.join(mixed, 'moves', name), path.join(mixed, 'moves'))
    makeCutVideo(path.join(mixed, 'rests', 'cut.mp4'))
    const dataset = await prepare(mixed, { cacheDir: newCache() })
    const used = Object.values(dataset.splits).flat()
    expect(used.map(({ path: file }) => path.basename(file))).to.have.members([...names, 'cut.mp4'])
    for (const [name, { stored }] of Object.entries(goodVideos)) {
      const [width, height, frames, fps] = stored
      expect(used.find(({ path: file }) => path.basename(file) === name)?.video, name).to.include({ width, height, frames, fps })
    }
    const reasonOf = new Map(dataset.quarantined.map(({ path: file, reason }) => [path.basename(file), reason]))
    expect([...reasonOf.keys()]).to.have.members(Object.keys(badFiles))
    for (const [name, { reason }] of Object.entries(badFiles)) expect(reasonOf.get(name), name).to.match(reason)
  })

  it('leaves out parts that begin after the end', async () => {
    const root = path.join(base, 'parts')
    for (let i = 0; i < 6; i++) makeClip(path.join(root, `${i}.mkv`), i)
    const lines = Array.from({ length: 6 }, (_, i) => ({ path: `${i}.mkv`, labels: [i % 2 ? 'x' : 'y'], split: (['train', 'val', 'test'] as const)[i >> 1] }))
    writeFileSync(
      path.join(root, 'manifest.jsonl'),
      [...lines, { path: '0.mkv', labels: ['x'], split: 'train', start: 1 }, { path: '0.mkv', labels: ['x'], split: 'train', start: 0.5, end: 9 }]
        .map((line) => JSON.stringify(line))
        .join('\n'),
    )
    const dataset = await prepare(root, { cacheDir })
    expect(dataset.splits.train.map(({ id }) => id)).to.deep.equal(['0.mkv', '1.mkv', '0.mkv#0.5-9'])
    expect(dataset.splits.train[2]).to.include({ start: 0.5, end: 9 })
    expect(dataset.quarantined.map(({ reason }) => reason)).to.deep.equal(['its part starts at 1 s, but the video ends at 1.00 s'])
  })

  it('refuses a dataset whose videos cannot be decoded, with the first reason', async () => {
    const root = path.join(base, 'texts')
    for (const label of ['a', 'b']) {
      mkdirSync(path.join(root, label), { recursive: true })
      for (let i = 0; i < 3; i++) writeFileSync(path.join(root, label, `${i}.mp4`), `${label}${i}`)
    }
    const error = await failure(prepare(root, { cacheDir }))
    expect(error.code).to.equal('ERR_DATASET')
    expect(error.message).to.match(/no usable videos \(6 left out; [ab]\/\d\.mp4: not a video\)/)
  })

  it('is not harmed by kill -9 nor by another process at work, and leaves no process behind', async () => {
    const shared = newCache()
    const start = (): ChildProcess =>
      fork(new URL('./prepare-child.ts', import.meta.url), [clips, shared], {
        execArgv: ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href],
        stdio: 'ignore',
      })
    const killed = start()
    const isStored = once(killed, 'message').then(() => true) // one video
    const seen = new Set<number>()
    do for (const child of childrenOf(killed.pid as number)) seen.add(child)
    while (!(await Promise.race([isStored, sleep(20)])))
    const children = [...seen]
    expect(children.length).to.be.above(0)
    killed.kill('SIGKILL')
    const pair = [start(), start()]
    const codes = await Promise.all(pair.map(async (child) => (await once(child, 'exit'))[0] as number))
    expect(codes).to.deep.equal([0, 0])
    for (let i = 0; i < 50 && children.some(isAlive); i++) await sleep(100)
    expect(children.filter(isAlive)).to.deep.equal([])
    const [a, b] = [await prepare(clips, { cacheDir: shared }), await prepare(clips, { cacheDir })]
    expect(portable(a, shared)).to.deep.equal(portable(b, cacheDir))
    expect(storedFiles(shared)).to.deep.equal(storedFiles(cacheDir).filter((name) => storedFiles(shared).includes(name)))
    for (const name of storedFiles(shared))
      expect(readFileSync(path.join(shared, 'frames', name)).equals(readFileSync(path.join(cacheDir, 'frames', name))), name).to.equal(true)
  })

  it('says once that the disk is full and keeps what is done', async () => {
    const disk = newCache()
    const { NODE_OPTIONS = '' } = process.env
    process.env.TVN_TEST_FULL = path.join(disk, 'frames')
    process.env.NODE_OPTIONS = `${NODE_OPTIONS} --import=${new URL('./full-disk.mjs', import.meta.url).href}`
    const error = await failure(prepare(clips, { cacheDir: disk })).finally(() => {
      process.env.NODE_OPTIONS = NODE_OPTIONS
    })
    expect(error.code).to.equal('ERR_FILE')
    expect(error.message).to.match(/no space left on the disk/)
    expect(error.hint).to.match(/TVN_CACHE_DIR/)
    const kept = storedFiles(disk)
    expect(kept.length).to.be.within(1, 5)
    expect(kept.filter((name) => name.startsWith('.'))).to.deep.equal([])
    const dones: number[] = []
    await prepare(clips, { cacheDir: disk, onProgress: ({ phase, done }) => phase === 'decode' && dones.push(done) })
    expect(dones[0]).to.equal(kept.length)
  })
})

function childrenOf(pid: number): number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  return rows.map((row) => row.trim().split(/\s+/).map(Number)).flatMap(([child = 0, parent]) => (parent === pid ? [child] : []))
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
