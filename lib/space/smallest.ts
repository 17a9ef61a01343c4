import type { Network } from '../network/network.js'
import type { Block, Stream } from '../network/schema.js'
import { type Domain, extremes, type GeneValue } from './domain.js'
import { express } from './sample.js'
import type { Space } from './space.js'

/**
 * Cheap members of a space, cheapest first: for each spatial type the cheapest network that has it in every block. Whether any network of the
 * space can meet a latency limit is read from these, since the fewest multiply-accumulates need not be the fastest.
 *
 * Found by coordinate descent from the fewest blocks over all values of every gene (of a range: its ends), genes that depend on each other at
 * once, those of all blocks together and then one block at a time; deterministic.
 */
export function candidates(space: Space): Network[] {
  const types = [...new Set(extremes(space.block.spatialType))]
  return types
    .map((type) => cheapest({ ...space, block: { ...space.block, spatialType: [type] } }))
    .sort(compare)
    .map(({ network }) => network)
}

/** The cheapest network of a space by multiply-accumulates, then by parameters. */
export function smallest(space: Space): Network {
  return candidates(space)[0] as Network
}

interface Priced {
  readonly network: Network
  readonly macs: number
  readonly params: number
}

function compare(a: Priced, b: Priced): number {
  return a.macs - b.macs || a.params - b.params
}

function cheapest(space: Space): Priced {
  const first = <T extends GeneValue>(domain: Domain<T>): T => extremes(domain)[0] as T
  const stream = Object.fromEntries(Object.entries(space.stream).map(([gene, domain]) => [gene, first(domain)])) as unknown as Stream
  const block = Object.fromEntries(Object.entries(space.block).map(([gene, domain]) => [gene, first<GeneValue>(domain)])) as unknown as Block
  const least = Math.min(...extremes(space.blocks))
  const price = (stream: Stream, blocks: readonly Block[]): Priced => {
    const network = express({ streams: [stream], blocks, head: first(space.head) }, space.name)
    const { macs, params } = network.cost({ classes: 2 })
    return { network, macs, params }
  }

  let best = price(
    stream,
    Array.from({ length: least }, () => block),
  )
  for (let before: Priced | undefined; before !== best; ) {
    before = best
    for (const change of changes(space.stream, Object.keys(space.stream)))
      best = better(best, price({ ...best.network.streams[0], ...change }, best.network.blocks))
    for (const change of geneGroups(space).flatMap((genes) => changes(space.block, genes))) {
      for (const only of [undefined, ...best.network.blocks.keys()]) {
        const blocks = best.network.blocks.map((block, i) => (only === undefined || only === i ? { ...block, ...change } : block))
        best = better(best, price(best.network.streams[0], blocks))
      }
    }
  }
  return best
}

/** A larger kernel is cheaper only together with a stride, and so on. */
const dependent: readonly (readonly (keyof Block)[])[] = [
  ['spatialKernel', 'spatialStride'],
  ['temporalType', 'temporalKernel', 'temporalStride'],
  ['invertedBottleneck', 'expand', 'filters'],
]

function geneGroups(space: Space): (readonly string[])[] {
  const grouped: readonly string[] = dependent.flat()
  return [
    ...dependent,
    ...Object.keys(space.block)
      .filter((gene) => !grouped.includes(gene))
      .map((gene) => [gene]),
  ]
}

/** Every combination of the values of some genes. */
function changes(domains: object, genes: readonly string[]): Record<string, GeneValue>[] {
  return genes.reduce<Record<string, GeneValue>[]>(
    (partial, gene) => {
      const values = extremes((domains as Record<string, Domain<GeneValue>>)[gene] as Domain<GeneValue>)
      return partial.flatMap((change) => values.map((value) => ({ ...change, [gene]: value })))
    },
    [{}],
  )
}

function better(best: Priced, other: Priced): Priced {
  return compare(other, best) < 0 ? other : best
}
