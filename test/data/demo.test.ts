import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import type { DataProgress } from '../../lib/data/dataset.js'
import { ffmpegEncoder } from '../../lib/data/demo/encode-ffmpeg.js'
import { makeDemo } from '../../lib/data/demo/make.js'
import { ClipRenderer, frameBytes } from '../../lib/data/demo/render.js'
import { type ClipPlan, classes, type DemoClass, frameSize, motions, planClip, type Pose } from '../../lib/data/demo/task.js'
import { openDataset } from '../../lib/data/open.js'
import { prepareDataset } from '../../lib/data/prepare.js'
import { ffmpegProgram, temporaryFolder } from './videos.js'

const small = { seed: 7, clipsPerClass: { train: 2, val: 1, test: 1 }, frames: 12 } as const

/** The luma planes of a clip's frames. */
function lumas(plan: ClipPlan, frames: number): Uint8Array[] {
  const renderer = new ClipRenderer(plan)
  return Array.from({ length: frames }, () => {
    const frame = new Uint8Array(frameBytes)
    renderer.next(frame)
    return frame.subarray(0, frameSize * frameSize)
  })
}

/** A clip with nothing random in it: a bright still sprite on black. */
function plain(change: Partial<ClipPlan> & { readonly start?: Pose; readonly rate?: Pose }): ClipPlan {
  const white = [255, 255, 255] as const
  const black = [0, 0, 0] as const
  return {
    shape: 'disc',
    paint: { kind: 'halves', angle: 0, bright: white, dark: white },
    start: { x: 48, y: 48, u: 0, angle: 0 },
    rate: { x: 0, y: 0, u: 0, angle: 0 },
    background: { colors: [black, black], cells: [3, 8], drift: [0, 0] },
    gain: 1,
    offset: 0,
    noise: 0,
    seed: 1,
    ...change,
  }
}

/** Light in pixels that are fully white, and its centre on the torus. */
function measure(luma: Uint8Array): { area: number; x: number; y: number } {
  let area = 0
  const sums = { cx: 0, sx: 0, cy: 0, sy: 0 }
  luma.forEach((value, i) => {
    const light = (value - 16) / 219
    const [x, y] = [((i % frameSize) + 0.5) * ((2 * Math.PI) / frameSize), (Math.floor(i / frameSize) + 0.5) * ((2 * Math.PI) / frameSize)]
    area += light
    sums.cx += light * Math.cos(x)
    sums.sx += light * Math.sin(x)
    sums.cy += light * Math.cos(y)
    sums.sy += light * Math.sin(y)
  })
  const angle = (s: number, c: number): number => ((Math.atan2(s, c) / (2 * Math.PI)) * frameSize + frameSize) % frameSize
  return { area, x: angle(sums.sx, sums.cx), y: angle(sums.sy, sums.cy) }
}

describe('demo clips', () => {
  it('draw the sprite at its place and size, also across the edges', () => {
    for (const [x, y] of [
      [48, 48],
      [0, 30],
      [95.5, 95.5],
      [20, 191],
      [-5, -200],
    ] as const) {
      for (const u of [0, 0.5, 0.99, 1.25, -0.75]) {
        const [luma] = lumas(plain({ start: { x, y, u, angle: 1 } }), 1)
        const found = measure(luma as Uint8Array)
        const radius = 16 * 2.5 ** (u - Math.floor(u))
        expect(found.area, `area at ${x}, ${y}, ${u}`).to.be.closeTo(Math.PI * radius ** 2, 0.02 * Math.PI * radius ** 2)
        for (const [got, put] of [
          [found.x, x],
          [found.y, y],
        ] as const)
          expect(Math.abs(((got - put + 48 + 960) % 96) - 48), `centre at ${x}, ${y}`).to.be.below(0.1)
      }
    }
  })

  it('draw the four shapes in their proportions', () => {
    const areaOf = (shape: ClipPlan['shape']): number =>
      measure(lumas(plain({ shape, start: { x: 48, y: 48, u: 0.999, angle: 0.7 } }), 1)[0] as Uint8Array).area / 1600
    expect(areaOf('disc')).to.be.closeTo(Math.PI, 0.03)
    expect(areaOf('rectangle')).to.be.closeTo(4 * 0.8 * 0.65, 0.03)
    expect(areaOf('triangle')).to.be.closeTo((3 * Math.sqrt(3)) / 4, 0.03)
    expect(areaOf('half-moon')).to.be.within(Math.PI / 2, Math.PI / 2 + 0.25)
  })

  it('paint halves, outlines and stripes', () => {
    const white = [255, 255, 255] as const
    const black = [0, 0, 0] as const
    const shareOf = (paint: ClipPlan['paint']): number =>
      measure(lumas(plain({ paint, start: { x: 48, y: 48, u: 0.999, angle: 0.3 } }), 1)[0] as Uint8Array).area / (Math.PI * 1600)
    expect(shareOf({ kind: 'halves', angle: 1, bright: white, dark: black })).to.be.closeTo(0.5, 0.01)
    expect(shareOf({ kind: 'hollow', color: white })).to.be.closeTo(1 - 0.75 ** 2, 0.01)
    expect(shareOf({ kind: 'striped', angle: 1, stripesPerRadius: 8, light: white, dark: black })).to.be.closeTo(0.5, 0.03)
  })

  it('move as their class says, and hardly otherwise', () => {
    const axes: Readonly<Record<(typeof motions)[number], readonly [axis: keyof Pose, sign: 1 | -1, low: number, high: number]>> = {
      left: ['x', -1, 1, 2],
      right: ['x', 1, 1, 2],
      up: ['y', -1, 1, 2],
      down: ['y', 1, 1, 2],
      grow: ['u', 1, 0.4 / 24 / Math.log(2.5), 0.8 / 24 / Math.log(2.5)],
      shrink: ['u', -1, 0.4 / 24 / Math.log(2.5), 0.8 / 24 / Math.log(2.5)],
      clockwise: ['angle', 1, (Math.PI * 5) / 180, (Math.PI * 10) / 180],
      'counter-clockwise': ['angle', -1, (Math.PI * 5) / 180, (Math.PI * 10) / 180],
    }
    const nuisance: Pose = { x: 0.16, y: 0.16, u: 0.03 / 24 / Math.log(2.5), angle: (6 * Math.PI) / 180 / 24 }
    for (const kind of motions) {
      for (let i = 0; i < 40; i++) {
        const { rate } = planClip(3, 'train', kind, i)
        const [axis, sign, low, high] = axes[kind]
        for (const name of ['x', 'y', 'u', 'angle'] as const) {
          if (name === axis) expect(rate[name] * sign, kind).to.be.within(low, high)
          else expect(Math.abs(rate[name]), `${kind} ${name}`).to.be.at.most(nuisance[name])
        }
      }
    }
  })

  it('turn clockwise on the screen when they say so', () => {
    const rate = { x: 0, y: 0, u: 0, angle: Math.PI / 8 }
    const paint = { kind: 'halves', angle: 0, bright: [255, 255, 255], dark: [0, 0, 0] } as const
    const centres = lumas(plain({ rate, paint }), 5).map(measure)
    expect(centres[0]?.x).to.be.above(50)
    expect(centres[4]?.y, 'what was on the right is below after a quarter turn').to.be.above(50)
    expect(planClip(1, 'val', 'clockwise', 0).rate.angle).to.be.above(0)
  })

  it('look alike in single frames whatever the motion', () => {
    const clips = 60
    const stats = motions.map((kind) => {
      const features = Array.from({ length: clips }, (_, i) => {
        const luma = lumas(planClip(5, 'train', kind, i), 1)[0] as Uint8Array
        const mean = luma.reduce((sum, value) => sum + value, 0) / luma.length
        return [mean, Math.sqrt(luma.reduce((sum, value) => sum + (value - mean) ** 2, 0) / luma.length)]
      })
      return [0, 1].map((f) => {
        const values = features.map((row) => row[f] as number)
        const mean = values.reduce((a, b) => a + b) / clips
        return { mean, error: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (clips - 1) / clips) }
      })
    })
    for (const a of stats)
      for (const b of stats)
        for (const f of [0, 1]) expect(Math.abs((a[f]?.mean ?? 0) - (b[f]?.mean ?? 0))).to.be.below(4.5 * Math.hypot(a[f]?.error ?? 0, b[f]?.error ?? 0))
    // the pose is uniform at the start and so at any time
    for (const axis of ['x', 'y', 'u', 'angle'] as const) {
      const range = { x: 96, y: 96, u: 1, angle: 2 * Math.PI }[axis]
      const late = motions.flatMap((kind) =>
        Array.from({ length: 200 }, (_, i) => planClip(9, 'train', kind, i)).map(
          ({ start, rate }) => ((((start[axis] + 47 * rate[axis]) / range) % 1) + 1) % 1,
        ),
      )
      const quarters = [0, 1, 2, 3].map((q) => late.filter((value) => Math.floor(value * 4) === q).length)
      for (const n of quarters) expect(n, axis).to.be.closeTo(400, 5 * Math.sqrt(300))
    }
  })

  it('differ between splits, classes and numbers, and repeat for a seed', () => {
    const keys = new Set<string>()
    for (const split of ['train', 'val', 'test'] as const)
      for (const kind of classes) for (const index of [0, 1]) keys.add(JSON.stringify(planClip(1, split, kind, index).start))
    expect(keys.size).to.equal(60)
    const plan = planClip(2, 'test', 'hollow', 4)
    expect(planClip(2, 'test', 'hollow', 4)).to.deep.equal(plan)
    expect(lumas(plan, 3)).to.deep.equal(lumas(plan, 3))
  })
})

describe('makeDemo', function () {
  this.timeout(120_000)
  const cacheDir = temporaryFolder('demo')
  const files = (root: string): string[] =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(path.join(root, name)).isFile())
      .sort()

  it('makes H.264 files, class by class and split by split, once', async () => {
    const progress: DataProgress[] = []
    const root = await makeDemo(small, { cacheDir, onProgress: (now) => progress.push(now) })
    expect(path.basename(root)).to.match(/^demo-[0-9a-f]{12}$/)
    const expected = (['train', 'val', 'test'] as const).flatMap((split) =>
      classes.flatMap((kind) => Array.from({ length: small.clipsPerClass[split] }, (_, i) => `${split}/${kind}/00${i}.mp4`)),
    )
    expect(files(root)).to.deep.equal([...expected, 'complete.json'].sort())
    expect(progress.map(({ done }) => done)).to.deep.equal(Array.from({ length: 41 }, (_, i) => i))
    expect(readFileSync(path.join(root, 'test/left/000.mp4')).includes('avc1')).to.equal(true)
    const before = statSync(path.join(root, 'val/up/000.mp4')).mtimeMs
    expect(await makeDemo(small, { cacheDir, onProgress: () => expect.fail('nothing is to do') })).to.equal(root)
    expect(statSync(path.join(root, 'val/up/000.mp4')).mtimeMs).to.equal(before)
  })

  it('makes the same frames for the same seed, close to what was drawn', async () => {
    const other = temporaryFolder('demo')
    const roots = [await makeDemo(small, { cacheDir }), await makeDemo(small, { cacheDir: other })]
    const names = files(roots[0] as string).filter((name) => name.endsWith('.mp4'))
    for (const name of names)
      expect(readFileSync(path.join(roots[0] as string, name)).equals(readFileSync(path.join(roots[1] as string, name))), name).to.equal(true)
    expect(await makeDemo({ ...small, seed: 8, clipsPerClass: { train: 1, val: 1, test: 1 } }, { cacheDir })).to.not.equal(roots[0])

    const dataset = await prepareDataset(await openDataset(roots[0] as string, { cacheDir }), { cacheDir })
    expect(dataset.labels).to.deep.equal([...classes].sort())
    expect(dataset.quarantined).to.deep.equal([])
    const sample = dataset.splits.train.find(({ id }) => id === 'train/striped/001.mp4')
    expect(sample?.video).to.include({ frames: small.frames, fps: 24, width: 96, height: 96 })
    const drawn = lumas(planClip(small.seed, 'train', 'striped', 1), small.frames)
    const stored = readFileSync(sample?.video.path ?? '').subarray(4096)
    let error = 0
    for (const [t, luma] of drawn.entries()) {
      luma.forEach((value, i) => {
        const [r = 0, g = 0, b = 0] = stored.subarray((t * luma.length + i) * 3, (t * luma.length + i) * 3 + 3)
        error += (16 + 0.256788 * r + 0.504129 * g + 0.097906 * b - value) ** 2
      })
    }
    expect(Math.sqrt(error / (drawn.length * frameSize * frameSize)), 'root mean square error of luma').to.be.below(6)
  })

  it('is gone on with after a kill, also by two at once', async () => {
    const shared = temporaryFolder('demo')
    const start = (): ReturnType<typeof fork> =>
      fork(new URL('./demo-child.ts', import.meta.url), [JSON.stringify(small), shared], {
        execArgv: ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href],
        stdio: 'ignore',
      })
    const killed = start()
    await once(killed, 'message') // ten clips are made
    killed.kill('SIGKILL')
    await once(killed, 'exit')
    const root = path.join(shared, readdirSync(shared)[0] as string)
    expect(existsSync(path.join(root, 'complete.json'))).to.equal(false)
    const made = files(root).filter((name) => /\/\d+\.mp4$/.test(name))
    expect(made.length).to.be.within(10, 39)
    const long = new Date(1e9)
    for (const name of made) utimesSync(path.join(root, name), long, long)
    const exits = await Promise.all([start(), start()].map(async (child) => (await once(child, 'exit'))[0] as number))
    expect(exits).to.deep.equal([0, 0])
    const whole = await makeDemo(small, { cacheDir })
    expect(files(root).filter((name) => !path.basename(name).startsWith('.'))).to.deep.equal(files(whole))
    for (const name of files(whole)) expect(readFileSync(path.join(root, name)).equals(readFileSync(path.join(whole, name))), name).to.equal(true)
    for (const name of made) expect(statSync(path.join(root, name)).mtimeMs, `${name} is not made again`).to.equal(long.getTime())
  })

  it('can be aborted', async () => {
    const abort = new AbortController()
    const error = await makeDemo({ ...small, seed: 9 }, { cacheDir, signal: abort.signal, onProgress: ({ done }) => done === 3 && abort.abort() }).catch(
      (caught: unknown) => caught,
    )
    expect(error).to.include({ code: 'ERR_ABORTED' })
  })

  it('can encode with the ffmpeg program as well', async () => {
    const file = path.join(cacheDir, 'one.mp4')
    const renderer = new ClipRenderer(planClip(1, 'train', 'left' satisfies DemoClass, 0))
    function* frames(): Generator<Uint8Array> {
      const frame = new Uint8Array(frameBytes)
      for (let i = 0; i < 5; i++) {
        renderer.next(frame)
        yield frame
      }
    }
    await ffmpegEncoder(ffmpegProgram).encode(file, frames())
    expect(readFileSync(file).includes('avc1')).to.equal(true)
    expect(
      await ffmpegEncoder(ffmpegProgram)
        .encode('/none/x.mp4', frames())
        .catch((caught: Error) => caught.message),
    ).to.match(/cannot encode \/none\/x\.mp4/)
  })
})
