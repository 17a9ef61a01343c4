import { loadModel } from '../lib/model/model.js'
import { randomBytes } from './statistics.js'

/** A production process: loads the model file that its first argument names, classifies as many clips as its second says, one after the other, and prints the milliseconds of each call and of loading. */
const [file = '', calls = '1000'] = process.argv.slice(2)
const begun = performance.now()
using model = await loadModel(file)
const loadMs = performance.now() - begun
const { frames, size } = model.network.streams[0]
const clips = Array.from({ length: 16 }, (_, i) => randomBytes(frames * size * size * 3 + i).subarray(i))
const times: number[] = []
for (let i = 0; i < Number(calls); i++) {
  const start = performance.now()
  await model.logits(clips[i % clips.length] as Uint8Array, [1, frames, size, size, 3])
  times.push(performance.now() - start)
}
process.stdout.write(JSON.stringify({ loadMs, times }))
