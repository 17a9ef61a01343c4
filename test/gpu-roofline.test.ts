import { readFileSync } from 'node:fs'
import { expect } from 'chai'

/** The scripts are plain JavaScript without declarations. */
const { devices, launchSeconds, readPlans, stagesOf, timeOf, withTables } = await import(new URL('../scripts/gpu-roofline.mjs', import.meta.url).href)
const [v100, h100] = devices

describe('scripts/gpu-roofline.mjs', () => {
  it('has written the tables of docs/gpu.md: node scripts/gpu-roofline.mjs', () => {
    const docs = readFileSync(new URL('../docs/gpu.md', import.meta.url), 'utf8')
    expect(docs.match(/<!-- table /g)).to.have.length(2)
    expect(withTables(docs, readPlans())).to.equal(docs)
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
})
