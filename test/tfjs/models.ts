import * as tf from '@tensorflow/tfjs'

/** Models of stock layers, as people train them; all weights are seeded. */
type Build = () => tf.LayersModel

let seed = 0
const initial = () => tf.initializers.heNormal({ seed: ++seed })

function convolution(x: tf.SymbolicTensor, filters: number, kernelSize: number, strides: number): tf.SymbolicTensor {
  const conv = tf.layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false, kernelInitializer: initial() })
  return tf.layers.batchNormalization().apply(conv.apply(x)) as tf.SymbolicTensor
}
const relu = (x: tf.SymbolicTensor, maxValue?: number) => tf.layers.reLU(maxValue === undefined ? {} : { maxValue }).apply(x) as tf.SymbolicTensor
const classifier = (x: tf.SymbolicTensor) =>
  tf.layers.dense({ units: 5, activation: 'softmax', kernelInitializer: initial() }).apply(tf.layers.globalAveragePooling2d({}).apply(x)) as tf.SymbolicTensor

function mobileNet(): tf.LayersModel {
  const input = tf.input({ shape: [33, 31, 3] })
  let x = relu(convolution(input, 16, 3, 2), 6)
  for (const [filters, strides] of [
    [24, 1],
    [32, 2],
    [32, 1],
  ] as const) {
    const depthwise = tf.layers.depthwiseConv2d({ kernelSize: 3, strides, padding: 'same', useBias: false, depthwiseInitializer: initial() })
    x = relu(tf.layers.batchNormalization().apply(depthwise.apply(x)) as tf.SymbolicTensor, 6)
    x = relu(convolution(x, filters, 1, 1), 6)
  }
  return tf.model({ inputs: input, outputs: classifier(x) })
}

function resNet(): tf.LayersModel {
  const input = tf.input({ shape: [17, 17, 3] })
  let x = relu(convolution(input, 16, 5, 1))
  x = tf.layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }).apply(x) as tf.SymbolicTensor
  for (const [filters, strides] of [
    [16, 1],
    [32, 2],
  ] as const) {
    const shortcut = strides === 1 ? x : convolution(x, filters, 1, strides)
    const body = convolution(relu(convolution(x, filters, 3, strides)), filters, 3, 1)
    x = relu(tf.layers.add().apply([body, shortcut]) as tf.SymbolicTensor)
  }
  x = tf.layers.averagePooling2d({ poolSize: 2, padding: 'same' }).apply(x) as tf.SymbolicTensor
  return tf.model({ inputs: input, outputs: classifier(x) })
}

function dense(): tf.LayersModel {
  const layer = (units: number, activation: 'relu' | 'sigmoid' | 'softmax') => tf.layers.dense({ units, activation, kernelInitializer: initial() })
  return tf.sequential({
    layers: [tf.layers.inputLayer({ inputShape: [28, 28, 1] }), tf.layers.flatten(), layer(300, 'relu'), layer(100, 'sigmoid'), layer(5, 'softmax')],
  })
}

function video(): tf.LayersModel {
  const conv = (filters: number, kernelSize: [number, number, number], strides: [number, number, number]) =>
    tf.layers.conv3d({ filters, kernelSize, strides, padding: 'same', activation: 'relu', kernelInitializer: initial() })
  return tf.sequential({
    layers: [
      tf.layers.inputLayer({ inputShape: [8, 24, 24, 3] }),
      conv(16, [1, 3, 3], [1, 2, 2]),
      conv(24, [3, 1, 1], [1, 1, 1]),
      tf.layers.maxPooling3d({ poolSize: [2, 2, 2], strides: [2, 2, 2] }),
      conv(32, [3, 3, 3], [2, 2, 2]),
      tf.layers.averagePooling3d({ poolSize: [2, 3, 3], strides: [2, 3, 3] }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 5, activation: 'softmax', kernelInitializer: initial() }),
    ],
  })
}

export const models: Readonly<Record<string, Build>> = { mobileNet, resNet, dense, video }

/** A model of these by name and a step of its training, on the same data every time. */
export function trainable(name: string, batch = 8): { step: () => Promise<number>; dispose: () => void } {
  seed = 0
  const model = (models[name] as Build)()
  const optimizer = tf.train.momentum(0.01, 0.9)
  model.compile({ optimizer, loss: 'categoricalCrossentropy' })
  const x = tf.randomUniform([batch, ...((model.inputs[0] as tf.SymbolicTensor).shape.slice(1) as number[])], -1, 1, 'float32', 7)
  const y = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: batch }, (_, i) => i % 5),
      'int32',
    ),
    5,
  )
  return {
    step: async () => (await model.trainOnBatch(x, y)) as number,
    dispose: () => {
      model.dispose()
      optimizer.dispose()
      tf.dispose([x, y])
    },
  }
}

/** Losses of so many steps on the backend in use. */
export async function lossesOf(name: string, steps: number): Promise<number[]> {
  const { step, dispose } = trainable(name)
  const losses: number[] = []
  for (let i = 0; i < steps; i++) losses.push(await step())
  dispose()
  return losses
}
