import { closeSync, openSync, readSync } from 'node:fs'
import type { Rational } from './frame-grid.js'

/** Decoded videos keep their shape; a shorter side above this many pixels is brought down to it. Pixels are made square. */
export const maxShorterSide = 360

/** A filter of FFmpeg and its options. */
export type FilterStep = readonly [name: string, options: string]

/**
 * What both decoders do to a frame: the same filters give the same bytes. A video that says it was filmed turned (a phone held
 * upright) is turned before.
 */
export const frameFilters: readonly FilterStep[] = (() => {
  const factor = `min(1,${maxShorterSide}/min(iw*sar,ih))`
  return [
    ['scale', `w='max(1,round(iw*sar*${factor}))':h='max(1,round(ih*${factor}))':flags=bicubic+accurate_rnd+full_chroma_int+bitexact`],
    ['format', 'rgb24'],
  ]
})()

/** What one file may cost before it is given up; each has its own reason. */
export interface DecodeLimits {
  readonly fileBytes: number
  /** Width × height of a coded frame. */
  readonly pixels: number
  /** Bytes of decoded frames, the header aside. */
  readonly storeBytes: number
  /** By the clock on the wall. */
  readonly seconds: number
  /** Resident memory of the decoding process. */
  readonly memoryBytes: number
}

export const defaultLimits: DecodeLimits = {
  fileBytes: 8 * 2 ** 30,
  pixels: 8192 * 4320,
  storeBytes: 8 * 2 ** 30,
  seconds: 300,
  memoryBytes: 2 * 2 ** 30,
}

/** The file is at fault; the reason is one line that follows its name: `not a video`. */
export class DecodeFailure extends Error {}

export interface FrameSink {
  /** Once, before the first frame: frames a second as the file claims; 0/0 when it does not say. */
  begin(sourceRate: Rational): void
  /** Each frame in the order of display, after `frameFilters`. `rgb` is the sink's to keep. Throws DecodeFailure to give up. */
  frame(seconds: number | undefined, width: number, height: number, rgb: Uint8Array): void
}

/**
 * A way to decode videos. All implementations deliver the same frames with the same bytes:
 * the first video stream that is no cover picture; every frame once, in the order of display; damaged parts are passed over, so
 * that a file cut short gives the frames before the cut. Files are read as files only: what they say cannot open the network.
 */
export interface VideoDecoder {
  /** The library or program and its version, for people. */
  readonly detail: string
  /** Rejects with DecodeFailure when the file has no frames to give. */
  decode(file: string, limits: DecodeLimits, sink: FrameSink): Promise<void>
}

/** Which decoder, and how to reach it. Plain data, for the process that runs it. */
export type DecoderChoice = { readonly kind: 'node-av' } | FfmpegChoice

export interface FfmpegChoice {
  readonly kind: 'ffmpeg'
  readonly program: string
  readonly version: string
}

export const reasons = {
  noVideoStream: 'no video stream',
  tooManyPixels: 'its frames are larger than 8192×4320',
  noDecoder: (codec: string) => `no decoder for its codec ${codec}`,
  noFrame: 'no frame can be decoded',
  memory: (limits: DecodeLimits) => `needs more than ${Math.round(limits.memoryBytes / 2 ** 20)} MB of memory to decode`,
  time: (limits: DecodeLimits) => `takes more than ${limits.seconds} s to decode`,
}

/** Containers that FFmpeg makes of files that are no videos: text drawn as a terminal, pictures, playlists. */
export function refuseContainer(names: string): void {
  for (const name of names.split(',')) {
    if (name === 'tty') throw new DecodeFailure('not a video')
    if (name === 'image2' || name.endsWith('_pipe')) throw new DecodeFailure('a picture, not a video')
    if (name === 'hls' || name === 'concat' || name === 'dash' || name === 'sdp') throw new DecodeFailure('a playlist, not a video')
  }
}

/** The reason for a file that cannot be opened, from its first bytes: was it meant to be a video? */
export function unreadableReason(head: Uint8Array): string {
  const text = Buffer.from(head).toString('latin1')
  const isVideo = text.slice(4, 8) === 'ftyp' || text.startsWith('RIFF') || text.startsWith('\x1aE\xdf\xa3') || text.startsWith('OggS')
  return isVideo ? 'a damaged video: its header or index cannot be read, it may be cut short' : 'not a video'
}

/** The first bytes of a file. */
export function readHead(file: string): Buffer {
  const head = Buffer.alloc(16)
  const descriptor = openSync(file, 'r')
  try {
    return head.subarray(0, readSync(descriptor, head, 0, head.length, 0))
  } finally {
    closeSync(descriptor)
  }
}
