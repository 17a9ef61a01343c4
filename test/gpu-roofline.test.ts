import { readFileSync } from 'node:fs'
import { expect } from 'chai'

/** The scripts are plain JavaScript without declarations. */
const { devices, launchSeconds, networkTable, readPlans, readTraining, stagesOf, timeOf, trainingOf, withTables } = await import(
  new URL('../scripts/gpu-roofline.mjs', import.meta.url).href
)
const [v100, h100] = devices

describe('scripts/gpu-roofline.mjs', () => {
  it('has written the tables of docs/gpu.md: node scripts/gpu-roofline.mjs', () => {
    const docs = readFileSync(new URL('../docs/gpu.md', import.meta.url), 'utf8')
    expect(docs.match(/<!-- table /g)).to.have.length(3)
    expect(withTables(docs, readPlans(), readTraining())).to.equal(docs)
  })

  it('counts at most 20 kernels for one clip of TVN-1', () => {
    expect(readPlans()['tvn-1'][1].flatMap(({ launches }: { launches: unknown[] }) => launches)).to.have.length.within(1, 20)
  })

  it('takes the slower of memory and tensor cores, of which only those of busy multiprocessors count, and adds the launches', () => {
    const stage = { macs: 62.5e6, bytes: 90e3, launches: [{ blocks: 400 }] }
    expect(timeOf(stage, v100).floor).to.be.closeTo(1e-6, 1e-12)
    expect(timeOf(stage, v100).expected).to.be.closeTo(1e-6 + launchSeconds, 1e-12)
    expect(timeOf({ ...stage, launches: [{ blocks: 8 }] }, v100)).to.deep.include({ floor: 1e-6, expected: 10e-6 + launchSeconds, limit: 'compute' })
    expect(timeOf({ ...stage, bytes: 33.5e6, launches: [{ blocks: 3 }, { blocks: 132 }] }, h100)).to.deep.include({
      floor: 10e-6,
      expected: 10e-6 + 2 * launchSeconds,
      limit: 'memory',
    })
  })

  it('gives every launch to the stage that it belongs to', () => {
    const stage = (kernel: string) => ({ kind: 'stage', kernel, name: kernel, macs: 1, bytes: 2 })
    const launch = (file: string, blocks: number) => ({ kind: 'launch', file, blocks, threads: 32 })
    const rows = [stage('conv_gemm'), stage('mean'), stage('vector_chain, gate')]
    const launches = [launch('conv.cu', 1), launch('mean.cu', 2), launch('rows.h', 3), launch('vector.cu', 4), launch('gate.cu', 5)]
    const counts = stagesOf([...rows, ...launches]).map((each: { launches: { blocks: number }[] }) => each.launches.map(({ blocks }) => blocks))
    expect(counts).to.deep.equal([[1], [2, 3], [4, 5]])
    expect(() => stagesOf([...rows, ...launches.slice(1)])).to.throw(/^conv_gemm: conv_gemm is launched from mean\.cu, expected conv\.cu/)
    expect(() => stagesOf([...rows, ...launches, launch('pool.cu', 1)])).to.throw('1 launches belong to no stage')
  })

  it('merges kernels of a training step that do as much, each of which is one launch', () => {
    const kernel = (name: string, kernelName: string, file: string, bytes: number) => ({
      kind: 'training_kernel',
      name,
      kernel: kernelName,
      file,
      macs: 5,
      bytes,
    })
    const launch = (file: string, blocks: number) => ({ kind: 'launch', file, blocks, threads: 32 })
    const rows = [kernel('a', 'conv', 'conv.cu', 1e6), kernel('b', 'conv', 'conv.cu', 1e6), kernel('c', 'add', 'elementwise.cu', 2e6)]
    const launches = [launch('conv.cu', 80), launch('conv.cu', 80), launch('elementwise.cu', 3)]
    const stages = trainingOf([...rows, ...launches])
    expect(stages).to.deep.equal([
      { kernel: 'conv', name: 'a', times: 2, macs: 5, bytes: 1e6, launches: [{ blocks: 80, threads: 32 }] },
      { kernel: 'add', name: 'c', times: 1, macs: 5, bytes: 2e6, launches: [{ blocks: 3, threads: 32 }] },
    ])
    expect(networkTable({ x: { 8: stages } })[2]).to.match(/^\| x \| 8 \| 3 \| 0\.0 \| 4\.0 \| 4\.4 \| 11\.9 \|/)
    expect(() => trainingOf([...rows, ...launches.slice(1)])).to.throw('3 kernels have 2 launches')
    expect(() => trainingOf([...rows, ...launches.toReversed()])).to.throw('a: conv is launched from elementwise.cu, expected conv.cu')
  })

  it('counts three products a layer in a training step, the first layer, whose input has no gradient, excepted', () => {
    type Stage = { kernel: string; times: number; macs: number }
    for (const [network, steps] of Object.entries<Record<string, Stage[]>>(readTraining())) {
      const text = readFileSync(new URL(`../native/cuda/networks/${network}.txt`, import.meta.url), 'utf8')
      const macs = 8 * Number(/^cost (\d+)/m.exec(text)?.[1])
      const count = (kernels: RegExp) => steps[8]!.filter(({ kernel }) => kernels.test(kernel)).reduce((total, stage) => total + stage.times * stage.macs, 0)
      expect(count(/^(conv|depthwise|attention)$/), network).to.equal(macs)
      const attention = count(/^attention$/)
      expect(count(/^attention backward$/), network).to.equal(3.5 * attention)
      expect(count(/weight gradient$/), network).to.equal(macs - attention)
      expect(count(/data gradient$/) / macs, network).to.be.within(0.95, 0.9999)
    }
  })
})
