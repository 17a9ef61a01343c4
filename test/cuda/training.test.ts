import { readdirSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import { loadModel, type Model } from '../../lib/model/model.js'
import { readSafetensors, type Tensor } from '../../lib/model/safetensors.js'
import type { Task } from '../../lib/task.js'
import { createTrainer, type Trainer, type TrainerOptions, type TrainingStep, type WeightedNetwork } from '../../lib/train/trainer.js'
import { withEmulation } from './emulation.js'
import { clipsFor, thinned } from './small-networks.js'

const folder = new URL('../fixtures/golden/', import.meta.url).pathname
const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'))

type Tensors = ReadonlyMap<string, Float32Array>
type Batch = readonly [clips: Uint8Array, shape: readonly number[], labels: Int32Array]

/** The first clips of a golden file, and its recipe. */
async function goldenBatch(file: string, clips: number) {
  const { metadata, tensors } = await readSafetensors(path.join(folder, file))
  const { steps: _, batch: __, ...recipe } = JSON.parse(metadata.recipe as string)
  const { data, shape } = tensors.get('golden.clips') as Tensor
  const { data: labels, shape: labelShape } = tensors.get('golden.labels') as Tensor
  const batch: Batch = [
    (data as Uint8Array).subarray(0, (clips * data.length) / (shape[0] as number)),
    [clips, ...shape.slice(1)],
    (labels as Int32Array).subarray(0, (clips * labels.length) / (labelShape[0] as number)),
  ]
  return { batch, recipe: { ...recipe, task: metadata.task as Task } as TrainerOptions }
}

async function fiveSteps(trainer: Trainer, batch: Batch) {
  const steps: TrainingStep[] = []
  for (let i = 0; i < 5; i++) steps.push(await trainer.step(...batch))
  return { device: trainer.device, steps, weights: await trainer.weights() }
}
type Run = Awaited<ReturnType<typeof fiveSteps>>
const lossOf = ({ steps }: Run, step: number) => (steps[step - 1] as TrainingStep).loss

/** Each loss within 2 %, and no step skipped. */
function expectSameLosses(gpu: Run, cpu: Run) {
  expect(gpu.device).to.equal('cuda')
  for (const [i, { skipped, lossScale }] of gpu.steps.entries()) {
    const want = lossOf(cpu, i + 1)
    expect(Math.abs(lossOf(gpu, i + 1) - want) / want, `loss of step ${i + 1}`).to.be.below(0.02)
    expect(skipped, `step ${i + 1}`).to.equal(false)
    expect(lossScale).to.be.at.least(1)
    expect(cpu.steps[i]).to.include({ skipped: false, lossScale: 1 })
  }
}

/** Largest distance of a tensor from the wanted one, relative to that one's norm; those whose norm is next to nothing by the norm of all. */
function distance(got: Tensors, want: Tensors): number {
  const norm = (values: Iterable<number>) => Math.sqrt([...values].reduce((sum, x) => sum + x * x, 0))
  const norms = new Map([...want].map(([name, values]) => [name, norm(values)]))
  const least = 0.01 * norm(norms.values())
  expect([...got.keys()].sort()).to.deep.equal([...want.keys()].sort())
  return Math.max(
    ...[...want].map(([name, values]) => {
      const difference = norm((got.get(name) as Float32Array).map((x, i) => x - (values[i] as number)))
      return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference / ((norms.get(name) as number) + least)
    }),
  )
}

/** To the eleven bits of a half. */
function roundedToHalf(x: number): number {
  if (x === 0) return 0
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 10)
  return Math.round(x / unit) * unit
}

describe('training on a GPU', function () {
  this.timeout(300_000)
  withEmulation()

  /** Five steps from a golden file's weights, with its recipe, on three clips. */
  async function fiveStepsOf(file: string, device: 'cpu' | 'cuda') {
    const { batch, recipe } = await goldenBatch(file, 3)
    using model = await loadModel(path.join(folder, file))
    using trainer = await createTrainer(model, { ...recipe, device, seed: 1 })
    return await fiveSteps(trainer, batch)
  }

  for (const file of files) {
    it(`has the losses of the CPU within 2 %: ${file}`, async () => {
      expectSameLosses(await fiveStepsOf(file, 'cuda'), await fiveStepsOf(file, 'cpu'))
    })
  }

  // Each block once and eight clips: of TVN-2 with three, weights rounded to halves move the CPU's gradients by 30 %.
  // The learning rates are those at which the loss falls by a tenth and more.
  for (const [name, learningRate] of [
    ['tvn-1', 0.05],
    ['tvn-2', 0.01],
    ['tvn-3', 0.005],
    ['tvn-4', 0.1],
  ] as const) {
    it(`has the losses of the CPU within 2 %: blocks of ${name} with a quarter of their channels`, async () => {
      const network = thinned(name, 32, 1 / 4)
      const { frames, size } = network.streams[0]
      const batch: Batch = [clipsFor(network, 8), [8, frames, size, size, 3], Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7)]
      const run = async (device: 'cpu' | 'cuda') => {
        using trainer = await createTrainer(network, { classes: 10, learningRate, dropout: 0, device, seed: 1 })
        return await fiveSteps(trainer, batch)
      }
      const gpu = await run('cuda')
      expectSameLosses(gpu, await run('cpu'))
      expect(lossOf(gpu, 5)).to.be.below(0.9 * lossOf(gpu, 1))
    })
  }

  /** Gradients of the first step, and what two steps change, with what the recipes leave out: dropout, and weight decay that is seen. */
  async function twoSteps({ network, labels, task, weights }: WeightedNetwork, batch: Batch, device: 'cpu' | 'cuda') {
    const recipe = { learningRate: 0.01, momentum: 0.9, nesterov: true, weightDecay: 0.1, labelSmoothing: 0, dropout: 0.5 }
    using trainer = await createTrainer({ network, labels, task, weights }, { ...recipe, device, seed: 1 })
    await trainer.step(...batch)
    const gradients = await trainer.gradients()
    await trainer.step(...batch)
    const changes = new Map([...(await trainer.weights())].map(([name, after]) => [name, after.map((x, i) => x - (weights.get(name)?.[i] as number))]))
    const ofKind = (statistics: boolean) => new Map([...changes].filter(([name]) => /\.norm\.(mean|variance)$/.test(name) === statistics))
    return { gradients, updates: ofKind(false), statistics: ofKind(true) }
  }

  for (const file of files) {
    it(`has gradients, updates and running statistics of the CPU, as far as half precision goes: ${file}`, async () => {
      const { batch } = await goldenBatch(file, 6)
      using model: Model = await loadModel(path.join(folder, file))
      const { network, labels, task } = model
      const rounded = { network, labels, task, weights: new Map([...model.weights].map(([name, values]) => [name, values.map(roundedToHalf)])) }
      const [gpu, cpu, cpuRounded] = [await twoSteps(model, batch, 'cuda'), await twoSteps(model, batch, 'cpu'), await twoSteps(rounded, batch, 'cpu')]
      // how far off results may be depends on the network: what rounding nothing but the weights does to those of f32 is the measure
      for (const [what, least] of [
        ['gradients', 0.02],
        ['updates', 0.01],
        ['statistics', 0.002],
      ] as const)
        expect(distance(gpu[what], cpu[what]), what).to.be.below(4 * distance(cpuRounded[what], cpu[what]) + least)
    })
  }

  it('skips a step whose gradients are not finite: nothing changes but the loss scale, which is halved', async () => {
    using model = await loadModel(path.join(folder, 'one-frame.safetensors'))
    const { network, labels, task } = model
    const weights = new Map(model.weights)
    weights.set(
      'head.weight',
      (weights.get('head.weight') as Float32Array).map(() => Number.NaN),
    )
    using trainer = await createTrainer({ network, labels, task, weights }, { device: 'cuda', dropout: 0 })
    const [{ frames, size }] = network.streams
    const before = await trainer.weights()
    const scales: number[] = []
    for (let i = 0; i < 3; i++) {
      const { skipped, lossScale } = await trainer.step(clipsFor(network, 2), [2, frames, size, size, 3], [0, 1], { learningRate: 0.1 })
      expect(skipped).to.equal(true)
      scales.push(lossScale)
    }
    expect(scales.slice(1)).to.deep.equal(scales.slice(0, 2).map((scale) => scale / 2))
    expect(await trainer.weights()).to.deep.equal(before)
  })

  it('gives the same bits in every run', async () => {
    const [first, second] = [await fiveStepsOf('one-frame.safetensors', 'cuda'), await fiveStepsOf('one-frame.safetensors', 'cuda')]
    expect(second).to.deep.equal(first)
  })
})
