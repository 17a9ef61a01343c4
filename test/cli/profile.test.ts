import { expect } from 'chai'
import type { StageProfile } from '../../lib/model/profile.js'
import { tvn } from './run.js'

const golden = new URL('../fixtures/golden/std-even-kernel.safetensors', import.meta.url).pathname

describe('tvn profile', () => {
  it('gives latency and stages as JSON, every op in one stage', async () => {
    const { code, stdout, stderr } = await tvn(['profile', golden, '--repetitions', '20', '--json', '--quiet'])
    expect([code, stderr]).to.deep.equal([0, ''])
    const { latency, stages, nonGemm } = JSON.parse(stdout) as { latency: any; stages: StageProfile[]; nonGemm: { ms: number; fraction: number } }
    for (const figure of ['p50', 'p90', 'p99', 'min', 'samples']) expect(latency[figure], figure).to.be.above(0)
    expect(latency.compute.p50).to.be.within(0, latency.p50)
    expect(latency.cold.p50).to.be.above(0)
    for (const { name, ops, kind, kernel, ms, gflops, peakFraction, bytes } of stages) {
      expect(name).to.be.a('string').and.not.equal('')
      expect(ops).to.be.an('array')
      expect(kernel, name).to.match(/^[a-z_]+_(f32|u8f32)_/)
      expect(bytes, name).to.be.above(0)
      expect(ms, name).to.be.at.least(0)
      expect(gflops > 0, name).to.equal(['conv', 'dense', 'depthwise', 'attention'].includes(kind) && ms > 0)
      expect((peakFraction ?? 0) > 0, name).to.equal(gflops > 0)
    }
    const ops = stages.flatMap((stage) => stage.ops)
    expect(new Set(ops).size).to.equal(ops.length)
    expect(ops).to.include('blocks.0.0.expand').and.include('head')
    expect(nonGemm.fraction).to.be.within(0, 1)
    const rest = stages.filter(({ kind }) => !['conv', 'dense', 'attention'].includes(kind))
    expect(nonGemm.ms).to.be.closeTo(
      rest.reduce((sum, { ms }) => sum + ms, 0),
      1e-9,
    )
  })

  it('shows for people what was fused, the sums, and warm, cold and bare times', async () => {
    const { stdout } = await tvn(['profile', golden, '--repetitions', '5'])
    expect(stdout).to.match(/^warm +p50 .* ms.*\ncompute +p50 .*\ncold +p50 .*\n\nstage +fused into it +kernel/)
    expect(stdout).to.match(/^blocks\.0\.0\.spatial +norm, activation +conv_forward_f32_/m)
    expect(stdout).to.match(/^total .*100\.0 %/m)
    expect(stdout).to.match(/^not matrix products: .* ms, \d+\.\d % of the time; peak/m)
  })

  it('TVN_VERBOSE=dispatch says on stderr what runs every stage and why nothing better does', async () => {
    const explain = async (env: Record<string, string>) => {
      const { code, stdout, stderr } = await tvn(['profile', golden, '--repetitions', '1', '--json', '--quiet'], { env: { TVN_VERBOSE: 'dispatch', ...env } })
      expect(code, stderr).to.equal(0)
      const lines = stderr.trim().split('\n')
      expect(lines.length).to.equal(JSON.parse(stdout).stages.length + 1)
      for (const line of lines) expect(line).to.match(/^dispatch: /)
      return stderr
    }
    const reference = await explain({ TVN_MAX_ISA: 'reference' })
    expect(reference).to.match(/^dispatch: plan of batch 1, 1 thread, f32, reference$/m)
    expect(reference).to.match(
      /^dispatch: blocks\.0\.0\.spatial: conv \S+ → \S+, kernel 1×\d×\d.*; conv_forward_f32_reference; with norm, activation; refused .*conv_forward_f32_avx512: needs avx512.*conv_forward_f32_avx2: needs avx2$/m,
    )
    expect(reference).to.match(
      /^dispatch: head: dense .*; dense_forward_f32_reference; refused dense_forward_f32_avx512: needs avx512, dense_forward_f32_avx2: needs avx2$/m,
    )
    expect(await explain({}))
      .to.not.include('another was chosen')
      .and.not.include('reference: ')
  })
})
