import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'

export const presets = ['tvn-1', 'tvn-2', 'tvn-3', 'tvn-4'] as const

/** A preset's blocks on smaller frames. */
export function shrunk(name: string, size: number): Network {
  const json = Network.preset(name).toJSON()
  const [stream] = json.streams
  return Network.parse({ ...json, streams: [{ ...stream, size }] })
}

/** Each of them once, with a part of its channels. */
export function thinned(name: string, size: number, part: number): Network {
  const json = shrunk(name, size).toJSON()
  return Network.parse({ ...json, blocks: json.blocks.map((block) => ({ ...block, filters: Math.round(block.filters * part), repeats: 1 })) })
}

/** Bytes of some clips: squares of one colour in all frames of each, with noise, so that batch norm finds clips that differ. */
export function clipsFor({ streams: [{ frames, size }] }: Network, count: number): Uint8Array {
  const random = Random.seeded(1)
  const cells = Math.ceil(size / 8)
  const clips = new Uint8Array(count * frames * size * size * 3)
  let at = 0
  for (let clip = 0; clip < count; clip++) {
    const colours = Array.from({ length: cells * cells * 3 }, () => random.uniform(0, 220))
    for (let frame = 0; frame < frames; frame++)
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++)
          for (let c = 0; c < 3; c++) clips[at++] = (colours[((y >> 3) * cells + (x >> 3)) * 3 + c] as number) + random.uniform(0, 35)
  }
  return clips
}
