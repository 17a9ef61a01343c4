/**
 * Seeded random numbers (sfc32). The same seed gives the same numbers on every machine.
 * Independent streams come from `fork`, so that what one part draws never shifts what another part sees.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  private constructor(key: readonly [number, number, number]) {
    ;[this.#a, this.#b, this.#c] = key
    this.#d = 1
    for (let i = 0; i < 15; i++) this.uint32()
  }

  /** A stream for a whole-number seed. */
  static seeded(seed: number): Random {
    return new Random([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0x9e3779b9])
  }

  /** An independent stream named by strings and numbers, e.g. `random.fork('trial', 17)`; drawing from one leaves the other as it is. */
  fork(...path: readonly (string | number)[]): Random {
    let h1 = this.#a ^ 0x85ebca6b
    let h2 = this.#b ^ 0xc2b2ae35
    for (const char of JSON.stringify(path)) {
      const code = char.codePointAt(0) as number
      h1 = Math.imul(h1 ^ code, 0x01000193)
      h2 = Math.imul(h2 ^ code, 0x5bd1e995) ^ (h2 >>> 15)
    }
    return new Random([h1 >>> 0, h2 >>> 0, this.#c])
  }

  uint32(): number {
    const t = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    return t >>> 0
  }

  /** Uniform in [0, 1). */
  float(): number {
    return (this.uint32() * 2 ** 21 + (this.uint32() >>> 11)) / 2 ** 53
  }

  /** Uniform in [low, high). */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.float()
  }

  /** A whole number in [0, n). */
  int(n: number): number {
    return Math.floor(this.float() * n)
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.float())) * Math.cos(2 * Math.PI * this.float())
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)] as T
  }

  /** Shuffles in place (Fisher–Yates) and returns the array. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      ;[items[i], items[j]] = [items[j] as T, items[i] as T]
    }
    return items
  }
}
