import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { expect } from 'chai'
import { InferenceSession } from 'onnxruntime-node'
import { TvnError } from '../../lib/errors.js'
import { loadModel } from '../../lib/model/model.js'
import type { Graph, TensorShape } from '../../lib/network/graph.js'
import { GraphBuilder, type Value } from '../../lib/network/graph-builder.js'
import type { Op } from '../../lib/network/ops.generated.js'
import { toOnnx } from '../../lib/onnx/export.js'
import { Random } from '../../lib/random.js'
import { interpret } from '../network/interpreter.js'
import { difference, runOnnx, someWeights } from './runtime.js'

const path = new URL('../fixtures/golden/multi-label-head.safetensors', import.meta.url).pathname

/** The graph of what `layers` put between a clip of 5 frames of 11 × 11 and a head of 3 classes. */
function graphOf(layers: (builder: GraphBuilder, x: Value) => Value): Graph {
  const builder = new GraphBuilder('clip', [5, 11, 11, 3])
  const y = layers(builder, builder.normalize('normalize', builder.input))
  return builder.finish(builder.dense('head', builder.mean('mean', y, 'clip'), 3))
}

/** ONNX Runtime against the f64 interpreter. */
async function agree(graph: Graph, foldBatchNorm: boolean, reference = graph): Promise<void> {
  const weights = someWeights(reference, Random.seeded(3))
  const clip = Uint8Array.from({ length: 5 * 11 * 11 * 3 }, (_, i) => (i * 7919) % 256)
  const got = await runOnnx(toOnnx(graph, weights, { name: 'test', foldBatchNorm }), clip, [1, 5, 11, 11, 3])
  expect(difference(got, interpret(reference, weights, clip))).to.be.below(1e-5)
}

const cube = { kernel: [2, 3, 4], stride: [3, 1, 2] } as const
const graphs: Record<string, (builder: GraphBuilder, x: Value) => Value> = {
  'a convolution over time and space': (b, x) => b.batchNorm(b.conv('a', x, 6, cube)),
  'a convolution with strides alone': (b, x) => b.conv('a', x, 6, { kernel: [1, 1, 1], stride: [2, 3, 1] }, true),
  'a convolution without padding': (b, x) => b.conv('a', x, 6, { ...cube, padding: 'valid' }),
  'an average over time and space': (b, x) => b.pool('a', x, 'avg', cube),
  'a maximum over time and space without padding': (b, x) => b.pool('a', x, 'max', { ...cube, padding: 'valid' }),
  'a norm behind a pool': (b, x) => b.batchNorm(b.pool('a', x, 'avg', { kernel: [1, 3, 3], stride: [1, 2, 2] })),
  'a norm behind a convolution that is read twice': (b, x) => {
    const y = b.conv('a', x, 6)
    return b.add('sum', b.activation('sigmoid', y, 'sigmoid'), b.batchNorm(y))
  },
  'a norm behind a depthwise convolution': (b, x) => b.activation('c', b.batchNorm(b.depthwise('a', x, { kernel: [1, 4, 2], stride: [1, 1, 3] })), 'hswish'),
  'two norms in a row': (b, x) => b.batchNorm(b.batchNorm(b.conv('a', x, 6, undefined, true))),
}

describe('toOnnx', () => {
  for (const [what, layers] of Object.entries(graphs)) {
    it(`translates ${what}`, async () => {
      for (const fold of [true, false]) await agree(graphOf(layers), fold)
    })
  }

  it('translates a convolution that has fused with gate, shortcut and activation', async () => {
    const gated = (b: GraphBuilder, x: Value) => {
      const z = b.conv('z', b.mean('squeeze', x, 'clip'), 6, undefined, true)
      const y = b.gate('gate', b.conv('a', x, 6, undefined, true), z)
      return b.activation('relu', b.add('add', y, b.conv('shortcut', x, 6)), 'relu')
    }
    const reference = graphOf(gated)
    const fused = (op: Op): Op[] => {
      if (op.name === 'gate') return [{ op: 'activation', name: op.name, inputs: ['z'], output: 'gate', function: 'sigmoid' }]
      if (['a', 'shortcut', 'add'].includes(op.name)) return []
      if (op.name !== 'relu') return [op]
      const parameters = { weight: 'a.weight', bias: 'a.bias', shortcut_weight: 'shortcut.weight' }
      const window = { kernel: [1, 1, 1], stride: [1, 1, 1], padding: 'same' } as const
      const inputs = ['normalize', undefined, 'gate', 'normalize'] as unknown as readonly [string]
      return [{ op: 'conv', name: 'a', inputs, output: 'relu', parameters, ...window, function: 'relu' }]
    }
    const tensors = { ...reference.tensors, gate: reference.tensors.z as TensorShape }
    await agree({ ...reference, tensors, ops: reference.ops.flatMap(fused) }, true, reference)
  })

  it('takes any number of clips as bytes, and says so', async () => {
    using model = await loadModel(path)
    const { inputMetadata, outputMetadata } = await InferenceSession.create(model.toOnnx())
    const { frames, size } = model.network.streams[0]
    expect(inputMetadata).to.deep.equal([{ name: 'clips', isTensor: true, type: 'uint8', shape: ['N', frames, size, size, 3] }])
    expect(outputMetadata).to.deep.equal([{ name: 'logits', isTensor: true, type: 'float32', shape: ['N', model.labels.length] }])
  })

  it('writes IR version, opset, producer and what the model file tells', async () => {
    using model = await loadModel(path)
    const bytes = model.toOnnx()
    const fields = new Map<number, (number | Uint8Array)[]>()
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      fields.set(field, [...(fields.get(field) ?? []), type === WireType.Varint ? Number(reader.int64()) : reader.bytes()])
    }
    expect(fields.get(1)).to.deep.equal([8])
    expect(fields.get(2)).to.deep.equal([Uint8Array.from(Buffer.from('tiny-video-nets'))])
    expect(fields.get(8)).to.deep.equal([Uint8Array.of(0x0a, 0, 0x10, 17)])
    const metadata = (fields.get(14) as Uint8Array[]).map((entry) => {
      const inner = new BinaryReader(entry)
      return [inner.tag() && inner.string(), inner.tag() && inner.string()]
    })
    expect(JSON.parse(metadata.find(([key]) => key === 'labels')?.[1] as string)).to.deep.equal(model.labels)
    expect(JSON.parse(metadata.find(([key]) => key === 'network')?.[1] as string)).to.deep.equal(JSON.parse(JSON.stringify(model.network)))
    expect(metadata).to.deep.include(['task', model.task])
  })

  it('has no batch norm left unless it is asked to keep them', async () => {
    using model = await loadModel(path)
    for (const [options, kept] of [
      [{}, false],
      [{ foldBatchNorm: false }, true],
    ] as const)
      expect(Buffer.from(model.toOnnx(options)).includes('BatchNormalization')).to.equal(kept)
  })

  const refused = (call: () => unknown): TvnError => {
    try {
      call()
    } catch (error) {
      return error as TvnError
    }
    throw new Error('nothing was thrown')
  }

  it('refuses what 2 GiB do not hold before it looks at a weight', () => {
    const builder = new GraphBuilder('clip', [1, 8, 8, 3])
    const graph = builder.finish(builder.dense('head', builder.mean('mean', builder.normalize('normalize', builder.input), 'clip'), 2 ** 28))
    const error = refused(() => toOnnx(graph, new Map(), { name: 'large' }))
    expect(error).to.be.instanceOf(TvnError)
    expect([error.code, error.message]).to.deep.equal([
      'ERR_ARGUMENT',
      `the network is too large for an ONNX file: ${2 ** 32} bytes, expected at most ${2 ** 31 - 1}`,
    ])
  })

  it('names a weight that is missing or of another length', () => {
    const graph = graphOf((_, x) => x)
    const weights = someWeights(graph, Random.seeded(1))
    weights.set('head.bias', new Float32Array(4))
    expect(refused(() => toOnnx(graph, weights, { name: 'x' }))).to.include({ code: 'ERR_MODEL_TENSOR', message: 'head.bias has 4 values, expected 3' })
    weights.delete('head.weight')
    expect(refused(() => toOnnx(graph, weights, { name: 'x' }))).to.include({ code: 'ERR_MODEL_TENSOR', message: 'head.weight is missing' })
  })

  it('refuses options that it does not know, and a model that was disposed of', async () => {
    const model = await loadModel(path)
    expect(refused(() => model.toOnnx({ foldBatchnorm: true } as never)).message).to.match(/options\.foldBatchnorm is not a known key.*foldBatchNorm/)
    expect(refused(() => model.toOnnx({ foldBatchNorm: 1 as never })).message).to.match(/foldBatchNorm must be true or false, got 1/)
    model.dispose()
    expect(refused(() => model.toOnnx()).code).to.equal('ERR_DISPOSED')
  })
})
