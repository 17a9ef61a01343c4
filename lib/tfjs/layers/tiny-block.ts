import type * as tf from '@tensorflow/tfjs'
import type { GraphBuilder, Value } from '../../network/graph-builder.js'
import { lowerBlock } from '../../network/lower.js'
import { type Block, type BlockJson, parseBlock } from '../../network/schema.js'
import { GraphLayer } from './graph-layer.js'
import type { LayerArgs, NormArgs } from './video-layer.js'

export interface TinyBlockArgs extends LayerArgs, NormArgs {
  /** As it stands in Network JSON. */
  readonly block: BlockJson
}

/** A block of a Tiny Video Network, all its copies, with norms, gates and shortcuts ("Tiny Video Networks", section 3). */
export class TinyBlock extends GraphLayer {
  /** @nocollapse */
  static className = 'TinyBlock'
  readonly #block: Block

  /** Throws ERR_NETWORK_INVALID for a block that is none. */
  constructor(args: TinyBlockArgs) {
    super(args)
    this.#block = parseBlock(args?.block)
  }
  get block(): Block {
    return this.#block
  }
  protected override lower(builder: GraphBuilder, x: Value): Value {
    return lowerBlock(builder, 'block', x, this.#block)
  }
  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), block: { ...this.#block } }
  }
}
