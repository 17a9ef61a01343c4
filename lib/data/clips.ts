import type { NativeClip } from '../native.js'
import type { Random } from '../random.js'
import type { Preprocessing } from '../task.js'
import type { PreparedSample, StoredVideo } from './dataset.js'

/** What a network asks for: `frames` frames at `fps`, `size` pixels square. */
export interface ClipStream {
  readonly frames: number
  readonly size: number
  readonly fps: number
}

export interface Augmentation {
  /** Side of the square, as a part of the frame's shorter side; its place is random. */
  readonly cropFraction: number
  /** The clip's bytes are multiplied by a number from this range … */
  readonly gain: readonly [low: number, high: number]
  /** … and then one from this range is added. */
  readonly bias: readonly [low: number, high: number]
}

export const defaultAugmentation: Augmentation = { cropFraction: 0.875, gain: [0.85, 1.15], bias: [-12, 12] }

/**
 * The views that a video is classified by: `views` clips spread evenly from its beginning to its end (one: centred), each the
 * centre square. A video (or its part from `start` to `end` seconds) that is too short repeats its last frame.
 */
export function viewsOf(video: StoredVideo, stream: ClipStream, { cropFraction, views }: Preprocessing, start?: number, end?: number): NativeClip[] {
  const part = partOf(video, start, end)
  const slack = slackOf(part, video, stream)
  const side = squareSide(video, cropFraction)
  const square = { left: Math.floor((video.width - side) / 2), top: Math.floor((video.height - side) / 2), side }
  return Array.from({ length: views }, (_, view) => {
    const offset = views === 1 ? slack / 2 : (slack * view) / (views - 1)
    return clipAt(video, framesFrom(offset, part, video, stream), square, plain)
  })
}

/** A clip to train on: a random time, a random square, mirrored or not, with gain and bias jittered. */
export function trainingClip({ video, start, end }: PreparedSample, stream: ClipStream, augmentation: Augmentation, flip: boolean, random: Random): NativeClip {
  const part = partOf(video, start, end)
  // half a frame more on either side, so that the first and the last place are as likely as the others
  const offset = random.uniform(-0.5, slackOf(part, video, stream) + 0.5)
  const side = squareSide(video, augmentation.cropFraction)
  const square = { left: random.int(video.width - side + 1), top: random.int(video.height - side + 1), side }
  return clipAt(video, framesFrom(offset, part, video, stream), square, {
    flip: flip && random.float() < 0.5,
    gain: random.uniform(...augmentation.gain),
    bias: random.uniform(...augmentation.bias),
  })
}

const plain = { flip: false, gain: 1, bias: 0 } as const

type Square = Pick<NativeClip, 'left' | 'top' | 'side'>
type Change = Pick<NativeClip, 'flip' | 'gain' | 'bias'>

function clipAt({ path, offset, width, height }: StoredVideo, frames: number[], square: Square, change: Change): NativeClip {
  return { path, offset, width, height, frames, ...square, ...change }
}

/** The frames from `start` to `end` seconds; at least one. */
function partOf({ frames, fps }: StoredVideo, start = 0, end = Number.POSITIVE_INFINITY): { first: number; length: number } {
  const first = Math.min(frames - 1, Math.round(start * fps))
  const last = Math.min(frames, Math.round(end * fps))
  return { first, length: Math.max(1, last - first) }
}

/** How many frames later than the part's first a clip may begin without running over the part's end. */
function slackOf({ length }: { length: number }, { fps }: StoredVideo, stream: ClipStream): number {
  return Math.max(0, length - 1 - (stream.frames - 1) * (fps / stream.fps))
}

/** The nearest stored frames to the stream's times. */
function framesFrom(offset: number, { first, length }: { first: number; length: number }, { fps }: StoredVideo, stream: ClipStream): number[] {
  const step = fps / stream.fps
  return Array.from({ length: stream.frames }, (_, i) => first + Math.min(length - 1, Math.max(0, Math.round(offset + i * step))))
}

function squareSide({ width, height }: StoredVideo, cropFraction: number): number {
  return Math.max(1, Math.round(cropFraction * Math.min(width, height)))
}
