import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import { loadModel } from '../../lib/model/model.js'
import { readSafetensors, type Tensor, type TensorData } from '../../lib/model/safetensors.js'
import type { Task } from '../../lib/task.js'
import { createTrainer } from '../../lib/train/trainer.js'

/**
 * Networks that together use every gene, computed in f64 by an independent implementation. Each is a model file with `golden.clips`,
 * `golden.logits` (inference) and, for some training steps on these clips with `golden.labels` and the file's `recipe`,
 * `golden.losses`, `golden.gradient.<tensor>` (of the first step) and `golden.after.<tensor>` (at the end; norms and head).
 */
const folder = new URL('../fixtures/golden/', import.meta.url)

function largest(values: ArrayLike<number>): number {
  let max = 0
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i] as number))
  return max
}

/** The largest difference, relative to the largest expected magnitude or `floor`. */
function difference(got: ArrayLike<number> | undefined, want: ArrayLike<number>, floor = 1e-6): number {
  if (got?.length !== want.length) return Number.POSITIVE_INFINITY
  let most = 0
  for (let i = 0; i < want.length; i++) {
    const distance = Math.abs((got[i] as number) - (want[i] as number))
    most = Math.max(most, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance)
  }
  return most / Math.max(largest(want), floor)
}

function bits(tensors: ReadonlyMap<string, Float32Array>): string[] {
  return [...tensors].map(([name, { buffer, byteOffset, byteLength }]) => `${name} ${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}`)
}

const files = readdirSync(folder).filter((file) => file.endsWith('.safetensors'))

describe('golden files', () => {
  it('are there', () => expect(files.length).to.be.at.least(14))

  for (const file of files) {
    describe(file, () => {
      const path = new URL(file, folder).pathname
      let metadata: Readonly<Record<string, string>>
      let tensors: ReadonlyMap<string, Tensor>
      before(async () => {
        ;({ metadata, tensors } = await readSafetensors(path))
      })
      const golden = (name: string) => (tensors.get(`golden.${name}`) as Tensor).data
      const goldenOf = (prefix: string): [name: string, data: TensorData][] =>
        [...tensors].flatMap(([name, { data }]) => (name.startsWith(`golden.${prefix}.`) ? [[name.slice(prefix.length + 8), data]] : []))

      it('logits', async () => {
        using model = await loadModel(path)
        const clips = tensors.get('golden.clips') as Tensor
        expect(difference(await model.logits(clips.data as Uint8Array, clips.shape), golden('logits'))).to.be.below(1e-4)
      })

      it('training, with the same bits on one and two threads', async () => {
        using model = await loadModel(path)
        const { steps, batch: _, ...recipe } = JSON.parse(metadata.recipe as string)
        const { data, shape } = tensors.get('golden.clips') as Tensor
        const runs: string[][] = []
        for (const threads of [1, 2]) {
          using trainer = await createTrainer(model, { ...recipe, task: metadata.task as Task, threads, seed: 1 })
          const losses: number[] = []
          for (let step = 0; step < steps; step++) {
            losses.push((await trainer.step(data as Uint8Array, shape, golden('labels') as Int32Array)).loss)
            if (step > 0) continue
            const gradients = await trainer.gradients()
            // a gradient that is zero in theory (a bias before a batch norm) is compared on the scale of the whole step
            const scale = 1e-2 * Math.max(...goldenOf('gradient').map(([, values]) => largest(values)))
            expect(goldenOf('gradient').length).to.be.above(2)
            for (const [name, want] of goldenOf('gradient')) expect(difference(gradients.get(name), want, scale), `gradient of ${name}`).to.be.at.most(2e-4)
          }
          expect(difference(losses.slice(0, 1), golden('losses').slice(0, 1)), 'first loss').to.be.at.most(1e-5)
          expect(difference(losses, golden('losses')), 'losses').to.be.at.most(1e-3)
          const after = await trainer.weights()
          expect(goldenOf('after').length).to.be.above(2)
          for (const [name, want] of goldenOf('after')) expect(difference(after.get(name), want, 0.1), `${name} at the end`).to.be.at.most(2e-3)
          runs.push([...losses.map(String), ...bits(await trainer.gradients()), ...bits(after)])
        }
        expect(runs[0]).to.deep.equal(runs[1])
      })
    })
  }
})
