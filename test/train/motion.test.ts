import { expect } from 'chai'
import { makeDemo } from '../../lib/data/demo/make.js'
import { openDataset } from '../../lib/data/open.js'
import { prepareDataset } from '../../lib/data/prepare.js'
import { Network } from '../../lib/network/network.js'
import { defaultPreprocessing } from '../../lib/task.js'
import { evaluateWeights } from '../../lib/train/evaluate.js'
import { fit } from '../../lib/train/fit.js'
import type { SingleLabelMetrics } from '../../lib/train/metrics.js'
import { defaultRecipe } from '../../lib/train/recipe.js'
import { temporaryFolder } from '../data/videos.js'

/** The winner of a default search, with another number of frames. */
const winner = (frames: number): Network =>
  Network.parse({
    format: 'tiny-video-nets/network/1',
    name: `winner-${frames}`,
    streams: [{ frames, size: 32, fps: 6 }],
    blocks: [
      {
        spatialType: 'avgpool',
        spatialKernel: 3,
        spatialStride: 2,
        temporalType: '1d',
        temporalKernel: 3,
        temporalStride: 2,
        filters: 24,
        expand: 2,
        repeats: 1,
        skip: false,
        squeeze: 0.234,
        contextGate: false,
        nonLocal: 0,
      },
      {
        spatialType: 'depth',
        spatialKernel: 5,
        spatialStride: 2,
        temporalType: '1d',
        temporalKernel: 5,
        temporalStride: 2,
        filters: 48,
        expand: 1,
        repeats: 2,
        skip: false,
        squeeze: 0.203,
        contextGate: false,
        nonLocal: 0,
      },
    ],
    head: 'mean',
  })

describe('the demo, decoded from its H.264 files', () => {
  const cacheDir = temporaryFolder('motion')

  it('is learnt by a network that sees motion, and not by the same network with one frame', async () => {
    // a third of the data and of the training of a search; docs/performance.md has the figures of all of it
    const folder = await makeDemo({ seed: 3, clipsPerClass: { train: 30, val: 1, test: 20 } }, { cacheDir })
    const { labels, task, flip, splits } = await prepareDataset(await openDataset(folder, { cacheDir }), { cacheDir })
    const accuracy = async (network: Network): Promise<SingleLabelMetrics> => {
      const { weights } = await fit({ network, labels, task, flip, samples: splits.train, recipe: defaultRecipe, iterations: 900, seed: 1, threads: 2 })
      const options = { network, weights, labels, task, samples: splits.test, preprocessing: defaultPreprocessing, threads: 2 }
      return (await evaluateWeights(options)) as SingleLabelMetrics
    }
    const moving = await accuracy(winner(8))
    expect(moving.samples).to.equal(200)
    expect(moving.top1).to.be.above(0.7)
    // two of the ten classes can be told by their look, the other eight only guessed: 0.2 + 0.8 / 8, and three standard deviations
    expect((await accuracy(winner(1))).top1).to.be.below(0.4)
  }).timeout(300_000)
})
