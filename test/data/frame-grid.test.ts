import { expect } from 'chai'
import fc from 'fast-check'
import { FrameGrid, maxRate } from '../../lib/data/decoder/frame-grid.js'

/** Which source frame is shown in each slot. */
function run(rate: readonly [number, number], times: readonly (number | undefined)[]): { grid: FrameGrid; shown: number[] } {
  const grid = new FrameGrid(rate)
  const shown: number[] = []
  times.forEach((time, i) => {
    const { holds, keep } = grid.place(time)
    for (let k = 0; k < holds; k++) shown.push(shown.at(-1) as number)
    if (keep) shown.push(i)
  })
  return { grid, shown }
}

const indices = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

describe('FrameGrid', () => {
  it('keeps every frame of an even video, wherever it starts', () => {
    fc.assert(
      fc.property(
        fc.constantFrom([24, 1], [30000, 1001], [15, 1], [25, 2], [30, 1]),
        fc.double({ min: -1e4, max: 1e4, noNaN: true }),
        fc.integer({ min: 1, max: 400 }),
        (rate, start, n) => {
          const [num, den] = rate as [number, number]
          const { grid, shown } = run(
            [num, den],
            indices(n).map((i) => start + (i * den) / num),
          )
          expect(shown).to.deep.equal(indices(n))
          expect(grid.rate[0] / grid.rate[1]).to.equal(num / den)
          expect(grid.length).to.equal(n)
        },
      ),
    )
  })

  it('keeps every frame when timestamps are rounded to milliseconds', () => {
    expect(
      run(
        [24, 1],
        indices(240).map((i) => Math.round((i * 1000) / 24) / 1000),
      ).shown,
    ).to.deep.equal(indices(240))
  })

  it('thins fast videos to a whole fraction of their rate, at most 30', () => {
    for (const [rate, kept] of [
      [60, 2],
      [50, 2],
      [48, 2],
      [120, 4],
      [90, 3],
      [100, 4],
      [31, 2],
    ] as const) {
      const { grid, shown } = run(
        [rate, 1],
        indices(rate).map((i) => i / rate),
      )
      expect(shown, `${rate} fps`).to.deep.equal(indices(rate).filter((i) => i % kept === 0))
      expect(grid.rate[0] / grid.rate[1])
        .to.equal(rate / kept)
        .and.at.most(maxRate)
    }
  })

  it('thins 59.94 fps to 29.97', () => {
    expect(new FrameGrid([60000, 1001]).rate).to.deep.equal([60000, 2002])
  })

  it('holds a frame over gaps and drops frames that crowd', () => {
    expect(run([10, 1], [0, 0.1, 0.4, 0.5]).shown).to.deep.equal([0, 1, 1, 1, 2, 3])
    expect(run([10, 1], [0, 0.1, 0.11, 0.12, 0.2]).shown).to.deep.equal([0, 1, 4])
  })

  it('takes missing, backward and far-off timestamps for the next frame', () => {
    expect(run([10, 1], [0, undefined, 0.2, Number.NaN]).shown).to.deep.equal([0, 1, 2, 3])
    expect(run([10, 1], [5, 5.1, 0, 0.1]).shown).to.deep.equal([0, 1, 2, 3])
    expect(run([10, 1], [0, 0.1, 9000, 9000.1, 9000.3]).shown).to.deep.equal([0, 1, 2, 3, 3, 4])
  })

  it('falls back to 30 a second where the rate is nonsense', () => {
    for (const rate of [
      [0, 0],
      [0, 1],
      [90000, 1],
      [-5, 1],
      [1, 0],
    ] as const)
      expect(new FrameGrid(rate).rate).to.deep.equal([30, 1])
  })

  it('never shows more than the time that passed, whatever the timestamps', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 50 }), (unsorted) => {
        const times = unsorted.sort((a, b) => a - b)
        const { grid, shown } = run([25, 1], times)
        expect(shown.length).to.equal(grid.length)
        expect(shown).to.deep.equal([...shown].sort((a, b) => a - b))
        expect(grid.length).to.be.at.most(Math.round(((times.at(-1) as number) - (times[0] as number)) * 25) + 1)
      }),
    )
  })
})
