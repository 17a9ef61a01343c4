import type { Network } from '../network/network.js'
import type { Block, Genes, Head, Stream } from '../network/schema.js'
import type { Random } from '../random.js'
import { type Domain, draw, type GeneValue, inDomain, isFree } from './domain.js'
import { express, sampleBlock } from './sample.js'
import { admits, type Space } from './space.js'

export interface Mutation {
  readonly network: Network
  /**
   * What changed, in order: `filters[1]` (gene of a block), `streams[0].frames`, `head`, and `blocks.add[i]`, `blocks.duplicate[i]`, `blocks.remove[i]`
   * with the place of the new, the copied or the removed block at that moment.
   */
  readonly mutations: readonly string[]
}

/** How likely a child has one, two or three mutations. */
const counts: Domain<number> = [
  { value: 1, weight: 5 },
  { value: 2, weight: 3 },
  { value: 3, weight: 2 },
]
/** How likely a mutation touches what. */
const kinds: Domain<Kind> = [
  { value: 'block', weight: 13 },
  { value: 'stream', weight: 4 },
  { value: 'structure', weight: 3 },
]
const maxAttempts = 200

type Kind = 'block' | 'stream' | 'structure'

/**
 * A child of a network: one to three mutations, each another value for a gene of a block or of the stream, or a block added, duplicated or
 * removed ("mutate part of the parent's structure"). A network of the space gives a network of the space, different in at least one gene.
 *
 * Genes without effect (the stride of a layer that is left out) make children that compute the same as their parent: those are
 * drawn again as long as there are others, and so are children too large for the space.
 * The same random stream gives the same child; none where the space leaves nothing to change.
 */
export function mutate(space: Space, network: Network, random: Random, name = network.name): Mutation | undefined {
  let silent: Mutation | undefined
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const genes: MutableGenes = { streams: [{ ...network.streams[0] }], blocks: network.blocks.map((block) => ({ ...block })), head: network.head }
    const drawn = Array.from({ length: draw(counts, random) }, () => draw(kinds, random))
    // blocks first, so that a place means the same block from then on
    const ordered = [...drawn.filter((kind) => kind === 'structure'), ...drawn.filter((kind) => kind !== 'structure')]
    const mutations: string[] = []
    for (const kind of ordered) mutateOnce(space, genes, kind, random, mutations)
    const child = express(genes, name)
    // a removal may have undone an addition
    if (child.hash() === network.hash() || !admits(space, child)) continue
    if (!child.computesLike(network)) return { network: child, mutations }
    silent ??= { network: child, mutations }
  }
  return silent
}

interface MutableGenes extends Genes {
  readonly streams: readonly [Stream]
  blocks: Block[]
  head: Head
}

/** One mutation in place, added to the list by its name; none where the space leaves no choice or the gene has changed already. */
function mutateOnce(space: Space, genes: MutableGenes, kind: Kind, random: Random, mutations: string[]): void {
  if (kind === 'structure') return mutateStructure(space, genes, random, mutations)
  const i = random.int(genes.blocks.length)
  const gene = kind === 'stream' ? pickOne([...free(space.stream), ...(isFree(space.head) ? ['head'] : [])], random) : pickOne(free(space.block), random)
  if (gene === undefined) return
  const mutation = gene === 'head' ? gene : kind === 'stream' ? `streams[0].${gene}` : `${gene}[${i}]`
  if (mutations.includes(mutation)) return
  mutations.push(mutation)
  if (gene === 'head') genes.head = draw(space.head, random, genes.head)
  else if (kind === 'stream') redraw(space.stream, genes.streams[0], gene as keyof Stream, random)
  else redraw(space.block, genes.blocks[i] as Block, gene as keyof Block, random)
}

/** Genes that may have more than one value. */
function free(domains: object): string[] {
  return Object.entries<Domain<GeneValue>>(domains as never)
    .filter(([, domain]) => isFree(domain))
    .map(([gene]) => gene)
}

/** Another value for a gene, in place. */
function redraw<T extends object>(domains: { readonly [K in keyof T]: Domain<T[K] & GeneValue> }, genes: T, gene: keyof T, random: Random): void {
  genes[gene] = draw(domains[gene], random, genes[gene] as T[keyof T] & GeneValue)
}

function mutateStructure(space: Space, genes: MutableGenes, random: Random, mutations: string[]): void {
  const count = genes.blocks.length
  const possible = [...(inDomain(space.blocks, count + 1) ? ['add', 'duplicate'] : []), ...(inDomain(space.blocks, count - 1) ? ['remove'] : [])]
  const change = pickOne(possible, random)
  if (change === undefined) return
  const i = random.int(change === 'add' ? count + 1 : count)
  if (change === 'add') genes.blocks.splice(i, 0, sampleBlock(space, random))
  else if (change === 'duplicate') genes.blocks.splice(i, 0, { ...(genes.blocks[i] as Block) })
  else genes.blocks.splice(i, 1)
  mutations.push(`blocks.${change}[${i}]`)
}

function pickOne<T>(items: readonly T[], random: Random): T | undefined {
  return items.length === 0 ? undefined : random.pick(items)
}
