import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { TvnError } from '../errors.js'
import type { Network } from '../network/network.js'
import { activations, type Block, blockShape, type Head, headSchema, type Stream, streamShape } from '../network/schema.js'
import { didYouMean, label, object, parseJson, parseWith, whole } from '../validate.js'
import { type Domain, domainSchema, type GeneValue, inDomain } from './domain.js'

export const spaceFormat = 'tiny-video-nets/space/1'

type Domains<Genes> = { readonly [Gene in keyof Genes]: Domain<Genes[Gene] & GeneValue> }

/** What a search may propose: a domain for every gene, drawn independently of each other. */
export interface Space {
  readonly name: string
  readonly stream: Domains<Stream>
  /** How many blocks. */
  readonly blocks: Domain<number>
  readonly block: Domains<Block>
  readonly head: Domain<Head>
  /** Members that need more multiply-accumulates for a clip are never proposed. Default: no bound but what can be built. */
  readonly maxMacs?: number
}

const often = <const T extends GeneValue>(value: T, weight: number) => ({ value, weight })
/** Numbers that are drawn the less often, the larger (and so the costlier) they are. */
const smallerOften = (values: readonly number[]): Domain<number> => values.map((value) => ({ value, weight: 1 / value }))
const either: Domain<boolean> = [false, true]
const spatialTypes = ['std', 'depth', 'maxpool', 'avgpool'] as const
const temporalTypes = ['1d', 'maxpool', 'avgpool'] as const

/**
 * The space of "Tiny Video Networks" (section 3), mobile family included. Were every value equally likely, half of all members would need over
 * 370 GMACs and a third could not be built at all; so cheap values are likelier: counts and sizes are drawn on a logarithmic scale,
 * filters and expand by the inverse of their value, and the non-local layer is rare. Half of all members then need less than 7 GMACs, and 98 of 100 can be built.
 */
const full: Space = {
  name: 'full',
  stream: { frames: [{ min: 1, max: 128, log: true }], size: [{ min: 32, max: 320, log: true }], fps: [{ min: 1, max: 25 }] },
  blocks: [{ min: 2, max: 10, log: true }],
  block: {
    spatialType: spatialTypes,
    spatialKernel: [1, 2, 3, 4, 5],
    spatialStride: [1, 2, 3, 4],
    temporalType: temporalTypes,
    temporalKernel: [1, 2, 3, 5],
    temporalStride: [1, 2, 3],
    filters: smallerOften([32, 64, 128, 256, 348, 512, 1024]),
    expand: smallerOften([1, 2, 3, 4, 5, 6, 8]),
    repeats: [{ min: 1, max: 8, log: true }],
    skip: either,
    squeeze: [0, { min: 0.001, max: 1, real: true }],
    contextGate: either,
    nonLocal: [often(0, 17), 32, 64, 128],
    invertedBottleneck: either,
    spatialActivation: activations,
    temporalActivation: activations,
    activation: activations,
  },
  head: ['mean'],
}

/**
 * Networks of some ten thousand parameters for small data such as the demo. Its values are fixed; its weights make most proposals
 * affordable (below 100 k parameters and 40 MMACs) and let most of them see motion: strides, few filters and learnt temporal layers are likelier.
 * Without the bound one network in thirty would take as long to train as ten others together.
 */
const small: Space = {
  name: 'small',
  stream: {
    frames: [1, 2, 4, often(8, 2), often(12, 2)],
    size: [24, 32, 40, 48],
    fps: [4, 6, 8, 12],
  },
  blocks: [{ min: 2, max: 4 }],
  block: {
    spatialType: spatialTypes,
    spatialKernel: [3, 5],
    spatialStride: [1, often(2, 3)],
    temporalType: [often('1d', 2), 'maxpool', 'avgpool'],
    temporalKernel: [1, 3, 5],
    temporalStride: [1, 2],
    filters: [8, 16, 24, 32, 48],
    expand: [often(1, 2), 2, 3],
    repeats: [often(1, 2), 2],
    skip: either,
    squeeze: [0, { min: 0.1, max: 0.5, real: true }],
    contextGate: either,
    nonLocal: [often(0, 15), 16],
    invertedBottleneck: [false],
    spatialActivation: ['relu'],
    temporalActivation: ['relu'],
    activation: ['relu'],
  },
  head: ['mean'],
  maxMacs: 200e6,
}

/** The spaces that have names. */
export const spaces = { full, small } as const satisfies Record<string, Space>

const domains = <const Shape extends Record<string, z.ZodType<GeneValue>>>(shape: Shape) =>
  object(
    Object.fromEntries(Object.entries(shape).map(([gene, schema]) => [gene, optionalWhere(schema)])) as { [K in keyof Shape]: ReturnType<typeof domainSchema> },
  )

/** A gene that a network may leave out may be left out of a space: it then has its default. */
function optionalWhere(gene: z.ZodType<GeneValue>) {
  const byDefault = gene.safeParse(undefined)
  return byDefault.success ? domainSchema(gene).default([byDefault.data]) : domainSchema(gene)
}

const spaceSchema = object({
  format: z.literal(spaceFormat, `"${spaceFormat}"`),
  name: label(),
  stream: domains(streamShape),
  blocks: domainSchema(whole(1, 16)),
  block: domains(blockShape),
  head: domainSchema(headSchema).default(['mean']),
  maxMacs: z.number('a number of multiply-accumulates').min(1, 'a number of multiply-accumulates').optional(),
})

/**
 * A space from its JSON (a value or its text): `{ format: "tiny-video-nets/space/1", name, stream: { frames, size, fps }, blocks, block: { … }, head }`,
 * perhaps `maxMacs`, every gene a domain: an array of values, `{ "value", "weight" }` and, for numbers, `{ "min", "max", "real", "log", "weight" }`.
 * `blocks` is their number; `head` (default mean) and the genes that Network JSON may leave out may be left out.
 * Throws ERR_ARGUMENT with the path, what is allowed there and what came.
 */
export function parseSpace(json: unknown): Space {
  const value = typeof json === 'string' ? parseJson(json, 'ERR_ARGUMENT', 'a space') : json
  const { format: _, maxMacs, ...domains } = parseWith(spaceSchema, value, 'ERR_ARGUMENT', 'a space')
  return { ...domains, ...(maxMacs !== undefined && { maxMacs }) } as unknown as Space
}

/** A space by name, or from a JSON file. Throws ERR_ARGUMENT where it is neither, ERR_FILE where the file cannot be read; both name it. */
export async function readSpace(nameOrFile: string): Promise<Space> {
  if (Object.hasOwn(spaces, nameOrFile)) return spaces[nameOrFile as keyof typeof spaces]
  let text: string
  try {
    text = await readFile(nameOrFile, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new TvnError('ERR_FILE', `space ${nameOrFile} cannot be read: ${(cause as Error).message}`, { cause })
    throw new TvnError('ERR_ARGUMENT', `space "${nameOrFile}" is neither a known space nor a file: ${didYouMean(nameOrFile, Object.keys(spaces))}`, { cause })
  }
  try {
    return parseSpace(text)
  } catch (cause) {
    throw cause instanceof TvnError ? new TvnError(cause.code, `${nameOrFile}: ${cause.message}`, { cause }) : cause
  }
}

/** The same space with a fixed number of frames. Throws ERR_ARGUMENT where a network cannot have as many. */
export function withFrames(space: Space, frames: number): Space {
  parseWith(streamShape.frames, frames, 'ERR_ARGUMENT', 'frames')
  return { ...space, stream: { ...space.stream, frames: [frames] } }
}

/** Whether a network of the right genes may be proposed: it can be built and is not beyond the space's bound. */
export function admits({ maxMacs }: Space, network: Network): boolean {
  return network.isBuildable() && (maxMacs === undefined || network.cost({ classes: 2 }).macs <= maxMacs)
}

/** Whether every gene of a network is in its domain. */
export function contains(space: Space, network: Network): boolean {
  const within = <Genes extends object>(domains: Domains<Genes>, genes: Genes): boolean =>
    (Object.keys(domains) as (keyof Genes)[]).every((gene) => inDomain(domains[gene], genes[gene] as Genes[keyof Genes] & GeneValue))
  return (
    within(space.stream, network.streams[0]) &&
    inDomain(space.blocks, network.blocks.length) &&
    network.blocks.every((block) => within(space.block, block)) &&
    inDomain(space.head, network.head)
  )
}
