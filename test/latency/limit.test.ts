import { expect } from 'chai'
import fc from 'fast-check'
import { TvnError } from '../../lib/errors.js'
import { formatLimit, limitsByDevice, parseLimit } from '../../lib/latency/limit.js'

const blank = fc.constantFrom('', ' ', '  ')
const numbers = fc.record({
  percentile: fc.option(
    fc.integer({ min: 1, max: 999 }).map((p) => p / 10),
    { nil: undefined },
  ),
  milliseconds: fc.integer({ min: 1, max: 1e9 }).map((x) => x / 1e4),
  confidence: fc.option(
    fc.integer({ min: 500, max: 999 }).map((c) => c / 10),
    { nil: undefined },
  ),
  cpu: fc.boolean(),
})

describe('latency limits', () => {
  it('reads the short form and the long one', () => {
    expect(parseLimit('p90<5ms')).to.deep.equal({ percentile: 90, milliseconds: 5, confidence: 99, device: 'cpu' })
    expect(parseLimit('p99.5 < .25ms @ 95% @cpu')).to.deep.equal({ percentile: 99.5, milliseconds: 0.25, confidence: 95, device: 'cpu' })
    expect(parseLimit('<5ms').percentile).to.equal(90)
  })

  it('reads everything the grammar makes, and its own canonical text back', () => {
    fc.assert(
      fc.property(numbers, blank, blank, ({ percentile, milliseconds, confidence, cpu }, a, b) => {
        const text = `${percentile === undefined ? '' : `p${percentile}`}${a}<${b}${milliseconds}ms${confidence === undefined ? '' : `${a}@${confidence}%`}${cpu ? '@cpu' : ''}`
        const limit = parseLimit(text)
        expect(limit).to.deep.equal({ percentile: percentile ?? 90, milliseconds, confidence: confidence ?? 99, device: 'cpu' })
        expect(parseLimit(formatLimit(limit))).to.deep.equal(limit)
      }),
    )
  })

  it('refuses everything else with an example', () => {
    const wrong = [
      'fast',
      '',
      'p90',
      'p90<5',
      'p90<5s',
      'p90>5ms',
      'p0<5ms',
      'p100<5ms',
      'p90<0ms',
      'p90<5ms@100%',
      'p90<5ms@49%',
      'p90<5ms@99',
      '90<5ms',
      'p90<-5ms',
      'p90<5ms@tpu',
      'p90<1e3ms',
      'p90<0.0000001ms',
      'p90<10000000000000000000000ms',
      'p0.0000001<5ms',
      'p90<5ms@99.99999%',
    ]
    for (const text of wrong) {
      expect(() => parseLimit(text), text)
        .to.throw(TvnError, /limit.*p90<5ms@99%/)
        .with.property('code', 'ERR_LIMIT_INVALID')
    }
  })

  it('never throws anything but a TvnError', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[p0-9<>ms@%cpuda:. -]{0,16}$/), (text) => {
        try {
          const limit = parseLimit(text)
          expect(parseLimit(formatLimit(limit))).to.deep.equal(limit)
        } catch (error) {
          expect(error).to.be.instanceOf(TvnError)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('refuses percentiles that more runs than are ever made would have to prove, with their number, at once', () => {
    expect(() => parseLimit('p99.99999<5ms')).to.throw(TvnError, /one that 1000000 runs can prove, but 99.99999 takes 46\d{6}, e\.g\./)
    expect(() => parseLimit('p99.99999999999<5ms')).to.throw(TvnError, /takes 462\d{11},/)
    expect(parseLimit('p99.999<5ms').percentile).to.equal(99.999)
  })

  it('writes only what it reads', () => {
    for (const limit of [null, 5, {}, { percentile: 90, milliseconds: -1, confidence: 99 }, { percentile: 90, milliseconds: 5, confidense: 99 }])
      expect(() => formatLimit(limit as never))
        .to.throw(TvnError, /must be|did you mean confidence/)
        .with.property('code', 'ERR_LIMIT_INVALID')
    expect(() => parseLimit(undefined as never)).to.throw(TvnError, /a text like p90<5ms@99%/)
  })

  it('names a device, by default the CPU or the one that is said', () => {
    expect(parseLimit('p90<1ms@cuda')).to.deep.equal({ percentile: 90, milliseconds: 1, confidence: 99, device: 'cuda' })
    expect(parseLimit('p90 < 1ms @99% @cuda:1').device).to.equal('cuda:1')
    expect(parseLimit('p90<1ms@cuda:0').device, 'the first GPU has one name').to.equal('cuda')
    expect(parseLimit('p90<1ms', 'cuda:1').device).to.equal('cuda:1')
    expect(parseLimit('p90<1ms@cpu', 'cuda').device).to.equal('cpu')
    expect(formatLimit(parseLimit('<1ms@cuda:2'))).to.equal('p90<1ms@99%@cuda:2')
    expect(formatLimit(parseLimit('<1ms', 'cuda'))).to.equal('p90<1ms@99%@cuda')
    expect(formatLimit(parseLimit('<1ms@cpu', 'cuda'))).to.equal('p90<1ms@99%')
    for (const text of ['p90<1ms@cuda:', 'p90<1ms@cuda:x', 'p90<1ms@cuda:1234', 'p90<1ms@cuda@99%', 'p90<1ms@gpu', 'p90<1ms@cpu:0'])
      expect(() => parseLimit(text), text)
        .to.throw(TvnError)
        .with.property('code', 'ERR_LIMIT_INVALID')
    expect(() => formatLimit({ percentile: 90, milliseconds: 1, confidence: 99, device: 'gpu' as never })).to.throw(TvnError, /device must be 'cpu', 'cuda'/)
  })

  it('are measured device by device, in the order in which they name them', () => {
    expect([...limitsByDevice(['p90<1ms@99%@cuda', 'p90<9ms@99%', 'p50<0.5ms@99%@cuda'], 'cpu')]).to.deep.equal([
      ['cuda', ['p90<1ms@99%@cuda', 'p50<0.5ms@99%@cuda']],
      ['cpu', ['p90<9ms@99%']],
    ])
    expect([...limitsByDevice([], 'cuda:1')]).to.deep.equal([['cuda:1', []]])
  })
})
