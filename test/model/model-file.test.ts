import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { TvnError } from '../../lib/errors.js'
import { type ModelFile, modelFormat, readModel, writeModel } from '../../lib/model/model-file.js'
import { readSafetensors, type Tensor, writeSafetensors } from '../../lib/model/safetensors.js'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { initialize } from '../../lib/train/initialize.js'

const network = Network.parse({
  format: 'tiny-video-nets/network/1',
  name: 'small',
  streams: [{ frames: 2, size: 16, fps: 6.25 }],
  blocks: [
    {
      spatialType: 'std',
      spatialKernel: 3,
      spatialStride: 2,
      temporalType: '1d',
      temporalKernel: 1,
      temporalStride: 1,
      filters: 8,
      expand: 2,
      repeats: 1,
      skip: true,
      squeeze: 0.5,
      contextGate: true,
      nonLocal: 8,
    },
  ],
  head: 'mean',
})

describe('model file', () => {
  let folder: string
  let model: ModelFile
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tvn-model-'))
    const labels = ['one', 'two', 'three']
    const weights = await initialize(network.graph({ classes: 3 }), Random.seeded(1))
    model = { network, labels, task: 'multi-label', preprocessing: { cropFraction: 1, views: 1 }, weights, notes: { created: 'then', metrics: '{}' } }
  })
  after(() => rm(folder, { recursive: true }))

  /** Writes the model with its tensors or metadata changed and gives the error that reading it throws. */
  async function refusal(change: (tensors: Map<string, Tensor>, metadata: Record<string, string>) => void): Promise<TvnError> {
    const file = path.join(folder, 'changed.safetensors')
    await writeModel(file, model)
    const { metadata, tensors } = await readSafetensors(file)
    const edited = { metadata: { ...metadata }, tensors: new Map(tensors) }
    change(edited.tensors, edited.metadata)
    await writeSafetensors(file, edited)
    const error: unknown = await readModel(file).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).to.be.instanceOf(TvnError)
    expect((error as TvnError).message).to.match(/changed\.safetensors: /)
    return error as TvnError
  }
  const tensor = (shape: number[], fill = 0): Tensor => ({ dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill) })

  it('gives back what was written', async () => {
    const file = path.join(folder, 'whole.safetensors')
    await writeModel(file, model)
    const read = await readModel(file)
    expect({ ...read, network: read.network.toJSON() }).to.deep.equal({ ...model, network: network.toJSON() })
    expect((await readSafetensors(file)).metadata.format).to.equal(modelFormat)
  })

  it('has the usual preprocessing when it says nothing of it, and ignores golden tensors', async () => {
    const file = path.join(folder, 'golden.safetensors')
    await writeModel(file, model)
    const { metadata, tensors } = await readSafetensors(file)
    const { preprocessing: _, ...rest } = metadata
    await writeSafetensors(file, { metadata: rest, tensors: new Map([...tensors, ['golden.anything', { dtype: 'U8', shape: [1], data: Uint8Array.of(1) }]]) })
    expect((await readModel(file)).preprocessing).to.deep.equal({ cropFraction: 0.875, views: 3 })
  })

  it('names every tensor that is missing, surplus, misshapen or of another type', async () => {
    const error = await refusal((tensors) => {
      tensors.delete('head.bias')
      tensors.set('head.bios', tensor([3]))
      tensors.set('head.weight', tensor([3, 16]))
      tensors.set('blocks.0.0.gate.bias', { dtype: 'F64', shape: [16], data: new Float64Array(16) })
    })
    expect(error.code).to.equal('ERR_MODEL_TENSOR')
    expect(error.message)
      .to.include('head.bias is missing')
      .and.include('head.bios belongs to no part')
      .and.include('head.weight has shape [3, 16], expected [16, 3]')
      .and.include('blocks.0.0.gate.bias is F64, expected F32')
  })

  it('stays one line when nothing fits', async () => {
    const error = await refusal((tensors) => {
      tensors.clear()
    })
    expect(error.message).to.match(/is missing; .* and \d+ more$/)
  })

  for (const [value, told] of [
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
  ] as const) {
    it(`refuses ${told} among the weights`, async () => {
      const error = await refusal((tensors) => tensors.set('head.bias', tensor([3], value)))
      expect(error.code).to.equal('ERR_MODEL_TENSOR')
      expect(error.message).to.include(`head.bias holds ${told} at 0`)
    })
  }

  it('refuses a negative variance', async () => {
    const error = await refusal((tensors) => tensors.set('blocks.0.0.expand.norm.variance', tensor([16], -1)))
    expect(error.message).to.include('negative variance')
  })

  const metadataCases: [key: string, value: string | undefined, code: string, message: RegExp][] = [
    ['format', undefined, 'ERR_MODEL_FILE', /not a model file/],
    ['format', 'tiny-video-nets/model/9', 'ERR_MODEL_FILE', /expected "tiny-video-nets\/model\/1"/],
    ['network', '{"blocks": [', 'ERR_NETWORK_INVALID', /network/],
    ['network', JSON.stringify({ ...network.toJSON(), head: 'max' }), 'ERR_NETWORK_INVALID', /head/],
    ['labels', '["a", "a", "b"]', 'ERR_MODEL_FILE', /labels are not all different/],
    ['labels', '[1, 2, 3]', 'ERR_MODEL_FILE', /labels/],
    ['labels', '{', 'ERR_MODEL_FILE', /labels are not JSON/],
    ['task', 'regression', 'ERR_MODEL_FILE', /single-label or multi-label/],
    ['preprocessing', 'null', 'ERR_MODEL_FILE', /cropFraction/],
    ['preprocessing', '{"cropFraction": 0, "views": 3}', 'ERR_MODEL_FILE', /cropFraction/],
    ['preprocessing', '{"cropFraction": 1, "views": 1e9}', 'ERR_MODEL_FILE', /views/],
  ]
  for (const [key, value, code, message] of metadataCases) {
    it(`refuses the ${key} ${value ?? 'that is missing'}`, async () => {
      const error = await refusal((_, metadata) => {
        if (value === undefined) delete metadata[key]
        else metadata[key] = value
      })
      expect(error.code).to.equal(code)
      expect(error.message).to.match(message)
    })
  }

  it('is not written with weights of another network', async () => {
    const error: unknown = await writeModel(path.join(folder, 'x.safetensors'), { ...model, labels: ['one', 'two'] }).catch((reason: unknown) => reason)
    expect((error as TvnError).code).to.equal('ERR_MODEL_TENSOR')
  })
})
