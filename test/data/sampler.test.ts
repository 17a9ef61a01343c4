import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import { type ClipStream, defaultAugmentation, trainingClip, viewsOf } from '../../lib/data/clips.js'
import type { PreparedSample, StoredVideo } from '../../lib/data/dataset.js'
import { FrameFileWriter, readFrameFile } from '../../lib/data/frame-store.js'
import { evaluationBatches, type LoadClips, TrainingSampler } from '../../lib/data/sampler.js'
import type { NativeClip } from '../../lib/native.js'
import { Random } from '../../lib/random.js'
import { temporaryFolder } from './videos.js'

function video(frames: number, fps: number, width = 96, height = 96, file = 'x'): StoredVideo {
  return { path: file, offset: 4096, frames, fps, width, height }
}

const stream = (frames: number, fps: number, size = 32): ClipStream => ({ frames, fps, size })
const framesOf = (clips: readonly NativeClip[]): (readonly number[])[] => clips.map(({ frames }) => frames)

describe('viewsOf', () => {
  it('spreads views evenly from beginning to end, one in the centre', () => {
    const long = video(49, 24)
    expect(framesOf(viewsOf(long, stream(4, 6), { cropFraction: 1, views: 3 }))).to.deep.equal([
      [0, 4, 8, 12],
      [18, 22, 26, 30],
      [36, 40, 44, 48],
    ])
    expect(framesOf(viewsOf(long, stream(4, 6), { cropFraction: 1, views: 1 }))).to.deep.equal([[18, 22, 26, 30]])
    expect(framesOf(viewsOf(long, stream(1, 8), { cropFraction: 1, views: 2 }))).to.deep.equal([[0], [48]])
  })

  it('repeats the last frame of a video that is too short', () => {
    expect(framesOf(viewsOf(video(10, 24), stream(5, 6), { cropFraction: 1, views: 2 }))).to.deep.equal([
      [0, 4, 8, 9, 9],
      [0, 4, 8, 9, 9],
    ])
    expect(framesOf(viewsOf(video(1, 24), stream(3, 6), { cropFraction: 1, views: 1 }))).to.deep.equal([[0, 0, 0]])
  })

  it('takes the nearest frames at rates that do not divide, and repeats frames of slow videos', () => {
    expect(framesOf(viewsOf(video(30, 30), stream(4, 12), { cropFraction: 1, views: 1 }))[0]).to.deep.equal([11, 13, 16, 18])
    expect(framesOf(viewsOf(video(4, 4), stream(6, 8), { cropFraction: 1, views: 1 }))[0]).to.deep.equal([0, 1, 1, 2, 2, 3])
  })

  it('stays between start and end', () => {
    const clips = viewsOf(video(240, 24), stream(2, 6), { cropFraction: 1, views: 2 }, 2, 3)
    expect(framesOf(clips)).to.deep.equal([
      [48, 52],
      [67, 71],
    ])
    expect(framesOf(viewsOf(video(24, 24), stream(2, 6), { cropFraction: 1, views: 1 }, 5))[0]).to.deep.equal([23, 23])
  })

  it('cuts the centre square of the shorter side', () => {
    const [wide] = viewsOf(video(8, 8, 641, 360), stream(1, 8), { cropFraction: 0.875, views: 1 })
    expect(wide).to.deep.include({ left: 163, top: 22, side: 315, flip: false, gain: 1, bias: 0, width: 641, height: 360, offset: 4096 })
    expect(viewsOf(video(8, 8, 2, 3), stream(1, 8), { cropFraction: 0.1, views: 1 })[0]).to.include({ left: 0, top: 1, side: 1 })
  })
})

const anyVideo = fc.record({
  frames: fc.integer({ min: 1, max: 300 }),
  fps: fc.double({ min: 1, max: 30, noNaN: true }),
  width: fc.integer({ min: 1, max: 640 }),
  height: fc.integer({ min: 1, max: 640 }),
})
const anyStream = fc.record({ frames: fc.integer({ min: 1, max: 32 }), fps: fc.double({ min: 1, max: 60, noNaN: true }), size: fc.constant(32) })
const anyPart = fc.record({
  start: fc.option(fc.double({ min: 0, max: 20, noNaN: true }), { nil: undefined }),
  length: fc.option(fc.double({ min: 0.01, max: 20, noNaN: true }), { nil: undefined }),
})

describe('clips', () => {
  it('never reach outside of the video, its part or its frame', () => {
    fc.assert(
      fc.property(
        anyVideo,
        anyStream,
        anyPart,
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.integer(),
        ({ frames, fps, width, height }, wanted, { start, length }, cropFraction, seed) => {
          const stored = video(frames, fps, width, height)
          const end = length === undefined ? undefined : (start ?? 0) + length
          const sample: PreparedSample = {
            id: 'x',
            path: 'x',
            labels: [0],
            video: stored,
            ...(start !== undefined && { start }),
            ...(end !== undefined && { end }),
          }
          const drawn = trainingClip(sample, wanted, { ...defaultAugmentation, cropFraction }, true, Random.seeded(seed))
          for (const clip of [drawn, ...viewsOf(stored, wanted, { cropFraction, views: 3 }, start, end)]) {
            expect(clip.frames).to.have.length(wanted.frames)
            expect(clip.frames).to.deep.equal([...clip.frames].sort((a, b) => a - b))
            for (const frame of clip.frames) {
              expect(Number.isInteger(frame)).to.equal(true)
              expect(frame).to.be.within(Math.min(frames - 1, Math.round((start ?? 0) * fps)), frames - 1)
              if (end !== undefined) expect(frame).to.be.at.most(Math.max(Math.min(frames - 1, Math.round((start ?? 0) * fps)), Math.round(end * fps) - 1))
            }
            for (const value of [clip.left, clip.top, clip.side]) expect(Number.isInteger(value) && value >= 0).to.equal(true)
            expect(clip.side).to.be.at.least(1)
            expect(clip.left + clip.side).to.be.at.most(width)
            expect(clip.top + clip.side).to.be.at.most(height)
          }
        },
      ),
    )
  })

  it('are drawn evenly over time and place', () => {
    const sample: PreparedSample = { id: 'x', path: 'x', labels: [0], video: video(12, 24, 10, 8) }
    const counts = { time: new Map<number, number>(), left: new Map<number, number>(), flip: new Map<boolean, number>() }
    const count = <K>(map: Map<K, number>, key: K): unknown => map.set(key, (map.get(key) ?? 0) + 1)
    const draws = 6000
    for (let i = 0; i < draws; i++) {
      const { frames, left, flip, gain, bias } = trainingClip(sample, stream(3, 12), defaultAugmentation, true, Random.seeded(7).fork(i))
      count(counts.time, frames[0] as number)
      count(counts.left, left)
      count(counts.flip, flip)
      expect(gain).to.be.within(0.85, 1.15)
      expect(bias).to.be.within(-12, 12)
    }
    for (const [map, places] of [
      [counts.time, 8],
      [counts.left, 4],
      [counts.flip, 2],
    ] as const) {
      expect(map.size).to.equal(places)
      for (const n of map.values()) expect(n).to.be.closeTo(draws / places, 5 * Math.sqrt(draws / places))
    }
    for (let i = 0; i < 50; i++) expect(trainingClip(sample, stream(3, 12), defaultAugmentation, false, Random.seeded(i)).flip).to.equal(false)
  })
})

/** Writes the first frame's number and the video's name into every byte, and remembers what was asked. */
function fakeLoader(): { load: LoadClips; asked: NativeClip[][] } {
  const asked: NativeClip[][] = []
  const load: LoadClips = async (clips, size, _threads, out) => {
    asked.push([...clips])
    const bytes = ((clips[0]?.frames.length ?? 0) * size * size * 3) | 0
    expect(out.length).to.equal(clips.length * bytes)
    await Promise.resolve()
    clips.forEach((clip, i) => out.fill(Number(clip.path), i * bytes, (i + 1) * bytes))
  }
  return { load, asked }
}

const samples = Array.from({ length: 10 }, (_, i): PreparedSample => ({ id: `${i}`, path: `${i}`, labels: [i % 3], video: video(20, 10, 16, 12, `${i}`) }))

describe('TrainingSampler', () => {
  const sampler = (seed: number, batch: number, load: LoadClips): TrainingSampler =>
    new TrainingSampler(samples, {
      stream: stream(2, 5, 4),
      batch,
      classes: 3,
      task: 'single-label',
      flip: true,
      threads: 1,
      random: Random.seeded(seed),
      load,
    })

  it('shows every sample once an epoch, in a new order each time', async () => {
    const { load, asked } = fakeLoader()
    const batches = sampler(3, 4, load)
    for (let i = 0; i < 15; i++) await batches.next()
    const order = asked.flat().map((clip) => clip.path)
    const epochs = Array.from({ length: 6 }, (_, e) => order.slice(10 * e, 10 * e + 10))
    for (const epoch of epochs) expect([...epoch].sort()).to.deep.equal(samples.map(({ id }) => id))
    expect(new Set(epochs.map((epoch) => epoch.join())).size).to.equal(6)
  })

  it('gives labels that belong to the clips, and leaves a batch alone while the next is loaded', async () => {
    const { load } = fakeLoader()
    const batches = sampler(5, 4, load)
    let before = await batches.next()
    for (let i = 0; i < 6; i++) {
      const copy = { clips: before.clips.slice(), labels: before.labels.slice() }
      const after = await batches.next()
      expect(before.clips).to.deep.equal(copy.clips)
      expect(before.labels).to.deep.equal(copy.labels)
      expect(after.shape).to.deep.equal([4, 2, 4, 4, 3])
      expect([...after.labels]).to.deep.equal([0, 1, 2, 3].map((k) => (after.clips[k * 96] as number) % 3))
      before = after
    }
  })

  it('depends on the seed and the number of the batch alone', async () => {
    const run = async (seed: number): Promise<NativeClip[][]> => {
      const { load, asked } = fakeLoader()
      const batches = sampler(seed, 7, load)
      for (let i = 0; i < 5; i++) await batches.next()
      return asked
    }
    expect(await run(11)).to.deep.equal(await run(11))
    expect(await run(11)).to.not.deep.equal(await run(12))
  })

  it('marks every class that applies in multi-label batches', async () => {
    const { load } = fakeLoader()
    const several = [
      { ...(samples[0] as PreparedSample), labels: [0, 2] },
      { ...(samples[1] as PreparedSample), labels: [] },
    ]
    const batches = new TrainingSampler(several, {
      stream: stream(1, 5, 4),
      batch: 2,
      classes: 3,
      task: 'multi-label',
      flip: false,
      threads: 1,
      random: Random.seeded(1),
      load,
    })
    for (let i = 0; i < 3; i++) {
      const { clips, labels } = await batches.next()
      expect([...labels]).to.deep.equal([0, 1].flatMap((k) => (clips[k * 48] === 0 ? [1, 0, 1] : [0, 0, 0])))
    }
  })

  it('refuses to train on nothing', () => {
    expect(
      () => new TrainingSampler([], { stream: stream(1, 5), batch: 2, classes: 3, task: 'single-label', flip: false, threads: 1, random: Random.seeded(1) }),
    ).to.throw(/no sample to train on/)
  })
})

describe('evaluationBatches', () => {
  it('gives every view of every sample, in order', async () => {
    const { load, asked } = fakeLoader()
    const seen: number[] = []
    for await (const { clips, shape, labels, sampleIndex } of evaluationBatches(samples, {
      stream: stream(2, 5, 4),
      preprocessing: { cropFraction: 0.875, views: 3 },
      batch: 8,
      classes: 3,
      task: 'single-label',
      threads: 1,
      load,
    })) {
      expect(shape).to.deep.equal([sampleIndex.length, 2, 4, 4, 3])
      expect(clips.length).to.equal(sampleIndex.length * 96)
      await Promise.resolve()
      sampleIndex.forEach((sample, k) => {
        expect(clips[k * 96]).to.equal(sample)
        expect(labels[k]).to.equal(sample % 3)
        seen.push(sample)
      })
    }
    expect(seen).to.deep.equal(Array.from({ length: 30 }, (_, i) => Math.floor(i / 3)))
    expect(asked.map((clips) => clips.length)).to.deep.equal([8, 8, 8, 6])
    expect(framesOf(asked.flat().slice(0, 3))).to.deep.equal([
      [0, 2],
      [9, 11],
      [17, 19],
    ])
  })

  it('waits for what it reads ahead when its user stops early, and passes errors on', async () => {
    let running = 0
    const load: LoadClips = async () => {
      running++
      await new Promise((resolve) => setTimeout(resolve, 10))
      running--
    }
    const options = { stream: stream(2, 5, 4), preprocessing: { cropFraction: 1, views: 1 }, batch: 2, classes: 3, task: 'single-label', threads: 1 } as const
    for await (const _ of evaluationBatches(samples, { ...options, load })) break
    expect(running).to.equal(0)
    const failing = evaluationBatches(samples, { ...options, load: async () => Promise.reject(new Error('gone')) })
    expect(await failing.next().catch((error: Error) => error.message)).to.equal('gone')
    expect(await evaluationBatches([], options).next()).to.deep.equal({ done: true, value: undefined })
  })
})

describe('frame store and addon', () => {
  it('read back what was written', async () => {
    const file = path.join(temporaryFolder('store'), 'v.frames')
    const writer = new FrameFileWriter(file)
    const [width, height] = [7, 5]
    const frame = (t: number): Uint8Array => Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7 + t * 31) % 256)
    for (let t = 0; t < 6; t++) writer.frame(frame(t))
    writer.finish({ frames: 6, rate: [30000, 1001], width, height })
    const stored = readFrameFile(file) as StoredVideo
    expect(stored).to.include({ frames: 6, fps: 30000 / 1001, width, height })
    // as large as the square that is cut out: nothing is resized
    const batches = evaluationBatches([{ id: 'v', path: 'v', labels: [1], video: stored }], {
      stream: stream(3, 15, 5),
      preprocessing: { cropFraction: 1, views: 1 },
      batch: 1,
      classes: 2,
      task: 'single-label',
      threads: 2,
    })
    const { value } = await batches.next()
    // the middle of the video: 6 frames at 29.97 fps, of which a view takes every 1.998th from 0.502 on
    const expected = [1, 3, 4].flatMap((t) => {
      const rgb = frame(t)
      return Array.from({ length: 5 }, (_, y) => [...rgb.subarray((y * width + 1) * 3, (y * width + 6) * 3)]).flat()
    })
    expect([...(value?.clips ?? [])]).to.deep.equal(expected)
  })

  it('tells a file that is not whole', () => {
    const folder = temporaryFolder('store')
    mkdirSync(path.join(folder, 'dir'))
    for (const [name, bytes] of [
      ['empty', ''],
      ['text', 'hello'.repeat(2000)],
      ['half', `TVNFRAME${JSON.stringify({ frames: 2, rate: [1, 1], width: 2, height: 2 }).padEnd(4088)}123`],
    ] as const) {
      writeFileSync(path.join(folder, name), bytes)
      expect(readFrameFile(path.join(folder, name)), name).to.equal(undefined)
    }
    expect(readFrameFile(path.join(folder, 'dir'))).to.equal(undefined)
    expect(readFrameFile(path.join(folder, 'none'))).to.equal(undefined)
  })
})
