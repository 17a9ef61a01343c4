import { expect } from 'chai'
import { TvnError } from '../lib/errors.js'
import type { Isa } from '../lib/native.js'
import { checkPrecision, precisionFor, precisions } from '../lib/precision.js'

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
    expect(checkPrecision('f32')).to.equal('f32')
  })

  it('says what an existing one needs and what there is instead', () => {
    for (const isa of ['reference', 'avx2', 'avx512'] as const) {
      const { code, message, hint } = refusal('bf16', isa)
      expect([code, message]).to.deep.equal(['ERR_PRECISION', `precision bf16 needs AVX512_BF16, this CPU has ${isa} at most`])
      expect(hint).to.match(/^here it can be f32; TVN_MAX_ISA caps/)
    }
  })

  it('lists the known ones when it is none of them', () => {
    for (const value of ['fp12', '', 'toString', 'F32', 5, null, undefined, {}]) {
      const { code, message } = refusal(value, 'avx512_bf16')
      expect(code).to.equal('ERR_ARGUMENT')
      expect(message).to.match(/^precision must be 'f32' or 'bf16', got /)
    }
    expect(() => checkPrecision('fp12')).to.throw(TvnError, `precision must be ${precisions.map((word) => `'${word}'`).join(' or ')}, got 'fp12'`)
  })
})
