import type { Graph } from '../lib/network/graph.js'
import { GraphBuilder, type Value, type Window } from '../lib/network/graph-builder.js'
import type { Int3 } from '../lib/network/ops.generated.js'

/** A convolution of a residual network, from its name, input, output channels, extent (kernel of each spatial axis) and stride, its norm included. */
type Layer = (builder: GraphBuilder, name: string, x: Value, channels: number, extent: number, stride: number) => Value

/**
 * ResNet-18 on each frame, the logits averaged over the frames (which is one dense layer of the clip's mean): He et al. 2016, table 1.
 * 8 frames of 224², 1000 classes.
 */
export function resnet18(): Graph {
  const spatial: Layer = (builder, name, x, channels, extent, stride) =>
    normalized(builder, name, x, channels, { kernel: [1, extent, extent], stride: [1, stride, stride] })
  const builder = new GraphBuilder('clip', [8, 224, 224, 3])
  const stem = builder.activation('stem.activation', spatial(builder, 'stem', builder.normalize('normalize', builder.input), 64, 7, 2), 'relu')
  const pooled = builder.pool('stem.pool', stem, 'max', { kernel: [1, 3, 3], stride: [1, 2, 2] })
  return finish(
    builder,
    stages(builder, pooled, spatial, (stride) => [1, stride, stride]),
    1000,
  )
}

/**
 * R(2+1)D-18, "A Closer Look at Spatiotemporal Convolutions" (Tran et al. 2018, section 3.5): every 3×d×d convolution is one over space and one
 * over time with a norm and ReLU between, as many channels there as keep the number of weights; stages 3 to 5 halve time with space.
 * 16 frames of 112², 400 classes.
 */
export function resnet18Factorised(): Graph {
  const factorised: Layer = (builder, name, x, channels, extent, stride) => {
    const planar = extent * extent
    const inputs = x.shape[3]
    const middle = Math.floor((3 * planar * inputs * channels) / (planar * inputs + 3 * channels))
    const space = normalized(builder, `${name}.spatial`, x, middle, { kernel: [1, extent, extent], stride: [1, stride, stride] })
    const hidden = builder.activation(`${name}.spatial.activation`, space, 'relu')
    // the stem strides over space alone
    const stride3: Int3 = [name === 'stem' ? 1 : stride, 1, 1]
    return normalized(builder, `${name}.temporal`, hidden, channels, { kernel: [3, 1, 1], stride: stride3 })
  }
  const builder = new GraphBuilder('clip', [16, 112, 112, 3])
  const stem = builder.activation('stem.activation', factorised(builder, 'stem', builder.normalize('normalize', builder.input), 64, 7, 2), 'relu')
  return finish(
    builder,
    stages(builder, stem, factorised, (stride) => [stride, stride, stride]),
    400,
  )
}

/** Four stages of two basic blocks: 64, 128, 256 and 512 channels. */
function stages(builder: GraphBuilder, input: Value, layer: Layer, shortcutStride: (stride: number) => Int3): Value {
  let x = input
  for (const [i, channels] of [64, 128, 256, 512].entries()) {
    for (const j of [0, 1]) {
      const name = `stages.${i}.${j}`
      const stride = i > 0 && j === 0 ? 2 : 1
      const hidden = builder.activation(`${name}.first.activation`, layer(builder, `${name}.first`, x, channels, 3, stride), 'relu')
      const y = layer(builder, `${name}.second`, hidden, channels, 3, 1)
      const shortcut = stride === 1 ? x : normalized(builder, `${name}.shortcut`, x, channels, { kernel: [1, 1, 1], stride: shortcutStride(stride) })
      x = builder.activation(`${name}.activation`, builder.add(`${name}.add`, y, shortcut), 'relu')
    }
  }
  return x
}

function normalized(builder: GraphBuilder, name: string, x: Value, channels: number, window: Window): Value {
  return builder.batchNorm(builder.conv(name, x, channels, window))
}

function finish(builder: GraphBuilder, x: Value, classes: number): Graph {
  return builder.finish(builder.dense('head', builder.mean('head.mean', x, 'clip'), classes))
}
