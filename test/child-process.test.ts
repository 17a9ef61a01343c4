import { expect } from 'chai'
import { residentBytes } from '../lib/child-process.js'

describe('residentBytes', () => {
  it('is what a process holds, whatever the size of a page, and 0 where there is none', () => {
    expect(residentBytes(process.pid)).to.be.closeTo(process.memoryUsage.rss(), 2 ** 24)
    expect(residentBytes(999_999_999)).to.equal(0)
    expect(residentBytes(undefined)).to.equal(0)
  })
})
