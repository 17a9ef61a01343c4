import { expect } from 'chai'
import fc from 'fast-check'
import { type Split, splits } from '../../lib/data/dataset.js'
import type { ListedSample } from '../../lib/data/source.js'
import { assignSplits } from '../../lib/data/split.js'

const sample = fc.record({
  content: fc.integer({ min: 0, max: 30 }),
  label: fc.constantFrom('a', 'b', 'c'),
  split: fc.option(fc.constantFrom(...splits), { nil: undefined }),
})

describe('assignSplits', () => {
  it('keeps every content in one split and accounts for every sample', () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 60 }), fc.subarray([...splits]), (drawn, others) => {
        const open = [...new Set<Split>(['train', ...others])]
        const listed = drawn.map(
          ({ content, label, split }, i): ListedSample => ({ id: `${i}`, path: `${i}-${content}`, labels: [label], ...(split && { split }) }),
        )
        const hashOf = (path: string): string => path.split('-')[1] as string
        const { samples, quarantined } = assignSplits({ samples: listed, open }, hashOf)
        expect([...samples, ...quarantined].map(({ path }) => path)).to.have.members(listed.map(({ path }) => path))
        const splitOf = new Map<string, Split>()
        for (const { path, split } of samples) {
          expect(splitOf.get(hashOf(path)) ?? split, path).to.equal(split)
          splitOf.set(hashOf(path), split)
        }
        for (const { id, split } of samples) expect(split).to.equal(listed[Number(id)]?.split ?? split)
        const shared = samples.filter(({ id }) => listed[Number(id)]?.split === undefined)
        for (const { split } of shared) expect(open).to.include(split)
      }),
    )
  })
})
