import * as tf from '@tensorflow/tfjs'
import { Conv2Plus1d, type Conv2Plus1dArgs, DepthwiseConv2Plus1d, type DepthwiseConv2Plus1dArgs } from './convolution.js'
import { ContextGating, NonLocal, type NonLocalArgs, SqueezeExcite, type SqueezeExciteArgs } from './gates.js'
import { TinyBlock, type TinyBlockArgs } from './tiny-block.js'
import type { LayerArgs } from './video-layer.js'

// so that models made of them can be loaded
for (const layer of [Conv2Plus1d, DepthwiseConv2Plus1d, SqueezeExcite, ContextGating, NonLocal, TinyBlock])
  tf.serialization.registerClass(layer as unknown as tf.serialization.SerializableConstructor<tf.layers.Layer>)

function given<T>(args: T): T {
  const value: unknown = args
  if (typeof value === 'object' && value !== null) return args
  throw new Error(`expected an object with the layer's arguments, but got ${String(value)}.`)
}

/** A spatial convolution of every frame, then a temporal one of every position: "(2+1)D" (Tran et al. 2018). [N, T, H, W, C] → [N, T', H', W', filters]. */
export function conv2Plus1d(args: Conv2Plus1dArgs): Conv2Plus1d {
  return new Conv2Plus1d(given(args))
}

/** The same with one spatial filter for every channel. */
export function depthwiseConv2Plus1d(args: DepthwiseConv2Plus1dArgs = {}): DepthwiseConv2Plus1d {
  return new DepthwiseConv2Plus1d(given(args))
}

/** Squeeze-and-excitation over the whole clip (Hu et al. 2018). */
export function squeezeExcite(args: SqueezeExciteArgs = {}): SqueezeExcite {
  return new SqueezeExcite(given(args))
}

/** Context gating over the whole clip (Miech et al. 2017). */
export function contextGating(args: LayerArgs = {}): ContextGating {
  return new ContextGating(given(args))
}

/** Attention over space and time (Wang et al. 2018). */
export function nonLocal(args: NonLocalArgs = {}): NonLocal {
  return new NonLocal(given(args))
}

/** A block of a Tiny Video Network, from its JSON. */
export function tinyBlock(args: TinyBlockArgs): TinyBlock {
  return new TinyBlock(given(args))
}

export type { Conv2Plus1d, Conv2Plus1dArgs, DepthwiseConv2Plus1d, DepthwiseConv2Plus1dArgs } from './convolution.js'
export type { ContextGating, NonLocal, NonLocalArgs, SqueezeExcite, SqueezeExciteArgs } from './gates.js'
export type { TinyBlock, TinyBlockArgs } from './tiny-block.js'
