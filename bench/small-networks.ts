import { Network } from '../lib/network/network.js'

/** Three networks of the `small` space, 8 to 48 channels, as a search on the demo data trains them by the dozen. */
export const smallNetworks: readonly Network[] = [
  Network.parse({
    format: 'tiny-video-nets/network/1',
    name: 'small-squeeze',
    streams: [{ frames: 8, size: 32, fps: 6 }],
    blocks: [
      { spatialType: 'std', spatialKernel: 3, spatialStride: 2, temporalType: '1d', temporalKernel: 5, temporalStride: 1, filters: 8, expand: 2, repeats: 1, skip: true, squeeze: 0.25, contextGate: false, nonLocal: 0 },
      { spatialType: 'std', spatialKernel: 3, spatialStride: 2, temporalType: '1d', temporalKernel: 5, temporalStride: 1, filters: 24, expand: 1, repeats: 1, skip: false, squeeze: 0, contextGate: false, nonLocal: 0 },
      { spatialType: 'std', spatialKernel: 5, spatialStride: 2, temporalType: '1d', temporalKernel: 3, temporalStride: 2, filters: 32, expand: 1, repeats: 1, skip: false, squeeze: 0, contextGate: false, nonLocal: 0 },
    ],
    head: 'mean',
  }),
  Network.parse({
    format: 'tiny-video-nets/network/1',
    name: 'small-plain',
    streams: [{ frames: 8, size: 32, fps: 6 }],
    blocks: [16, 24, 32].map((filters, i) => ({
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: i === 1 ? 2 : 1,
      temporalType: '1d',
      temporalKernel: 3,
      temporalStride: 1,
      filters,
      expand: 1,
      repeats: 1,
      skip: false,
      squeeze: 0,
      contextGate: false,
      nonLocal: 0,
    })),
    head: 'mean',
  }),
  Network.parse({
    format: 'tiny-video-nets/network/1',
    name: 'small-wide',
    streams: [{ frames: 4, size: 48, fps: 8 }],
    blocks: [
      { spatialType: 'std', spatialKernel: 5, spatialStride: 2, temporalType: '1d', temporalKernel: 3, temporalStride: 1, filters: 16, expand: 2, repeats: 1, skip: true, squeeze: 0, contextGate: true, nonLocal: 0 },
      { spatialType: 'depth', spatialKernel: 3, spatialStride: 1, temporalType: '1d', temporalKernel: 3, temporalStride: 1, filters: 32, expand: 2, repeats: 2, skip: true, squeeze: 0.3, contextGate: false, nonLocal: 0 },
      { spatialType: 'std', spatialKernel: 3, spatialStride: 2, temporalType: 'maxpool', temporalKernel: 3, temporalStride: 2, filters: 48, expand: 1, repeats: 1, skip: false, squeeze: 0, contextGate: false, nonLocal: 0 },
    ],
    head: 'mean',
  }),
]
