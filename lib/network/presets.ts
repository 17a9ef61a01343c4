import type { Block, NetworkJson } from './schema.js'
import { networkFormat } from './schema.js'

/**
 * The networks that Google released (google-research/tiny_video_nets) for "Tiny Video Networks", Piergiovanni, Angelova and Ryoo 2019.
 * They do not meet the limits of the paper's tables; never pair them with its milliseconds.
 */
export const presets = {
  'tvn-1': preset('tvn-1', 2, 224, 4, [
    block('std 4/2', 'maxpool 2/2', 64, 4, 2, { contextGate: true }),
    block('maxpool 3/2', '1d 1/1', 128, 4, 1, { squeeze: 0.9067600752736579 }),
    block('depth 5/3', 'avgpool 1/1', 128, 4, 2, { skip: true, contextGate: true }),
    block('std 3/2', 'avgpool 1/1', 256, 8, 2, { squeeze: 0.7265534208526172, contextGate: true }),
  ]),
  'tvn-2': preset('tvn-2', 2, 256, 7, [
    block('depth 5/3', '1d 2/1', 64, 4, 3, { skip: true, squeeze: 0.06667482492426025, contextGate: true }),
    block('std 4/2', 'maxpool 2/2', 128, 4, 5, { skip: true, squeeze: 0.693452618624749, contextGate: true }),
    block('depth 4/1', '1d 1/1', 1024, 1, 6),
    block('avgpool 3/2', '1d 1/1', 256, 4, 1, { contextGate: true }),
    block('avgpool 4/3', '1d 1/1', 512, 4, 6, { squeeze: 0.9472192794783585 }),
    block('depth 3/3', 'maxpool 1/1', 512, 4, 4),
    block('maxpool 2/1', 'maxpool 1/1', 348, 6, 1, { contextGate: true }),
  ]),
  'tvn-3': preset('tvn-3', 8, 160, 2, [
    block('depth 3/2', '1d 5/2', 64, 3, 2, { squeeze: 0.6457257964198263, contextGate: true }),
    block('depth 3/2', '1d 1/1', 256, 5, 4, { skip: true, squeeze: 0.9061418818635367 }),
    block('depth 5/4', 'maxpool 3/2', 256, 2, 4, { skip: true }),
    block('std 3/2', 'maxpool 3/3', 512, 5, 4, { contextGate: true }),
  ]),
  'tvn-4': preset('tvn-4', 8, 128, 4, [
    block('std 5/2', '1d 3/2', 64, 4, 5, { skip: true, squeeze: 0.4775900391242449 }),
    block('depth 5/2', 'maxpool 2/2', 256, 6, 4, { contextGate: true }),
    block('depth 5/3', '1d 1/1', 256, 8, 4, { squeeze: 0.25309102981899967, contextGate: true }),
  ]),
  'tvn-mobile-1': preset('tvn-mobile-1', 2, 224, 1, [
    block('depth 5/4', '1d 2/1', 32, 3, 4, { squeeze: 0.004598785768716973 }),
    block('depth 5/4', 'maxpool 2/1', 128, 6, 4, { squeeze: 0.8589741047143076, ...mobile() }),
  ]),
  'tvn-mobile-2': preset('tvn-mobile-2', 2, 224, 1, [
    block('depth 5/4', '1d 2/1', 32, 3, 4, { squeeze: 0.004598785768716973, spatialActivation: 'hswish' }),
    block('depth 5/4', 'maxpool 2/1', 128, 6, 3, { squeeze: 0.8589741047143076, ...mobile() }),
  ]),
} as const satisfies Record<string, NetworkJson>

export type PresetName = keyof typeof presets

/** Classes of the data that each preset was searched on: Moments in Time, MLB-YouTube, Charades. */
export const presetClasses: Readonly<Record<PresetName, number>> = {
  'tvn-1': 339,
  'tvn-2': 8,
  'tvn-3': 157,
  'tvn-4': 339,
  'tvn-mobile-1': 339,
  'tvn-mobile-2': 339,
}

/** `frameStride` counts frames of 25 fps video. */
function preset(name: string, frames: number, size: number, frameStride: number, blocks: readonly Block[]): NetworkJson {
  return { format: networkFormat, name, streams: [{ frames, size, fps: 25 / frameStride }], blocks, head: 'mean' }
}

type Type<T extends string> = `${T} ${number}/${number}`

/** A block from `type kernel/stride` of its two layers, filters, expansion, repeats and the genes that are not off. */
function block(
  spatial: Type<Block['spatialType']>,
  temporal: Type<Block['temporalType']>,
  filters: number,
  expand: number,
  repeats: number,
  rest: Partial<Block> = {},
): Block {
  const [spatialType, spatialKernel, spatialStride] = spatial.split(/[ /]/) as [Block['spatialType'], string, string]
  const [temporalType, temporalKernel, temporalStride] = temporal.split(/[ /]/) as [Block['temporalType'], string, string]
  return {
    spatialType,
    spatialKernel: Number(spatialKernel),
    spatialStride: Number(spatialStride),
    temporalType,
    temporalKernel: Number(temporalKernel),
    temporalStride: Number(temporalStride),
    filters,
    expand,
    repeats,
    skip: false,
    squeeze: 0,
    contextGate: false,
    nonLocal: 0,
    invertedBottleneck: false,
    spatialActivation: 'relu',
    temporalActivation: 'relu',
    activation: 'relu',
    ...rest,
  }
}

function mobile(): Partial<Block> {
  return { invertedBottleneck: true, spatialActivation: 'hswish', temporalActivation: 'hswish' }
}
