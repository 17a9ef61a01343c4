import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import { loadModel } from '../../lib/model/model.js'
import { readSafetensors, type Tensor } from '../../lib/model/safetensors.js'
import { Network } from '../../lib/network/network.js'
import { Random } from '../../lib/random.js'
import { sample } from '../../lib/space/sample.js'
import { type Space, spaces } from '../../lib/space/space.js'
import { compare, difference, runOnnx } from './runtime.js'

const tolerance = 1e-4
const golden = new URL('../fixtures/golden/', import.meta.url)

describe('ONNX models in ONNX Runtime', () => {
  for (const file of readdirSync(golden).filter((name) => name.endsWith('.safetensors'))) {
    it(`give the golden logits of ${file}, batch norms folded or kept, for one clip and for several`, async () => {
      const path = new URL(file, golden).pathname
      const { tensors } = await readSafetensors(path)
      const { data, shape } = tensors.get('golden.clips') as Tensor
      const clips = data as Uint8Array
      const logits = (tensors.get('golden.logits') as Tensor).data
      using model = await loadModel(path)
      for (const foldBatchNorm of [true, false]) {
        const bytes = model.toOnnx({ foldBatchNorm })
        for (const count of [1, shape[0] as number]) {
          const batch = clips.subarray(0, (clips.length / (shape[0] as number)) * count)
          const got = await runOnnx(bytes, batch, [count, ...shape.slice(1)])
          expect(difference(got, logits.subarray(0, count * model.labels.length)), `${count} clips`).to.be.below(tolerance)
        }
      }
    })
  }

  for (const name of Network.presets) {
    it(`give the logits of ${name} with half the size and a quarter of the filters`, async () => {
      const { streams, blocks, ...rest } = Network.preset(name).toJSON()
      const network = Network.parse({
        ...rest,
        streams: [{ ...streams[0], size: streams[0].size / 2 }],
        blocks: blocks.map((block) => ({ ...block, filters: block.filters / 4 })),
      })
      expect(await compare(network.graph({ classes: 12 }), { seed: 1, clips: 1 })).to.be.below(tolerance)
    })
  }

  const wide: Space = {
    ...spaces.full,
    name: 'onnx',
    stream: { frames: [{ min: 1, max: 9 }], size: [{ min: 8, max: 40 }], fps: [5] },
    blocks: [{ min: 1, max: 4 }],
    block: {
      ...spaces.full.block,
      spatialKernel: [{ min: 1, max: 7 }],
      temporalKernel: [{ min: 1, max: 9 }],
      temporalStride: [{ min: 1, max: 4 }],
      filters: [1, 4, 7, 16, 33],
      expand: [{ min: 0, max: 3 }],
      repeats: [{ min: 1, max: 3 }],
      nonLocal: [0, 8, 17],
    },
    head: ['mean', 'temporal-softmax'],
    maxMacs: 30e6,
  }
  for (let seed = 0; seed < 100; seed++) {
    it(`give the logits of random network ${seed}`, async () => {
      const network = sample(wide, Random.seeded(seed))
      const graph = network.graph({ classes: 3 })
      for (const foldBatchNorm of [true, false]) {
        const repeat = `${JSON.stringify(network)}, foldBatchNorm ${foldBatchNorm}; again: npx mocha test/onnx/networks.test.ts --grep 'random network ${seed}$'`
        expect(await compare(graph, { seed, clips: foldBatchNorm ? 3 : 1, foldBatchNorm }), repeat).to.be.below(tolerance)
      }
    })
  }
})
