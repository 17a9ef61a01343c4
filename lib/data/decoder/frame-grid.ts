/** Numerator and denominator. */
export type Rational = readonly [number, number]

/** Videos with more frames a second are thinned to a whole fraction of their rate: 60 to 30, 50 to 25, 120 to 30. */
export const maxRate = 30

/** A still longer than this is a jump of the timestamps, not something that was filmed. */
const longestHoldSeconds = 60

/**
 * Puts frames with timestamps on an even grid, so that frame i of a stored video is what was seen at i / rate seconds.
 * A source slot is 1 / source rate; every `thinning`th of them is a slot of the grid. The first frame of a slot is kept; slots
 * without a frame hold the one before; timestamps that are missing, run backwards or jump mean "the next slot".
 */
export class FrameGrid {
  readonly rate: Rational
  readonly #sourceRate: number
  readonly #thinning: number
  #first: number | undefined
  /** Source slots that were skipped over at jumps. */
  #shift = 0
  #lastSource = -1
  #filled = 0

  /** @param sourceRate frames a second; one that is no sensible number counts as `maxRate` */
  constructor([num, den]: Rational) {
    const sensible = num > 0 && den > 0 && num / den <= 1000 && num / den >= 0.01
    const [n, d] = sensible ? [num, den] : [maxRate, 1]
    this.#sourceRate = n / d
    this.#thinning = Math.max(1, Math.ceil(this.#sourceRate / maxRate - 1e-6))
    this.rate = [n, d * this.#thinning]
  }

  /** Slots filled so far: the number of frames of the video. */
  get length(): number {
    return this.#filled
  }

  /**
   * How to place the next frame: `holds` times the frame written last again, then, if `keep`, this one.
   *
   * @param seconds its timestamp, if it has one
   */
  place(seconds: number | undefined): { holds: number; keep: boolean } {
    const source = this.#sourceSlot(seconds)
    this.#lastSource = source
    const slot = Math.floor(source / this.#thinning)
    if (slot < this.#filled) return { holds: 0, keep: false }
    const holds = slot - this.#filled
    this.#filled = slot + 1
    return { holds, keep: true }
  }

  #sourceSlot(seconds: number | undefined): number {
    if (seconds === undefined || !Number.isFinite(seconds)) return this.#lastSource + 1
    this.#first ??= seconds
    const slot = Math.round((seconds - this.#first) * this.#sourceRate) + this.#shift
    const leap = slot - this.#lastSource
    if (leap >= 0 && leap <= longestHoldSeconds * this.#sourceRate) return slot
    this.#shift += this.#lastSource + 1 - slot
    return this.#lastSource + 1
  }
}
