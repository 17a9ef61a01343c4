import { Random } from '../../random.js'
import { type Split, splits } from '../dataset.js'

/**
 * The demo task: ten classes of short clips that are told apart by motion (eight of them) or by how a sprite is drawn (two).
 * A clip shows one sprite whose pose lives on a torus: x and y modulo the frame, the logarithm of its diameter modulo that of its
 * range, the angle modulo a turn. It starts anywhere and moves at a constant rate, so a single frame of one motion class looks
 * like a single frame of every other. Lengths are in pixels, rates per frame.
 */
export const frameSize = 96
export const frameRate = 24
export const smallestDiameter = 32
/** Largest over smallest diameter. */
export const diameterRange = 80 / 32

export const motions = ['left', 'right', 'up', 'down', 'grow', 'shrink', 'clockwise', 'counter-clockwise'] as const
export type Motion = (typeof motions)[number]
export const classes = [...motions, 'hollow', 'striped'] as const
export type DemoClass = (typeof classes)[number]

export const shapes = ['disc', 'rectangle', 'half-moon', 'triangle'] as const
export type Shape = (typeof shapes)[number]

export type Color = readonly [red: number, green: number, blue: number]

/** How the sprite is painted; angles in radians, in its own frame. */
export type Paint =
  /** One bright and one dark half make rotation visible; more symmetry would hide it. */
  | { readonly kind: 'halves'; readonly angle: number; readonly bright: Color; readonly dark: Color }
  /** An outline, a quarter of the radius thick. */
  | { readonly kind: 'hollow'; readonly color: Color }
  | { readonly kind: 'striped'; readonly angle: number; readonly stripesPerRadius: number; readonly light: Color; readonly dark: Color }

/** x, y; u: logarithm of the diameter over its range, in [0, 1); angle. */
export interface Pose {
  readonly x: number
  readonly y: number
  readonly u: number
  readonly angle: number
}

export interface ClipPlan {
  readonly shape: Shape
  readonly paint: Paint
  readonly start: Pose
  /** What is added to the pose from frame to frame. */
  readonly rate: Pose
  readonly background: {
    readonly colors: readonly [Color, Color]
    /** Cells of value noise across the frame: a coarse and a fine grid. */
    readonly cells: readonly [number, number]
    /** Pixels a frame. */
    readonly drift: readonly [number, number]
  }
  /** The picture is multiplied, then shifted; then Gaussian noise is added. */
  readonly gain: number
  readonly offset: number
  readonly noise: number
  /** For what is drawn at random inside the picture. */
  readonly seed: number
}

/** Everything about clip `index` of a class and split, drawn from the seed. */
export function planClip(seed: number, split: Split, kind: DemoClass, index: number): ClipPlan {
  const random = Random.seeded(seed).fork('demo', splits.indexOf(split), kind, index)
  const colors = backgroundColors(random)
  const motion = kind === 'hollow' || kind === 'striped' ? random.pick(motions) : kind
  const drift = random.uniform(0, 0.09)
  const heading = random.uniform(0, 2 * Math.PI)
  return {
    shape: random.pick(shapes),
    paint: paintOf(kind, random, colors),
    start: { x: random.uniform(0, frameSize), y: random.uniform(0, frameSize), u: random.float(), angle: random.uniform(0, 2 * Math.PI) },
    rate: rateOf(motion, random),
    background: { colors, cells: [3 + random.int(4), 8 + random.int(8)], drift: [drift * Math.cos(heading), drift * Math.sin(heading)] },
    gain: random.uniform(0.85, 1.15),
    offset: random.uniform(-8, 8),
    noise: random.uniform(2, 9),
    seed: random.uint32(),
  }
}

const degrees = Math.PI / 180

function rateOf(motion: Motion, random: Random): Pose {
  const growth = 1 / (frameRate * Math.log(diameterRange))
  const speed = random.uniform(1, 2)
  const scaling = random.uniform(0.4, 0.8) * growth
  const turning = (random.uniform(120, 240) * degrees) / frameRate
  // what the class does not set moves a little, so that it tells nothing
  const nuisance = {
    x: random.uniform(-0.16, 0.16),
    y: random.uniform(-0.16, 0.16),
    u: random.uniform(-0.03, 0.03) * growth,
    angle: (random.uniform(-6, 6) * degrees) / frameRate,
  }
  switch (motion) {
    case 'left':
      return { ...nuisance, x: -speed }
    case 'right':
      return { ...nuisance, x: speed }
    case 'up':
      return { ...nuisance, y: -speed }
    case 'down':
      return { ...nuisance, y: speed }
    case 'grow':
      return { ...nuisance, u: scaling }
    case 'shrink':
      return { ...nuisance, u: -scaling }
    case 'clockwise':
      return { ...nuisance, angle: turning }
    case 'counter-clockwise':
      return { ...nuisance, angle: -turning }
  }
}

function backgroundColors(random: Random): [Color, Color] {
  const first = color(() => random.uniform(10, 60))
  const second = color((channel) => Math.max(0, first[channel] + random.uniform(-15, 15)))
  return [first, second]
}

function paintOf(kind: DemoClass, random: Random, background: readonly Color[]): Paint {
  const angle = random.uniform(0, 2 * Math.PI)
  if (kind === 'striped') {
    return {
      kind: 'striped',
      angle,
      stripesPerRadius: random.uniform(8, 10),
      light: gray(random.uniform(200, 255)),
      dark: gray(random.uniform(0, 30)),
    }
  }
  const bright = spriteColor(random, background)
  if (kind === 'hollow') return { kind: 'hollow', color: bright }
  const shade = random.uniform(0.05, 0.3)
  return { kind: 'halves', angle, bright, dark: color((channel) => bright[channel] * shade) }
}

/** The largest channel is 150 to 250, and the colour is at least 70 away from those of the background. */
function spriteColor(random: Random, background: readonly Color[]): Color {
  for (;;) {
    const raw = color(() => random.float())
    const scale = random.uniform(150, 250) / Math.max(...raw)
    const scaled = color((channel) => raw[channel] * scale)
    if (background.every((other) => Math.hypot(scaled[0] - other[0], scaled[1] - other[1], scaled[2] - other[2]) >= 70)) return scaled
  }
}

function color(of: (channel: 0 | 1 | 2) => number): Color {
  return [of(0), of(1), of(2)]
}

function gray(level: number): Color {
  return [level, level, level]
}
