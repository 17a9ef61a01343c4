import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { residentBytes } from '../../child-process.js'
import {
  DecodeFailure,
  type DecodeLimits,
  type FfmpegChoice,
  type FilterStep,
  type FrameSink,
  frameFilters,
  reasons,
  readHead,
  refuseContainer,
  unreadableReason,
  type VideoDecoder,
} from './decoder.js'
import type { Rational } from './frame-grid.js'

/**
 * The `ffmpeg` program (4.3 or later). Raw frames come through a pipe; sizes, timestamps and the frame rate come from what the
 * `showinfo` filter writes to stderr just before each frame.
 */
export function ffmpegDecoder({ program, version }: FfmpegChoice): VideoDecoder {
  return {
    detail: `${program}, FFmpeg ${version}`,
    async decode(file, limits, sink) {
      const child = spawn(program, ffmpegArguments(file, limits, version), { stdio: ['ignore', 'pipe', 'pipe'] })
      const ended = new Promise<Error | undefined>((resolve) => child.once('error', resolve).once('close', () => resolve(undefined)))
      const report = new Report(child.stderr)
      const watch = watchMemory(child, limits.memoryBytes)
      try {
        await readFrames(child.stdout, report, sink)
        const error = await ended
        if (error !== undefined) throw error
        if (watch.isExceeded()) throw new DecodeFailure(reasons.memory(limits))
        if (report.frames === 0) throw report.failure(file)
      } finally {
        watch.stop()
        child.kill('SIGKILL')
      }
    },
  }
}

function ffmpegArguments(file: string, limits: DecodeLimits, version: string): string[] {
  const filters: FilterStep[] = [...frameFilters, ['showinfo', 'checksum=0'], ['setpts', 'N']]
  return [
    ['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'info'],
    // ends it when nobody is left to kill it
    ['-timelimit', String(Math.ceil(limits.seconds))],
    ['-threads', '1', '-max_pixels', String(limits.pixels), '-i', `file:${file}`],
    ['-map', '0:V:0', '-vf', filters.map(([name, options]) => `${name}=${options}`).join(','), '-filter_threads', '1'],
    // every frame once, none dropped or doubled
    [hasFpsMode(version) ? '-fps_mode' : '-vsync', 'passthrough'],
    ['-f', 'rawvideo', 'pipe:1'],
  ].flat()
}

/** `-fps_mode` came with 5.1, `-vsync` goes away; versions that are no numbers are builds of the day. */
function hasFpsMode(version: string): boolean {
  const [, major, minor] = /^n?(\d+)\.(\d+)/.exec(version) ?? []
  return major === undefined || Number(major) > 5 || (Number(major) === 5 && Number(minor) >= 1)
}

async function readFrames(stdout: Readable, report: Report, sink: FrameSink): Promise<void> {
  let rgb: Buffer | undefined
  let filled = 0
  let line: FrameLine | undefined
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; ) {
      if (rgb === undefined) {
        line = await report.next()
        if (line === undefined) return
        if (report.frames === 1) {
          refuseContainer(report.container)
          sink.begin(report.rate)
        }
        rgb = Buffer.allocUnsafe(line.width * line.height * 3)
        filled = 0
      }
      const copied = chunk.copy(rgb, filled, at)
      at += copied
      filled += copied
      if (filled === rgb.length && line !== undefined) {
        sink.frame(line.seconds, line.width, line.height, rgb)
        rgb = undefined
      }
    }
  }
}

interface FrameLine {
  readonly seconds: number | undefined
  readonly width: number
  readonly height: number
}

/** What ffmpeg says on stderr, read line by line. */
class Report {
  container = ''
  rate: Rational = [0, 0]
  /** Frames handed out by `next`. */
  frames = 0
  readonly #lines: FrameLine[] = []
  readonly #complaints: string[] = []
  #timeBase = 1
  #isOver = false
  #wake: () => void = () => {}

  constructor(stderr: Readable) {
    const lines = createInterface({ input: stderr })
    lines.on('line', (line) => this.#read(line))
    lines.on('close', () => {
      this.#isOver = true
      this.#wake()
    })
  }

  /** Size and timestamp of the next frame; undefined when ffmpeg ends without one. */
  async next(): Promise<FrameLine | undefined> {
    while (this.#lines.length === 0 && !this.#isOver) await new Promise<void>((resolve) => (this.#wake = resolve))
    const line = this.#lines.shift()
    if (line !== undefined) this.frames++
    return line
  }

  /** Why there was no frame at all. */
  failure(file: string): DecodeFailure {
    refuseContainer(this.container)
    const said = (pattern: RegExp): boolean => this.#complaints.some((line) => pattern.test(line))
    if (said(/matches no streams/)) return new DecodeFailure(reasons.noVideoStream)
    if (said(/Invalid data found when processing input/) && this.container === '') return new DecodeFailure(unreadableReason(readHead(file)))
    if (said(/(pixels|Picture size|size).*(invalid|exceed|too)/i)) return new DecodeFailure(reasons.tooManyPixels)
    const codec = this.#complaints.map((line) => /Decoder \(codec (\S+)\) not found/.exec(line)?.[1]).find((name) => name !== undefined)
    if (codec !== undefined) return new DecodeFailure(reasons.noDecoder(codec))
    return new DecodeFailure(reasons.noFrame)
  }

  #read(line: string): void {
    if (line.includes('showinfo')) return this.#readShowinfo(line)
    const container = /^Input #0, (\S+), from/.exec(line)?.[1]
    if (container !== undefined) this.container = container
    if (this.#complaints.length < 1000) this.#complaints.push(line)
  }

  #readShowinfo(line: string): void {
    const config = /config in time_base: (\d+)\/(\d+), frame_rate: (\d+)\/(\d+)/.exec(line)
    if (config) {
      this.#timeBase = Number(config[1]) / Number(config[2])
      this.rate = [Number(config[3]), Number(config[4])]
    }
    const frame = /n: *\d+ pts: *(NOPTS|-?\d+) .* s:(\d+)x(\d+) /.exec(line)
    if (frame) {
      const seconds = frame[1] === 'NOPTS' ? undefined : Number(frame[1]) * this.#timeBase
      this.#lines.push({ seconds, width: Number(frame[2]), height: Number(frame[3]) })
      this.#wake()
    }
  }
}

function watchMemory(child: ChildProcess, limit: number): { isExceeded(): boolean; stop(): void } {
  let exceeded = false
  const timer = setInterval(() => {
    if (residentBytes(child.pid) <= limit) return
    exceeded = true
    child.kill('SIGKILL')
  }, 200)
  return { isExceeded: () => exceeded, stop: () => clearInterval(timer) }
}
