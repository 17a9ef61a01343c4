import { expect } from 'chai'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readSafetensors } from '../../lib/model/safetensors.js'
import { Network } from '../../lib/network/network.js'
import shapes from '../fixtures/golden-shapes.json' with { type: 'json' }
import { interpret } from './interpreter.js'

const folder = fileURLToPath(new URL('../fixtures/golden/', import.meta.url))

describe('lowering against independent figures', () => {
  for (const { network, classes, parameters } of shapes) {
    it(`${network.name}: parameters have the names, shapes and order of the model file`, () => {
      expect(Object.entries(Network.parse(network).graph({ classes }).parameters)).to.deep.equal(Object.entries(parameters))
    })
  }

  const files = readdirSync(folder).filter((file) => file.endsWith('.safetensors'))
  it('has golden files to compare with', () => expect(files.length).to.be.at.least(13))

  for (const file of files) {
    it(`${file}: the graph, interpreted in f64, gives the golden logits`, async () => {
      const { metadata, tensors } = await readSafetensors(folder + file)
      const data = (name: string) => tensors.get(name)?.data ?? expect.fail(`${file} has no ${name}`)
      const classes = JSON.parse(metadata['labels'] ?? '').length
      const graph = Network.parse(metadata['network']).graph({ classes })
      const parameters = new Map(Object.keys(graph.parameters).map((name) => [name, data(name)]))
      const clips = data('golden.clips')
      const expected = data('golden.logits')
      const size = clips.length / (expected.length / classes)
      for (const clip of [0, 1]) {
        const got = interpret(graph, parameters, clips.subarray(clip * size, (clip + 1) * size))
        const want = expected.subarray(clip * classes, (clip + 1) * classes)
        const scale = Math.max(...want.map(Math.abs))
        got.forEach((logit, i) => expect(Math.abs(logit - (want[i] as number)) / scale, `clip ${clip}, class ${i}`).to.be.below(1e-9))
      }
    })
  }
})
