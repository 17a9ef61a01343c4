import fc from 'fast-check'
import { networkFormat, type NetworkJson } from '../../lib/network/schema.js'

const oneOf = <const T extends string>(...values: T[]) => fc.constantFrom(...values)
const whole = (min: number, max: number) => fc.integer({ min, max })

/** Any valid Network JSON within the schema's bounds, in canonical form. */
export function networkJson(): fc.Arbitrary<NetworkJson> {
  const block = fc.record({
    spatialType: oneOf('std', 'depth', 'maxpool', 'avgpool'),
    spatialKernel: whole(1, 7),
    spatialStride: whole(1, 4),
    temporalType: oneOf('1d', 'maxpool', 'avgpool'),
    temporalKernel: whole(1, 9),
    temporalStride: whole(1, 4),
    filters: whole(1, 2048),
    expand: whole(0, 8),
    repeats: whole(1, 8),
    skip: fc.boolean(),
    squeeze: fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 1, noNaN: true })),
    contextGate: fc.boolean(),
    nonLocal: fc.oneof(fc.constant(0), whole(8, 1024)),
    invertedBottleneck: fc.boolean(),
    spatialActivation: oneOf('relu', 'hswish'),
    temporalActivation: oneOf('relu', 'hswish'),
    activation: oneOf('relu', 'hswish'),
  })
  const stream = fc.record({ frames: whole(1, 128), size: whole(8, 320), fps: fc.double({ min: 1, max: 60, noNaN: true }) })
  return fc.record({
    format: fc.constant(networkFormat),
    name: fc.stringMatching(/^[a-z0-9-]{1,20}$/),
    streams: fc.tuple(stream),
    blocks: fc.array(block, { minLength: 1, maxLength: 16 }),
    head: oneOf('mean', 'temporal-softmax'),
  })
}
