import { Random } from '../../random.js'
import { type ClipPlan, type Color, diameterRange, frameSize as size, type Paint, type Pose, type Shape, smallestDiameter } from './task.js'

/** Bytes of a frame in yuv420p: the whole luma plane, then the two chroma planes at half the size. */
export const frameBytes = (size * size * 3) / 2

/** Renders the frames of one clip, one after the other. The same plan gives the same bytes. */
export class ClipRenderer {
  readonly #plan: ClipPlan
  readonly #rgb = new Float32Array(size * size * 3)
  readonly #background: Float32Array
  readonly #random: Random
  #frame = 0

  constructor(plan: ClipPlan) {
    this.#plan = plan
    this.#random = Random.seeded(plan.seed)
    this.#background = backgroundMixture(plan.background.cells, this.#random)
  }

  /** Draws the next frame into `out`, yuv420p. */
  next(out: Uint8Array): void {
    const { background, paint, shape, start, rate, gain, offset, noise } = this.#plan
    const t = this.#frame++
    const pose = { x: start.x + t * rate.x, y: start.y + t * rate.y, u: start.u + t * rate.u, angle: start.angle + t * rate.angle }
    drawBackground(this.#rgb, this.#background, background.colors, background.drift[0] * t, background.drift[1] * t)
    drawSprite(this.#rgb, pose, shape, paint)
    addNoise(this.#rgb, gain, offset, noise, this.#random)
    toYuv(this.#rgb, out)
  }
}

/** How much of the second background colour is where: value noise at two scales that repeats at the edges, in [0, 1]. */
function backgroundMixture([coarse, fine]: readonly [number, number], random: Random): Float32Array {
  const mixture = new Float32Array(size * size)
  const layers = [
    { cells: coarse, weight: 0.6 },
    { cells: fine, weight: 0.4 },
  ]
  for (const { cells, weight } of layers) {
    const knots = Float32Array.from({ length: cells * cells }, () => random.float())
    const knot = (row: number, column: number): number => knots[(row % cells) * cells + (column % cells)] as number
    const smooth = (t: number): number => t * t * (3 - 2 * t)
    for (let y = 0; y < size; y++) {
      const v = (y * cells) / size
      const row = Math.floor(v)
      const down = smooth(v - row)
      for (let x = 0; x < size; x++) {
        const h = (x * cells) / size
        const column = Math.floor(h)
        const right = smooth(h - column)
        const top = knot(row, column) * (1 - right) + knot(row, column + 1) * right
        const bottom = knot(row + 1, column) * (1 - right) + knot(row + 1, column + 1) * right
        mixture[y * size + x] = (mixture[y * size + x] as number) + weight * (top * (1 - down) + bottom * down)
      }
    }
  }
  return mixture
}

/** Fills the frame with the two colours, mixed by the mixture shifted by (dx, dy). */
function drawBackground(rgb: Float32Array, mixture: Float32Array, [first, second]: readonly [Color, Color], dx: number, dy: number): void {
  const left = Math.floor(dx)
  const top = Math.floor(dy)
  const right = dx - left
  const down = dy - top
  const [r, g, b] = first
  const [dr, dg, db] = [second[0] - r, second[1] - g, second[2] - b]
  for (let y = 0, at = 0; y < size; y++) {
    const row = wrap(y + top) * size
    const below = wrap(y + top + 1) * size
    for (let x = 0; x < size; x++, at += 3) {
      const column = wrap(x + left)
      const beside = column + 1 === size ? 0 : column + 1
      const above = (mixture[row + column] as number) * (1 - right) + (mixture[row + beside] as number) * right
      const under = (mixture[below + column] as number) * (1 - right) + (mixture[below + beside] as number) * right
      const m = above * (1 - down) + under * down
      rgb[at] = r + m * dr
      rgb[at + 1] = g + m * dg
      rgb[at + 2] = b + m * db
    }
  }
}

/** Draws the sprite over the frame; what leaves at one edge comes in at the other. The sprite is smaller than the frame. */
function drawSprite(rgb: Float32Array, pose: Pose, shape: Shape, paint: Paint): void {
  const radius = (smallestDiameter / 2) * diameterRange ** (pose.u - Math.floor(pose.u))
  const cos = Math.cos(pose.angle)
  const sin = Math.sin(pose.angle)
  const distance = distanceTo[shape]
  const paintAt = painter(paint, radius)
  const reach = Math.ceil(radius + 1)
  const centerX = Math.floor(pose.x)
  const centerY = Math.floor(pose.y)
  for (let j = -reach; j <= reach; j++) {
    const y = centerY + j + 0.5 - pose.y
    const row = wrap(centerY + j) * size
    for (let i = -reach; i <= reach; i++) {
      const x = centerX + i + 0.5 - pose.x
      const p = cos * x + sin * y
      const q = cos * y - sin * x
      const outside = distance(p, q, radius)
      if (outside < 0.5) paintAt(rgb, (row + wrap(centerX + i)) * 3, p, q, outside)
    }
  }
}

/** Distance in pixels from (p, q) to the edge of the shape, negative inside; near enough the true one for antialiasing. */
const distanceTo: Readonly<Record<Shape, (p: number, q: number, radius: number) => number>> = {
  disc: (p, q, radius) => Math.sqrt(p * p + q * q) - radius,
  rectangle: (p, q, radius) => Math.max(Math.abs(p) - 0.8 * radius, Math.abs(q) - 0.65 * radius),
  'half-moon': (p, q, radius) => Math.max(Math.sqrt(p * p + q * q) - radius, -p - 0.1 * radius),
  triangle: (p, q, radius) => Math.max(p, -0.5 * p + 0.8660254037844386 * q, -0.5 * p - 0.8660254037844386 * q) - radius / 2,
}

/** Blends one pixel, at index `at` of the frame and (p, q) of the sprite, `outside` pixels beyond its edge. */
type PaintPixel = (rgb: Float32Array, at: number, p: number, q: number, outside: number) => void

function painter(paint: Paint, radius: number): PaintPixel {
  switch (paint.kind) {
    case 'halves': {
      const cos = Math.cos(paint.angle)
      const sin = Math.sin(paint.angle)
      const { bright, dark } = paint
      return (rgb, at, p, q, outside) => blend(rgb, at, coverage(outside), dark, bright, coverage(-(cos * p + sin * q)))
    }
    case 'hollow': {
      const { color } = paint
      return (rgb, at, _p, _q, outside) => blend(rgb, at, coverage(outside) * coverage(-outside - radius / 4), color, color, 1)
    }
    case 'striped': {
      const cos = Math.cos(paint.angle)
      const sin = Math.sin(paint.angle)
      const width = radius / paint.stripesPerRadius
      const { light, dark } = paint
      return (rgb, at, p, q, outside) => {
        const period = (cos * p + sin * q) / (2 * width)
        const wave = Math.abs(period - Math.floor(period) - 0.5) * 2
        blend(rgb, at, coverage(outside), dark, light, coverage((0.5 - wave) * width))
      }
    }
  }
}

/** The share of a pixel inside an edge that is `outside` pixels away. */
function coverage(outside: number): number {
  return outside <= -0.5 ? 1 : outside >= 0.5 ? 0 : 0.5 - outside
}

function blend(rgb: Float32Array, at: number, alpha: number, from: Color, to: Color, mix: number): void {
  rgb[at] = (rgb[at] as number) * (1 - alpha) + alpha * (from[0] + mix * (to[0] - from[0]))
  rgb[at + 1] = (rgb[at + 1] as number) * (1 - alpha) + alpha * (from[1] + mix * (to[1] - from[1]))
  rgb[at + 2] = (rgb[at + 2] as number) * (1 - alpha) + alpha * (from[2] + mix * (to[2] - from[2]))
}

/** Standard normal numbers, read from random places: a million a frame would take longer than everything else. */
const normals = (() => {
  const random = Random.seeded(0x6e6f6973)
  return Float32Array.from({ length: 2 ** 17 }, () => random.normal())
})()

function addNoise(rgb: Float32Array, gain: number, offset: number, sigma: number, random: Random): void {
  const row = size * 3
  for (let y = 0; y < size; y++) {
    const from = random.int(normals.length - row)
    for (let i = 0, at = y * row; i < row; i++, at++) rgb[at] = gain * (rgb[at] as number) + offset + sigma * (normals[from + i] as number)
  }
}

/** BT.601, limited range; the chroma of 2 × 2 pixels is that of their mean. */
function toYuv(rgb: Float32Array, out: Uint8Array): void {
  const half = size / 2
  const chroma = size * size
  const pixel = [0, 3, size * 3, size * 3 + 3] as const
  for (let y = 0; y < size; y += 2) {
    for (let x = 0; x < size; x += 2) {
      const at = (y * size + x) * 3
      let red = 0
      let green = 0
      let blue = 0
      for (let k = 0; k < 4; k++) {
        const from = at + (pixel[k] as number)
        const r = byte(rgb[from] as number)
        const g = byte(rgb[from + 1] as number)
        const b = byte(rgb[from + 2] as number)
        out[(y + (k >> 1)) * size + x + (k & 1)] = 16.5 + 0.256788 * r + 0.504129 * g + 0.097906 * b
        red += r
        green += g
        blue += b
      }
      const to = (y >> 1) * half + (x >> 1)
      out[chroma + to] = 128.5 + (-0.148223 * red - 0.290993 * green + 0.439216 * blue) / 4
      out[chroma + half * half + to] = 128.5 + (0.439216 * red - 0.367788 * green - 0.071427 * blue) / 4
    }
  }
}

function byte(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value
}

function wrap(i: number): number {
  const rest = i % size
  return rest < 0 ? rest + size : rest
}
