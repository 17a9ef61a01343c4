import type { Space } from '../../lib/space/space.js'

/** Networks that the emulated GPU trains in seconds. */
export const tinySpace: Space = {
  name: 'tiny',
  stream: { frames: [1, 2], size: [16], fps: [6] },
  blocks: [1, 2],
  block: {
    spatialType: ['std', 'depth'],
    spatialKernel: [3],
    spatialStride: [2],
    temporalType: ['1d', 'maxpool'],
    temporalKernel: [1, 3],
    temporalStride: [1],
    filters: [8, 12],
    expand: [1, 2],
    repeats: [1],
    skip: [true, false],
    squeeze: [0],
    contextGate: [true, false],
    nonLocal: [0],
    invertedBottleneck: [false],
    spatialActivation: ['relu'],
    temporalActivation: ['relu'],
    activation: ['relu'],
  },
  head: ['mean'],
}
