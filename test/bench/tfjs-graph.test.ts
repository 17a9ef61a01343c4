import { readdirSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { expect } from 'chai'
import { tfjsGraph } from '../../bench/engines/tfjs-graph.js'
import { largestDifference } from '../../bench/statistics.js'
import { readSafetensors } from '../../lib/model/safetensors.js'
import { Network } from '../../lib/network/network.js'

const folder = new URL('../fixtures/golden/', import.meta.url).pathname

describe('Graphs in TensorFlow.js', () => {
  for (const file of readdirSync(folder)) {
    it(`${file}: the golden logits`, async () => {
      await tf.setBackend('wasm')
      const { metadata, tensors } = await readSafetensors(folder + file)
      const classes = JSON.parse(metadata['labels'] as string).length
      const graph = Network.parse(metadata['network']).graph({ classes })
      const weights = new Map(Object.keys(graph.parameters).map((name) => [name, tensors.get(name)?.data as Float32Array]))
      const clips = tensors.get('golden.clips')
      const logits = tf.tidy(() => tfjsGraph(graph, weights)(tf.tensor(clips?.data as Uint8Array, [...(clips?.shape ?? [])], 'int32')).dataSync())
      expect(largestDifference(logits, tensors.get('golden.logits')?.data as Float64Array)).to.be.below(1e-5)
    })
  }
})
