/**
 * The process that decodes: it may crash, hang or fill its memory without harm to the one that forked it, see `process.ts`.
 * The first question is which decoder to use.
 */
import { rmSync } from 'node:fs'
import { answer } from '../child.js'
import { FrameFileWriter } from '../frame-store.js'
import { DecodeFailure, type DecodeLimits, type DecoderChoice, type FrameSink, reasons, type VideoDecoder } from './decoder.js'
import { FrameGrid, type Rational } from './frame-grid.js'

/** `detail` names the decoder and its version, `reason` says why it cannot be used here. */
export type Ready = { readonly ready: true; readonly detail: string } | { readonly ready: false; readonly reason: string }

export interface Job {
  readonly file: string
  /** Where the decoded frames go, in the frame store's format. */
  readonly target: string
  readonly limits: DecodeLimits
}

/** A DecoderChoice is answered with Ready, a Job with an Outcome. */
export type Question = DecoderChoice | Job

export type Outcome =
  | { readonly kind: 'decoded'; readonly frames: number; readonly width: number; readonly height: number }
  /** The file is at fault. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The target cannot be written: a code such as ENOSPC and the message. */
  | { readonly kind: 'unwritable'; readonly code: string; readonly message: string }

async function load(choice: DecoderChoice): Promise<VideoDecoder> {
  switch (choice.kind) {
    case 'node-av':
      return (await import('./node-av.js')).nodeAvDecoder
    case 'ffmpeg':
      return (await import('./ffmpeg.js')).ffmpegDecoder(choice)
  }
}

/** Puts decoded frames on the grid and into a file of the frame store. */
class StoreSink implements FrameSink {
  readonly #writer: FrameFileWriter
  readonly #limits: DecodeLimits
  #grid = new FrameGrid([0, 0])
  #last: Uint8Array | undefined
  width = 0
  height = 0

  constructor(writer: FrameFileWriter, limits: DecodeLimits) {
    this.#writer = writer
    this.#limits = limits
  }

  get frames(): number {
    return this.#grid.length
  }

  get rate(): Rational {
    return this.#grid.rate
  }

  begin(sourceRate: Rational): void {
    this.#grid = new FrameGrid(sourceRate)
  }

  frame(seconds: number | undefined, width: number, height: number, rgb: Uint8Array): void {
    if (this.#last === undefined) {
      this.width = width
      this.height = height
    } else if (width !== this.width || height !== this.height) {
      throw new DecodeFailure('its frame size changes on the way')
    }
    const { holds, keep } = this.#grid.place(seconds)
    if (!keep) return
    const bytes = this.frames * rgb.length
    if (bytes > this.#limits.storeBytes)
      throw new DecodeFailure(`too long: more than ${Math.round(this.#limits.storeBytes / 2 ** 20)} MB of frames; cut it into clips`)
    for (let i = 0; i < holds; i++) this.#writer.frame(this.#last ?? rgb)
    this.#writer.frame(rgb)
    this.#last = rgb
  }
}

async function decode(decoder: VideoDecoder, { file, target, limits }: Job): Promise<Outcome> {
  let writer: FrameFileWriter | undefined
  try {
    writer = new FrameFileWriter(target)
    const sink = new StoreSink(writer, limits)
    await decoder.decode(file, limits, sink)
    const { frames, rate, width, height } = sink
    if (frames === 0) throw new DecodeFailure(reasons.noFrame)
    writer.finish({ frames, rate, width, height })
    return { kind: 'decoded', frames, width, height }
  } catch (error) {
    writer?.close()
    rmSync(target, { force: true })
    if (error instanceof DecodeFailure) return { kind: 'failed', reason: error.message }
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== undefined) return { kind: 'unwritable', code, message }
    return { kind: 'failed', reason: `the decoder failed: ${message}` }
  }
}

let decoder: VideoDecoder | undefined

answer(async (asked): Promise<Ready | Outcome> => {
  const question = asked as Question
  if ('file' in question) return decoder ? decode(decoder, question) : { kind: 'failed', reason: 'no decoder was chosen' }
  try {
    decoder = await load(question)
    return { ready: true, detail: decoder.detail }
  } catch (error) {
    return { ready: false, reason: ((error as Error).message.split('\n')[0] ?? '').trim() }
  }
})
