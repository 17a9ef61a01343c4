// Trains a small video classifier with TensorFlow.js on generated clips: which way does the square move?
import * as tf from '@tensorflow/tfjs'
import { conv2Plus1d, registerNativeBackend, squeezeExcite } from 'tiny-video-nets/tfjs'

registerNativeBackend()
await tf.setBackend('tvn')

const [frames, size] = [8, 24]
const directions = [
  [-1, 0],
  [1, 0],
  [0, -1],
  [0, 1],
]

/** Clips [N, T, H, W, 1] and their classes, one-hot. */
function makeClips(count) {
  const clips = new Float32Array(count * frames * size * size)
  const classes = Array.from({ length: count }, (_, i) => i % directions.length)
  classes.forEach((of, clip) => {
    const [dx, dy] = directions[of]
    const start = [Math.random() * size, Math.random() * size]
    for (let t = 0; t < frames; t++)
      for (let y = 0; y < 6; y++)
        for (let x = 0; x < 6; x++) {
          const column = Math.floor(start[0] + 1.5 * dx * t + x + 2 * size) % size
          const row = Math.floor(start[1] + 1.5 * dy * t + y + 2 * size) % size
          clips[((clip * frames + t) * size + row) * size + column] = 1
        }
  })
  return { xs: tf.tensor(clips, [count, frames, size, size, 1]), ys: tf.oneHot(tf.tensor1d(classes, 'int32'), directions.length) }
}

const model = tf.sequential({
  layers: [
    conv2Plus1d({
      inputShape: [frames, size, size, 1],
      filters: 8,
      spatialStrides: 2,
      padding: 'same',
      activation: 'relu',
      batchNormalization: true,
      momentum: 0.9,
    }),
    squeezeExcite({ ratio: 0.5 }),
    conv2Plus1d({ filters: 16, spatialStrides: 2, temporalStrides: 2, padding: 'same', activation: 'relu', batchNormalization: true, momentum: 0.9 }),
    tf.layers.averagePooling3d({ poolSize: [4, 6, 6], strides: [4, 6, 6] }),
    tf.layers.flatten(),
    tf.layers.dense({ units: directions.length, activation: 'softmax' }),
  ],
})
model.compile({ optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy', metrics: ['accuracy'] })

const training = makeClips(640)
const epochs = 5
const begin = performance.now()
await model.fit(training.xs, training.ys, {
  epochs,
  batchSize: 32,
  verbose: 0,
  callbacks: { onEpochEnd: (epoch, { loss, acc }) => console.log(`epoch ${epoch + 1}: loss ${loss.toFixed(3)}, accuracy ${(100 * acc).toFixed(1)} %`) },
})
const step = (performance.now() - begin) / (epochs * 20)

const fresh = makeClips(200)
const [, accuracy] = model.evaluate(fresh.xs, fresh.ys)
console.log(`200 new clips: ${(100 * accuracy.dataSync()[0]).toFixed(1)} % right; ${step.toFixed(0)} ms for a step of 32 clips`)
