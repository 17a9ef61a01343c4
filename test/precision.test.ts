import { expect } from 'chai'
import { TvnError } from '../lib/errors.js'
import type { Isa } from '../lib/native.js'
import { precisionFor, precisionOn, precisions, trainingPrecisionOn } from '../lib/precision.js'

describe('precision', () => {
  const needs = { f32: 'reference', bf16: 'avx512_bf16' } as const
  const refusal = (value: unknown, isa: Isa): TvnError => {
    try {
      precisionFor(value, needs, isa)
    } catch (error) {
      expect(error).to.be.instanceOf(TvnError)
      return error as TvnError
    }
    throw new Error('accepted')
  }

  it('is one that the CPU has', () => {
    expect(precisionFor('bf16', needs, 'avx512_bf16')).to.equal('bf16')
    expect(precisionFor('f32', needs, 'reference')).to.equal('f32')
    expect(precisionOn('cpu', 'f32')).to.equal('f32')
  })

  it('says what an existing one needs and what there is instead', () => {
    for (const isa of ['reference', 'avx2', 'avx512'] as const) {
      const { code, message, hint } = refusal('bf16', isa)
      expect([code, message]).to.deep.equal(['ERR_PRECISION', `precision bf16 needs AVX512_BF16, this CPU has ${isa} at most`])
      expect(hint).to.match(/^here it can be f32; TVN_MAX_ISA caps/)
    }
  })

  it('is by default the usual one of the device', () => {
    expect([precisionOn('cpu'), precisionOn('cuda'), precisionOn('cuda:1', 'f16')]).to.deep.equal(['f32', 'f16', 'f16'])
    expect([trainingPrecisionOn('cpu'), trainingPrecisionOn('cuda'), trainingPrecisionOn('cpu', 'f32')]).to.deep.equal(['f32', 'f16', 'f32'])
  })

  it('of a GPU is f16, and of a CPU never', () => {
    for (const precision of ['f32', 'bf16'])
      expect(() => precisionOn('cuda:1', precision))
        .to.throw(TvnError, `precision ${precision} is not available on cuda:1: a GPU multiplies f16 and adds f32`)
        .with.property('code', 'ERR_PRECISION')
    expect(() => trainingPrecisionOn('cuda', 'f32')).to.throw(TvnError, /not available on cuda/)
    for (const check of [precisionOn, trainingPrecisionOn])
      expect(() => check('cpu', 'f16'))
        .to.throw(TvnError, /f16 is that of a GPU/)
        .with.property('code', 'ERR_PRECISION')
    expect(() => trainingPrecisionOn('cpu', 'bf16')).to.throw(TvnError, "precision must be 'f32' or 'f16', got 'bf16'")
  })

  it('lists the known ones when it is none of them', () => {
    for (const value of ['fp12', '', 'toString', 'F32', 5, null, undefined, {}]) {
      const { code, message } = refusal(value, 'avx512_bf16')
      expect(code).to.equal('ERR_ARGUMENT')
      expect(message).to.match(/^precision must be 'f32' or 'bf16', got /)
    }
    expect(() => precisionOn('cpu', 'fp12')).to.throw(TvnError, `precision must be ${precisions.map((word) => `'${word}'`).join(' or ')}, got 'fp12'`)
  })
})
