import type { Graph } from './graph.js'
import { GraphBuilder, type Value } from './graph-builder.js'
import type { Activation, Block, Genes } from './schema.js'

/** Share of the head's inputs that dropout zeroes while training; a trainer may replace it. */
const dropoutRate = 0.5

/**
 * A network as a Graph, unfused: every convolution, batch norm and activation is an op of its own.
 *
 * Op names are the tensor names of the model file, `blocks.<i>.<r>.<part>`; parameters are `<op>.<leaf>`.
 * "Tiny Video Networks" section 3 and the released code, with two clarifications: frames are tracked through every copy of a block,
 * and the non-local layer is Wang et al. 2018 (embedded Gaussian, sub-sampled).
 */
export function lower({ streams: [stream], blocks, head }: Genes, classes: number): Graph {
  const builder = new GraphBuilder('clip', [stream.frames, stream.size, stream.size, 3])
  let x = builder.normalize('normalize', builder.input)
  blocks.forEach((block, i) => {
    x = lowerBlock(builder, `blocks.${i}`, x, block)
  })
  return builder.finish(lowerHead(builder, x, head, classes))
}

/** All copies of a block, `<prefix>.<r>`. */
export function lowerBlock(builder: GraphBuilder, prefix: string, input: Value, block: Block): Value {
  let x = input
  for (let r = 0; r < block.repeats; r++) x = lowerCopy(builder, `${prefix}.${r}`, x, block, r)
  return x
}

/**
 * Copy r of a block. The first one has the strides and the temporal layer; the later ones keep the size and have the
 * temporal layer every other time, starting without.
 */
function lowerCopy(builder: GraphBuilder, prefix: string, input: Value, block: Block, r: number): Value {
  const spatialStride = r === 0 ? block.spatialStride : 1
  const temporalStride = r === 0 ? block.temporalStride : 1
  const wide = block.filters * Math.max(block.expand, 1)
  const width = block.invertedBottleneck ? wide : block.filters

  let x = input
  if (block.invertedBottleneck && block.expand > 0) x = convNormActivation(builder, `${prefix}.bottleneck`, x, wide, 'relu')
  if (block.spatialKernel > 1) x = spatial(builder, prefix, x, block, width, spatialStride)
  if (r % 2 === 0 && block.temporalKernel > 1 && x.shape[0] > 1) x = temporal(builder, prefix, x, block, width, temporalStride)
  if (!block.invertedBottleneck && block.expand > 0) x = convNorm(builder, `${prefix}.expand`, x, wide)
  if (block.squeeze > 0) x = squeezeExcite(builder, `${prefix}.squeeze`, x, block.squeeze)
  if (block.contextGate) x = contextGate(builder, `${prefix}.gate`, x)
  if (block.nonLocal > 0) x = nonLocal(builder, `${prefix}.nonLocal`, x, block.nonLocal)
  if (block.invertedBottleneck && block.expand > 0) x = convNorm(builder, `${prefix}.project`, x, block.filters)
  if (block.skip && x.shape[0] === input.shape[0]) {
    const stride = x.shape[1] === input.shape[1] ? 1 : spatialStride
    const shortcut = builder.batchNorm(builder.conv(`${prefix}.shortcut`, input, x.shape[3], { kernel: [1, 1, 1], stride: [1, stride, stride] }))
    x = builder.add(`${prefix}.add`, x, shortcut)
  }
  return builder.activation(`${prefix}.activation`, x, block.activation)
}

function spatial(builder: GraphBuilder, prefix: string, x: Value, block: Block, width: number, stride: number): Value {
  const name = `${prefix}.spatial`
  const k = block.spatialKernel
  const window = { kernel: [1, k, k], stride: [1, stride, stride] } as const
  switch (block.spatialType) {
    case 'maxpool':
      return builder.pool(name, x, 'max', window)
    case 'avgpool':
      return builder.pool(name, x, 'avg', window)
    case 'std':
    case 'depth': {
      const narrow = convNormActivation(builder, `${prefix}.pointwise`, x, width, block.spatialActivation)
      const y = block.spatialType === 'std' ? builder.conv(name, narrow, width, window) : builder.depthwise(name, narrow, window)
      return builder.activation(`${name}.activation`, builder.batchNorm(y), block.spatialActivation)
    }
  }
}

function temporal(builder: GraphBuilder, prefix: string, x: Value, block: Block, width: number, stride: number): Value {
  const name = `${prefix}.temporal`
  const window = { kernel: [block.temporalKernel, 1, 1], stride: [stride, 1, 1] } as const
  switch (block.temporalType) {
    case 'maxpool':
      return builder.pool(name, x, 'max', window)
    case 'avgpool':
      return builder.pool(name, x, 'avg', window)
    case '1d':
      return builder.activation(`${name}.activation`, builder.batchNorm(builder.conv(name, x, width, window)), block.temporalActivation)
  }
}

/** Hu et al. 2018 over the whole clip; the bottleneck has at least 8 channels. */
export function squeezeExcite(builder: GraphBuilder, name: string, x: Value, ratio: number): Value {
  const channels = x.shape[3]
  const mean = builder.mean(`${name}.mean`, x, 'clip')
  const reduced = builder.conv(`${name}.reduce`, mean, Math.max(Math.trunc(channels * ratio), 8), undefined, true)
  const hidden = builder.activation(`${name}.reduce.activation`, reduced, 'relu')
  return builder.gate(`${name}.apply`, x, builder.conv(`${name}.expand`, hidden, channels, undefined, true))
}

/** Miech et al. 2017 over the whole clip. */
export function contextGate(builder: GraphBuilder, name: string, x: Value): Value {
  const z = builder.conv(name, builder.mean(`${name}.mean`, x, 'clip'), x.shape[3], undefined, true)
  return builder.gate(`${name}.apply`, x, z)
}

/** Wang et al. 2018: keys and values are pooled 1×2×2, where their map is that large. */
export function nonLocal(builder: GraphBuilder, name: string, x: Value, width: number): Value {
  const [, h, w, channels] = x.shape
  const part = (leaf: string): Value => builder.conv(`${name}.${leaf}`, x, width, undefined, true)
  const pooled = (y: Value): Value =>
    h < 2 || w < 2 ? y : builder.pool(`${y.tensor}.pool`, y, 'max', { kernel: [1, 2, 2], stride: [1, 2, 2], padding: 'valid' })
  const attention = builder.attention(`${name}.attention`, part('theta'), pooled(part('phi')), pooled(part('g')))
  return builder.add(`${name}.add`, x, builder.batchNorm(builder.conv(`${name}.out`, attention, channels, undefined, true)))
}

function lowerHead(builder: GraphBuilder, x: Value, head: Genes['head'], classes: number): Value {
  const dense = (mean: Value): Value => builder.dense('head', builder.dropout('head.dropout', mean, dropoutRate), classes)
  switch (head) {
    case 'mean':
      return dense(builder.mean('head.mean', x, 'clip'))
    case 'temporal-softmax':
      return builder.temporalSoftmax('head.temporal_softmax', dense(builder.mean('head.mean', x, 'frame')))
  }
}

function convNorm(builder: GraphBuilder, name: string, x: Value, channels: number): Value {
  return builder.batchNorm(builder.conv(name, x, channels))
}

function convNormActivation(builder: GraphBuilder, name: string, x: Value, channels: number, activation: Activation): Value {
  return builder.activation(`${name}.activation`, convNorm(builder, name, x, channels), activation)
}
