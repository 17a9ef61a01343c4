import { TvnError } from '../errors.js'
import { Network } from '../network/network.js'
import { type Block, type Genes, networkFormat, type Stream } from '../network/schema.js'
import type { Random } from '../random.js'
import { draw } from './domain.js'
import { admits, type Space } from './space.js'

/** Draws in a row that may be too large to be built before a space counts as hopeless. */
const maxAttempts = 1000

/**
 * A random member of a space: every gene drawn on its own, by the weights of its domain. Members too large for the space, or to be built at all, are drawn again.
 * The same random stream gives the same network. Throws ERR_ARGUMENT where (nearly) none can be built.
 */
export function sample(space: Space, random: Random, name = space.name): Network {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const stream: Stream = { frames: draw(space.stream.frames, random), size: draw(space.stream.size, random), fps: draw(space.stream.fps, random) }
    const blocks = Array.from({ length: draw(space.blocks, random) }, () => sampleBlock(space, random))
    const network = express({ streams: [stream], blocks, head: draw(space.head, random) }, name)
    if (admits(space, network)) return network
  }
  throw new TvnError('ERR_ARGUMENT', `space ${space.name}: none of ${maxAttempts} members drawn can be built, all are too large`, {
    hint: 'allow fewer frames, a smaller size or fewer filters',
  })
}

export function sampleBlock({ block }: Space, random: Random): Block {
  return {
    spatialType: draw(block.spatialType, random),
    spatialKernel: draw(block.spatialKernel, random),
    spatialStride: draw(block.spatialStride, random),
    temporalType: draw(block.temporalType, random),
    temporalKernel: draw(block.temporalKernel, random),
    temporalStride: draw(block.temporalStride, random),
    filters: draw(block.filters, random),
    expand: draw(block.expand, random),
    repeats: draw(block.repeats, random),
    skip: draw(block.skip, random),
    squeeze: draw(block.squeeze, random),
    contextGate: draw(block.contextGate, random),
    nonLocal: draw(block.nonLocal, random),
    invertedBottleneck: draw(block.invertedBottleneck, random),
    spatialActivation: draw(block.spatialActivation, random),
    temporalActivation: draw(block.temporalActivation, random),
    activation: draw(block.activation, random),
  }
}

/** The network of some genes. */
export function express(genes: Genes, name: string): Network {
  return Network.parse({ format: networkFormat, name, ...genes })
}
