import type * as tf from '@tensorflow/tfjs'
import type { GraphBuilder, Value } from '../../network/graph-builder.js'
import { contextGate as lowerContextGate, nonLocal as lowerNonLocal, squeezeExcite as lowerSqueezeExcite } from '../../network/lower.js'
import { GraphLayer } from './graph-layer.js'
import { type LayerArgs, type NormArgs, number, positiveInteger } from './video-layer.js'

export interface SqueezeExciteArgs extends LayerArgs {
  /** Width of the bottleneck as a share of the channels, of which it has at least 8. Default 1/16. */
  readonly ratio?: number
}

/** Squeeze-and-excitation over the whole clip (Hu et al. 2018): x · sigmoid(W₂ · relu(W₁ · mean(x))). */
export class SqueezeExcite extends GraphLayer {
  /** @nocollapse */
  static className = 'SqueezeExcite'
  readonly #ratio: number

  constructor(args: SqueezeExciteArgs = {}) {
    super(args)
    this.#ratio = number(args.ratio ?? 1 / 16, 'ratio', this)
  }
  protected override lower(builder: GraphBuilder, x: Value): Value {
    return lowerSqueezeExcite(builder, 'squeeze', x, this.#ratio)
  }
  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ratio: this.#ratio }
  }
}

/** Context gating over the whole clip (Miech et al. 2017): x · sigmoid(W · mean(x)). */
export class ContextGating extends GraphLayer {
  /** @nocollapse */
  static className = 'ContextGating'

  protected override lower(builder: GraphBuilder, x: Value): Value {
    return lowerContextGate(builder, 'gate', x)
  }
}

export interface NonLocalArgs extends LayerArgs, NormArgs {
  /** Channels that are compared. Default: half of the input's. */
  readonly intermediateFilters?: number
}

/** The non-local layer (Wang et al. 2018, embedded Gaussian, keys and values pooled 1×2×2): x + norm(W · attention(x)). */
export class NonLocal extends GraphLayer {
  /** @nocollapse */
  static className = 'NonLocal'
  readonly #intermediate: number | undefined

  constructor(args: NonLocalArgs = {}) {
    super(args)
    this.#intermediate = args.intermediateFilters === undefined ? undefined : positiveInteger(args.intermediateFilters, 'intermediateFilters', this)
  }
  protected override lower(builder: GraphBuilder, x: Value): Value {
    return lowerNonLocal(builder, 'nonLocal', x, this.#intermediate ?? Math.max(1, Math.floor(x.shape[3] / 2)))
  }
  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...(this.#intermediate !== undefined && { intermediateFilters: this.#intermediate }) }
  }
}
