import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { decodeVideo } from '../../lib/data/decode.js'
import { type DecoderChoice, defaultLimits } from '../../lib/data/decoder/decoder.js'
import { findDecoder, startDecoder, tryFfmpeg } from '../../lib/data/decoder/find.js'
import { DecoderPool } from '../../lib/data/decoder/pool.js'
import { DecoderProcess } from '../../lib/data/decoder/process.js'
import type { Outcome } from '../../lib/data/decoder/worker.js'
import { readFrameFile } from '../../lib/data/frame-store.js'
import { TvnError } from '../../lib/errors.js'
import { badFiles, ffmpeg, ffmpegProgram, goodVideos, makeCutVideo, temporaryFolder } from './videos.js'

const folder = temporaryFolder('decoder')
const file = (name: string): string => path.join(folder, name)
let outputs = 0
const newTarget = (): string => file(`.out${outputs++}`)

async function start(choice: DecoderChoice | string): Promise<DecoderProcess> {
  const decoder = typeof choice === 'string' ? choice : await DecoderProcess.start(choice)
  if (typeof decoder === 'string') throw new Error(decoder)
  return decoder
}

/** The outcome, and the stored frames as a hash. */
async function decode(decoder: DecoderProcess, name: string): Promise<{ outcome: Outcome; hash: string }> {
  const target = newTarget()
  const outcome = await decoder.decode({ file: file(name), target, limits: defaultLimits })
  const hash = existsSync(target) ? createHash('sha256').update(readFileSync(target)).digest('hex') : ''
  return { outcome, hash }
}

let isMade = false
function makeFiles(this: Mocha.Context): void {
  this.timeout(120_000)
  if (isMade) return
  isMade = true
  for (const [name, { make }] of [...Object.entries(goodVideos), ...Object.entries(badFiles)]) make(file(name), folder)
  makeCutVideo(file('cut.mp4'))
}

/** The contract of VideoDecoder, for each implementation. */
for (const kind of ['node-av', 'ffmpeg'] as const) {
  describe(`decoder ${kind}`, function () {
    this.timeout(60_000)
    let decoder: DecoderProcess
    before(makeFiles)
    before(async () => (decoder = await start(kind === 'ffmpeg' ? await tryFfmpeg(ffmpegProgram) : { kind })))
    after(() => decoder.end())

    it('names its version', () => expect(decoder.detail).to.match(/FFmpeg \S+/))

    for (const [name, { stored }] of Object.entries(goodVideos)) {
      it(`stores ${name}`, async () => {
        const target = newTarget()
        const outcome = await decoder.decode({ file: file(name), target, limits: defaultLimits })
        expect(outcome.kind, JSON.stringify(outcome)).to.equal('decoded')
        const video = readFrameFile(target)
        const [width, height, frames, fps] = stored
        expect(video).to.deep.equal({ path: target, offset: 4096, width, height, frames, fps })
      })
    }

    for (const [name, { reason }] of Object.entries(badFiles)) {
      it(`refuses ${name}`, async () => {
        const { outcome, hash } = await decode(decoder, name)
        expect(outcome.kind).to.equal('failed')
        if (outcome.kind === 'failed') expect(outcome.reason).to.match(reason)
        expect(hash, 'nothing is left behind').to.equal('')
      })
    }

    it('uses what is there of a video cut short', async () => {
      const { outcome } = await decode(decoder, 'cut.mp4')
      expect(outcome).to.include({ kind: 'decoded', width: 160, height: 120 })
      if (outcome.kind === 'decoded') expect(outcome.frames).to.be.within(25, 90)
    })

    it('turns a portrait video upright', async () => {
      // turned by 90°, the flat video's left edge is at the top: find a frame's colour there
      const target = newTarget()
      const solid = file('.solid.mp4')
      const turned = file('.turned.mp4')
      ffmpeg('-f', 'lavfi', '-i', 'color=red:s=64x32:d=1,drawbox=x=0:y=0:w=16:h=32:color=blue:t=fill', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', solid)
      ffmpeg('-i', solid, '-c', 'copy', '-metadata:s:v', 'rotate=90', turned)
      const outcome = await decoder.decode({ file: turned, target, limits: defaultLimits })
      expect(outcome).to.include({ kind: 'decoded', width: 32, height: 64 })
      const pixel = (x: number, y: number): number[] => [
        ...readFileSync(target)
          .subarray(4096 + (y * 32 + x) * 3)
          .subarray(0, 3),
      ]
      const blues = [pixel(16, 4), pixel(16, 60)].map(([r = 0, , b = 0]) => b - r)
      expect(Math.max(...blues)).to.be.above(150)
      expect(Math.min(...blues)).to.be.below(-150)
    })

    it('gives a file up that is too large in frames, memory or time', async () => {
      const limited = (limits: object): Promise<Outcome> =>
        decoder.decode({ file: file('sixty.mov'), target: newTarget(), limits: { ...defaultLimits, ...limits } })
      expect(await limited({ pixels: 1000 })).to.deep.include({ kind: 'failed', reason: 'its frames are larger than 8192×4320' })
      expect(await limited({ storeBytes: 5e6 }))
        .to.have.property('reason')
        .that.matches(/^too long: /)
      expect(decoder.isUsable).to.equal(true)
    })

    it('reports a target that cannot be written', async () => {
      const outcome = await decoder.decode({ file: file('small.mp4'), target: file('none/x'), limits: defaultLimits })
      expect(outcome).to.include({ kind: 'unwritable', code: 'ENOENT' })
    })
  })
}

describe('decoders', function () {
  this.timeout(120_000)
  before(makeFiles)

  it('give the same bytes', async () => {
    const [first, second] = await Promise.all([start({ kind: 'node-av' }), start(await tryFfmpeg(ffmpegProgram))])
    for (const name of [...Object.keys(goodVideos), ...Object.keys(badFiles), 'cut.mp4']) {
      const [a, b] = [await decode(first, name), await decode(second, name)]
      expect(b, name).to.deep.equal(a)
    }
    first.end()
    second.end()
  })
})

describe('DecoderPool', function () {
  this.timeout(60_000)
  before(makeFiles)

  it('gives up a file that takes too long, and goes on', async () => {
    const pool = new DecoderPool({ limits: { seconds: 0.005 }, processes: 1 })
    const slow = newTarget()
    expect(await pool.decode(file('sixty.mov'), slow)).to.deep.equal({ kind: 'failed', reason: 'takes more than 0.005 s to decode' })
    expect(existsSync(slow)).to.equal(false)
    pool.close()
    const patient = new DecoderPool({ limits: { memoryBytes: 1 }, processes: 1 })
    expect((await patient.decode(file('sixty.mov'), newTarget())).kind).to.equal('failed')
    patient.close()
  })

  it('refuses what is no file without starting anything', async () => {
    const pool = new DecoderPool({ limits: { fileBytes: 1000 } })
    const reasonFor = async (name: string): Promise<string> => {
      const outcome = await pool.decode(file(name), newTarget())
      return outcome.kind === 'failed' ? outcome.reason : outcome.kind
    }
    writeFileSync(file('.empty.mp4'), '')
    mkdirSync(file('.folder.mp4'))
    expect(await reasonFor('.empty.mp4')).to.equal('empty file')
    expect(await reasonFor('.folder.mp4')).to.equal('is a folder, not a video')
    expect(await reasonFor('.none.mp4')).to.equal('does not exist')
    expect(await reasonFor('sixty.mov')).to.match(/^larger than/)
    pool.close()
  })

  it('survives a decoder that crashes', async () => {
    const decoder = await start({ kind: 'node-av' })
    const decoding = decoder.decode({ file: file('sixty.mov'), target: newTarget(), limits: defaultLimits })
    decoder.end()
    expect(await decoding).to.deep.equal({ kind: 'failed', reason: 'the decoder crashed on it (SIGKILL)' })
    expect(decoder.isUsable).to.equal(false)
  })
})

describe('findDecoder', function () {
  this.timeout(30_000)
  const environment = { ...process.env }
  afterEach(() => {
    for (const name of ['FFMPEG_PATH', 'PATH']) {
      if (environment[name] === undefined) delete process.env[name]
      else process.env[name] = environment[name]
    }
  })

  it('prefers node-av to the PATH', async () => {
    delete process.env.FFMPEG_PATH
    expect(await findDecoder()).to.have.property('kind', 'node-av')
  })

  it('obeys FFMPEG_PATH', async () => {
    const program = file('.my-ffmpeg')
    writeFileSync(program, `#!/bin/sh\nexec "${ffmpegProgram}" "$@"\n`)
    chmodSync(program, 0o755)
    process.env.FFMPEG_PATH = program
    const found = await findDecoder()
    expect(found.kind).to.equal('ffmpeg')
    expect(found.detail).to.include(program)
  })

  it('says what is wrong with FFMPEG_PATH', async () => {
    process.env.FFMPEG_PATH = file('.nothing')
    const error = await startDecoder().catch((caught: unknown) => caught)
    expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_NO_DECODER' })
    expect((error as TvnError).message).to.match(/FFMPEG_PATH names .*\.nothing, which cannot be used: there is no such program/)
    process.env.FFMPEG_PATH = '/bin/true'
    expect(await startDecoder().catch((caught: TvnError) => caught.message)).to.match(/does not answer as ffmpeg/)
  })
})

describe('decodeVideo', function () {
  this.timeout(30_000)
  before(makeFiles)
  const cacheDir = file('.cache')

  it('decodes into a file that it removes', async () => {
    const video = await decodeVideo(file('small.mp4'), { cacheDir })
    expect(video).to.include({ frames: 48, fps: 24, width: 96, height: 96 })
    expect(existsSync(video.path)).to.equal(true)
    await video.remove()
    expect(existsSync(video.path)).to.equal(false)
  })

  it('names the file and the reason', async () => {
    for (const [name, reason] of [
      ['text.mp4', /text\.mp4: not a video/],
      ['.none.mp4', /none\.mp4: does not exist/],
      ['.', /: is a folder/],
    ] as const) {
      const error = await decodeVideo(file(name), { cacheDir }).catch((caught: unknown) => caught)
      expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_DECODE' })
      expect((error as TvnError).message).to.match(reason)
    }
  })

  it('can be aborted', async () => {
    const abort = new AbortController()
    const decoding = decodeVideo(file('sixty.mov'), { cacheDir, signal: abort.signal }).catch((caught: unknown) => caught)
    setTimeout(() => abort.abort(), 50)
    expect(await decoding).to.include({ code: 'ERR_ABORTED' })
  })

  it('says so when the cache cannot be used', async () => {
    const blocked = file('.blocked')
    rmSync(blocked, { force: true })
    writeFileSync(blocked, '')
    expect(await decodeVideo(file('small.mp4'), { cacheDir: blocked }).catch((caught: unknown) => caught)).to.include({ code: 'ERR_FILE' })
  })
})
