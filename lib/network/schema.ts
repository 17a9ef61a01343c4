import { z } from 'zod'
import { fail, flag, label, list, object, oneOf, parseJson, parseWith, real, whole } from '../validate.js'

export const networkFormat = 'tiny-video-nets/network/1'

/** Genes of a stream of frames: `frames` frames of `size` × `size` pixels, `fps` frames a second. */
export const streamShape = { frames: whole(1, 128), size: whole(8, 320), fps: real(1, 60) }

export const activations = ['relu', 'hswish'] as const

/**
 * Genes of a block, with the bounds of what can be built (a search space proposes less). What they do is in lower.ts.
 * `expand` and `squeeze` 0 and `nonLocal` 0 leave the layer out; `nonLocal` is the width of its bottleneck.
 */
export const blockShape = {
  spatialType: oneOf(['std', 'depth', 'maxpool', 'avgpool']),
  spatialKernel: whole(1, 7),
  spatialStride: whole(1, 4),
  temporalType: oneOf(['1d', 'maxpool', 'avgpool']),
  temporalKernel: whole(1, 9),
  temporalStride: whole(1, 4),
  filters: whole(1, 2048),
  expand: whole(0, 8),
  repeats: whole(1, 8),
  skip: flag(),
  squeeze: real(0, 1),
  contextGate: flag(),
  nonLocal: nonLocalWidth(),
  invertedBottleneck: flag().default(false),
  spatialActivation: oneOf(activations).default('relu'),
  temporalActivation: oneOf(activations).default('relu'),
  activation: oneOf(activations).default('relu'),
}

export const headSchema = oneOf(['mean', 'temporal-softmax'])

function nonLocalWidth() {
  const error = '0 (off) or a whole number from 8 to 1024'
  return z
    .number(error)
    .int(error)
    .max(1024, error)
    .refine((width) => width === 0 || width >= 8, error)
}

/** Which sources a block reads; 0 is the stream, i + 1 the output of block i. Chains only, so it says nothing that its position does not. */
const inputs = list(whole(0, 16), 1, 16, 'sources (0 is the stream, 1 the first block)')

const networkSchema = object({
  format: z.literal(networkFormat, `"${networkFormat}"`),
  name: label(),
  streams: z.array(object(streamShape), 'an array of one stream').min(1, 'an array of one stream'),
  blocks: list(object({ ...blockShape, inputs: inputs.optional() }), 1, 16, 'blocks'),
  head: headSchema,
}).check(({ value, issues }) => {
  if (value.streams.length > 1) issues.push(fail(['streams'], `holds ${value.streams.length} streams: several streams are not supported yet`, value.streams))
  value.blocks.forEach((block, i) => {
    if (block.inputs === undefined || block.inputs.length === 0) return // nothing named, or told already
    const later = block.inputs.find((source) => source > i)
    const refuse = (message: string) => issues.push(fail(['blocks', i, 'inputs'], message, block.inputs))
    if (later !== undefined) refuse(`names source ${later}, which comes after this block (0 is the stream, 1 the first block): expected [${i}]`)
    else if (block.inputs.length > 1) refuse(`names ${block.inputs.length} sources: several inputs are not supported yet, expected [${i}]`)
    else if (block.inputs[0] !== i) refuse(`skips the block before: blocks that do not form a chain are not supported yet, expected [${i}]`)
  })
})

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T

const blockSchema = z.strictObject(blockShape)
const streamSchema = z.strictObject(streamShape)

/** A block as it is written: genes that have a default may be left out. */
export type BlockJson = DeepReadonly<z.input<typeof blockSchema>>

/** Checks a block's JSON. Throws ERR_NETWORK_INVALID whose message names the path, what is allowed and what came. */
export function parseBlock(json: unknown): Block {
  return parseWith(blockSchema, json, 'ERR_NETWORK_INVALID', 'a block')
}

export type Stream = DeepReadonly<z.output<typeof streamSchema>>
export type Block = DeepReadonly<z.output<typeof blockSchema>>
export type Head = z.output<typeof headSchema>
export type Activation = (typeof activations)[number]

/** A network's genes, complete and in canonical key order. */
export interface Genes {
  readonly streams: readonly [Stream]
  readonly blocks: readonly Block[]
  readonly head: Head
}

/** The Network JSON as it is written: every gene present; `inputs` is left out, blocks form a chain. */
export interface NetworkJson extends Genes {
  readonly format: typeof networkFormat
  readonly name: string
}

/**
 * Checks Network JSON (a value or its text) and fills in what may be left out.
 * Throws ERR_NETWORK_INVALID whose message names the path, what is allowed and what came.
 */
export function parseNetwork(json: unknown): NetworkJson {
  const value = typeof json === 'string' ? parseJson(json, 'ERR_NETWORK_INVALID', 'a network') : json
  const { format, name, streams, blocks, head } = parseWith(networkSchema, value, 'ERR_NETWORK_INVALID', 'a network')
  return { format, name, streams: [streams[0] as Stream], blocks: blocks.map(({ inputs: _, ...genes }) => genes), head }
}
