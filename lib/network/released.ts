import { z } from 'zod'
import { list, object, parseJson, parseWith, whole } from '../validate.js'
import { Network } from './network.js'
import { type Block, blockShape, type Genes, type Head, networkFormat, streamShape } from './schema.js'

/**
 * The JSON in which Google released its networks (google-research/tiny_video_nets): snake_case keys, switches as 0 and 1,
 * the frame rate as a stride over 25 fps video. The mobile family lists its streams and has five more keys a block.
 * Sizes and counts that the search left behind (`current_size`, `total_layers`, …) are stale and ignored when reading, left out when writing.
 */
export interface ReleasedStream {
  readonly num_frames: number
  readonly frame_stride: number
  readonly image_size: number
}

export interface ReleasedBlock {
  readonly spatial_type: Block['spatialType']
  readonly spatial_kernel: number
  readonly spatial_stride: number
  readonly temporal_type: Block['temporalType']
  readonly temporal_kernel: number
  readonly temporal_stride: number
  readonly filters: number
  readonly expand: number
  readonly repeats: number
  readonly skip: 0 | 1
  readonly squeeze: number
  readonly context_gate: 0 | 1
  readonly non_local: number
  /** From here: mobile family only. */
  readonly 'inv-bottle'?: 0 | 1
  readonly spatial_act?: Block['activation']
  readonly temporal_act?: Block['activation']
  readonly act?: Block['activation']
  readonly inputs?: readonly number[]
}

export type ReleasedNetwork =
  | (ReleasedStream & { readonly num_blocks: number; readonly blocks: readonly ReleasedBlock[] })
  | { readonly input_streams: readonly ReleasedStream[]; readonly blocks: readonly ReleasedBlock[] }

export interface ReadReleasedOptions {
  /** The released format has no names. */
  readonly name: string
  /** The released format has no head. Default `mean`. */
  readonly head?: Head
}

const videoRate = 25

/** Our genes and theirs, in the order in which they are written. */
const keys = {
  spatialType: 'spatial_type',
  spatialKernel: 'spatial_kernel',
  spatialStride: 'spatial_stride',
  temporalType: 'temporal_type',
  temporalKernel: 'temporal_kernel',
  temporalStride: 'temporal_stride',
  filters: 'filters',
  expand: 'expand',
  repeats: 'repeats',
  skip: 'skip',
  squeeze: 'squeeze',
  contextGate: 'context_gate',
  nonLocal: 'non_local',
  invertedBottleneck: 'inv-bottle',
  spatialActivation: 'spatial_act',
  temporalActivation: 'temporal_act',
  activation: 'act',
} as const satisfies Record<keyof Block, keyof ReleasedBlock>
const keyPairs = Object.entries(keys) as [keyof Block, keyof ReleasedBlock][]
const mobileGenes = ['invertedBottleneck', 'spatialActivation', 'temporalActivation', 'activation'] as const satisfies (keyof Block)[]

const bit = z.union([z.literal([0, 1]), z.boolean()], '0 or 1').transform(Boolean)
const switches = { skip: bit, contextGate: bit, invertedBottleneck: bit.default(false) }

const stale = z.unknown().optional()
const staleSizes = { current_size: stale, input_size: stale, output_size: stale }
const staleCounts = { num_blocks: stale, total_layers: stale }

const genes = Object.fromEntries(keyPairs.map(([ours, theirs]) => [theirs, { ...blockShape, ...switches }[ours]]))
const blocks = list(object({ ...genes, inputs: stale, ...staleSizes }), 1, 16, 'blocks')
const stream = { num_frames: streamShape.frames, frame_stride: whole(1, videoRate), image_size: streamShape.size }
const classicSchema = object({ ...stream, blocks, ...staleCounts, ...staleSizes })
const mobileSchema = object({ input_streams: z.array(object({ ...stream, ...staleSizes }), 'an array of streams'), blocks, ...staleCounts })

/**
 * Reads the released JSON (a value or its text); fps = 25 / frame_stride.
 * Throws ERR_NETWORK_INVALID with the path, what is allowed there and what came.
 */
export function readReleased(json: unknown, { name, head = 'mean' }: ReadReleasedOptions): Network {
  const what = 'a released network'
  const value = typeof json === 'string' ? parseJson(json, 'ERR_NETWORK_INVALID', what) : json
  const mobile = typeof value === 'object' && value !== null && 'input_streams' in value
  const released = mobile ? parseWith(mobileSchema, value, 'ERR_NETWORK_INVALID', what) : parseWith(classicSchema, value, 'ERR_NETWORK_INVALID', what)
  const streams = 'input_streams' in released ? released.input_streams : [released]
  return Network.parse({
    format: networkFormat,
    name,
    streams: streams.map((stream) => ({ frames: stream.num_frames, size: stream.image_size, fps: videoRate / stream.frame_stride })),
    blocks: released.blocks.map((block: Record<string, unknown>) => ({
      ...Object.fromEntries(keyPairs.map(([ours, theirs]) => [ours, block[theirs]])),
      ...(block['inputs'] !== undefined && { inputs: block['inputs'] }),
    })),
    head,
  })
}

/**
 * Writes the released JSON: the mobile form where a block has a gene that only it can hold, else the first form.
 * fps is rounded to the nearest stride over 25 fps video (1 to 25); name and head have no place in the format.
 */
export function writeReleased({ streams: [{ frames, size, fps }], blocks }: Genes): ReleasedNetwork {
  const stride = Math.min(Math.max(Math.round(videoRate / fps), 1), videoRate)
  const stream: ReleasedStream = { num_frames: frames, frame_stride: stride, image_size: size }
  const mobile = blocks.some((block) => mobileGenes.some((gene) => block[gene] !== false && block[gene] !== 'relu'))
  const pairs = keyPairs.filter(([ours]) => mobile || !mobileGenes.some((gene) => gene === ours))
  const released = blocks.map((block, i) => {
    const values = pairs.map(([ours, theirs]) => [theirs, typeof block[ours] === 'boolean' ? Number(block[ours]) : block[ours]])
    return { ...Object.fromEntries(values), ...(mobile && { inputs: [i] }) } as ReleasedBlock
  })
  return mobile ? { input_streams: [stream], blocks: released } : { ...stream, num_blocks: blocks.length, blocks: released }
}
