import * as tf from '@tensorflow/tfjs'
import { registerNativeBackend, toLayersModel, fromLayersModel } from '../../lib/tfjs/index.js'
import { Network } from '../../lib/index.js'
import { createTunedPlan } from '../../lib/model/tuning.js'
import { weightsOf, clipsOf } from '../../bench/subjects.js'
registerNativeBackend({ threads: 2 })
await tf.setBackend('tvn')
for (const name of process.argv[2]?.split(',') ?? Network.presets) {
  const network = Network.preset(name)
  const graph = network.graph({ classes: Network.presetClasses(name) ?? 10 })
  const weights = weightsOf(graph)
  const clips = clipsOf(graph, 1)
  const plan = await createTunedPlan(graph, weights, { batch: 1, threads: 2, precision: 'f32', search: false })
  const want = await plan.run(clips)
  for (const layers of ['plain', 'native'] as const) {
    const b = performance.now()
    const model = toLayersModel(network, weights, { layers })
    const built = performance.now()
    const x = tf.tensor(Float32Array.from(clips), [1, network.streams[0].frames, network.streams[0].size, network.streams[0].size, 3])
    const got = (model.predict(x) as tf.Tensor).dataSync()
    const t = performance.now()
    const got2 = (model.predict(x) as tf.Tensor).dataSync()
    const t2 = performance.now()
    const scale = Math.max(...want.map(Math.abs))
    console.log(name, layers, 'diff', Math.max(...want.map((v, i) => Math.abs(v - (got2[i] as number)))) / scale, 'build', (built - b).toFixed(0), 'first', (t - built).toFixed(0), 'second', (t2 - t).toFixed(1))
    if (layers === 'native') { const r = fromLayersModel(model); console.log(r.network.hash() === network.hash(), r.network.streams, [...weights].every(([n, v]) => { const w = r.weights.get(n); return w && w.length === v.length && w.every((a, i) => a === v[i]) })) }
    model.dispose(); x.dispose()
  }
}
