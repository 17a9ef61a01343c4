import { expect } from 'chai'
import { formatCount, formatMilliseconds, pad, textTable, textWidth } from '../lib/text-table.js'

describe('textTable', () => {
  it('aligns columns under a header and a rule', () => {
    const table = textTable(
      ['name', { title: 'ms', align: 'right' }],
      [
        ['tvn-1', 36.5],
        ['tvn-mobile-1', 104],
      ],
    )
    expect(table.split('\n')).to.deep.equal(['name            ms', '────────────  ────', 'tvn-1         36.5', 'tvn-mobile-1   104'])
  })

  it('gives colour codes no width and leaves no trailing spaces', () => {
    const table = textTable(
      ['a', 'b'],
      [
        ['\u001b[31mred\u001b[39m', ''],
        ['blue', 'x'],
      ],
    )
    expect(table.split('\n')[2]).to.equal('\u001b[31mred\u001b[39m')
    expect(table.split('\n')[3]).to.equal('blue  x')
  })

  it('writes header and rule of an empty table, and fills missing cells', () => {
    expect(textTable(['id'], [])).to.equal('id\n──')
    expect(textTable(['a', 'b', 'c'], [['1', '2']]).split('\n')[2]).to.equal('1  2')
  })
})

describe('pad and textWidth', () => {
  it('count characters, not code units', () => {
    expect(textWidth('×😀')).to.equal(2)
    expect(pad('×', 3, 'right')).to.equal('  ×')
    expect(pad('long', 2)).to.equal('long')
  })
})

describe('formatCount', () => {
  it('keeps three digits and never shows 1000 of a unit', () => {
    expect([0, 950, 1234, 45_600_000, 999_999, 999_499, 4_326_000_000, 9_996].map((n) => formatCount(n))).to.deep.equal([
      '0',
      '950',
      '1.23 k',
      '45.6 M',
      '1.00 M',
      '999 k',
      '4.33 G',
      '10.0 k',
    ])
    expect(formatCount(4_326_000_000, 'MACs')).to.equal('4.33 GMACs')
    expect(formatCount(950, 'MACs')).to.equal('950 MACs')
  })
})

describe('formatMilliseconds', () => {
  it('keeps three digits, in seconds from one second on, and never an exponent', () => {
    expect([0.1394, 0.5, 12.34, 310, 999.4, 999.6, 1680, 999_600, 1_234_567].map(formatMilliseconds)).to.deep.equal([
      '0.139 ms',
      '0.500 ms',
      '12.3 ms',
      '310 ms',
      '999 ms',
      '1.00 s',
      '1.68 s',
      '1000 s',
      '1235 s',
    ])
  })
})
