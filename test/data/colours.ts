import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { Network } from '../../lib/network/network.js'
import { ffmpeg } from './videos.js'

export const colours: readonly string[] = ['blue', 'red', 'yellow']

/** Tells the colours apart after some hundred steps. */
export const network = Network.parse({
  format: 'tiny-video-nets/network/1',
  name: 'three-colours',
  streams: [{ frames: 2, size: 16, fps: 6 }],
  blocks: [
    {
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: 2,
      temporalType: '1d',
      temporalKernel: 3,
      temporalStride: 1,
      filters: 8,
      expand: 2,
      repeats: 1,
      skip: true,
      squeeze: 0.5,
      contextGate: true,
      nonLocal: 0,
    },
  ],
  head: 'mean',
})

/** A split dataset of videos of one colour each, which any network tells apart. */
export function makeColourVideos(root: string): void {
  let seed = 0
  for (const [split, count] of [
    ['train', 5],
    ['val', 2],
    ['test', 3],
  ] as const) {
    for (const colour of colours) {
      const folder = path.join(root, split, colour)
      mkdirSync(folder, { recursive: true })
      for (let i = 0; i < count; i++) {
        const noise = `noise=alls=${10 + 5 * i}:allf=t:all_seed=${seed++}`
        ffmpeg('-f', 'lavfi', '-i', `color=${colour}:s=${32 + 2 * i}x32:r=12:d=1`, '-vf', noise, '-c:v', 'mpeg4', path.join(folder, `${i}.mp4`))
      }
    }
  }
}
