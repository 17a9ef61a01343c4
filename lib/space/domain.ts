import { z } from 'zod'
import type { Random } from '../random.js'
import { fail, flag, list, object } from '../validate.js'

/** A value of a gene. */
export type GeneValue = number | string | boolean

/** Numbers from `min` to `max`: whole ones, or any where `real`. With `log`, each doubling is as likely as the next. */
export interface Range {
  readonly min: number
  readonly max: number
  readonly real?: boolean
  readonly log?: boolean
}

/** A value or a range, and how often it is drawn relative to the others (default 1). */
export type Choice<T extends GeneValue> = T | ({ readonly weight?: number } & ({ readonly value: T } | (T extends number ? Range : never)))

/** What a gene may be: one of some choices. */
export type Domain<T extends GeneValue> = readonly Choice<T>[]

/** Draws a value. `except` is never drawn as long as there is another; weights stand for the rest. */
export function draw<T extends GeneValue>(domain: Domain<T>, random: Random, except?: T): T {
  const choices = domain.filter((choice) => !isOnly(choice, except))
  const pool = choices.length > 0 ? choices : domain
  let at = random.float() * pool.reduce((sum, choice) => sum + weightOf(choice), 0)
  const choice = pool.find((candidate) => (at -= weightOf(candidate)) < 0) ?? (pool.at(-1) as Choice<T>)
  const range = rangeOf(choice)
  if (range === undefined) return valueOf(choice)
  for (;;) {
    const value = drawRange(range, random) as T
    if (value !== except) return value
  }
}

function drawRange({ min, max, real = false, log = false }: Range, random: Random): number {
  // whole numbers take equal shares of [min, max + 1)
  const end = real ? max : max + 1
  const x = log ? Math.exp(random.uniform(Math.log(min), Math.log(end))) : random.uniform(min, end)
  return Math.min(Math.max(real ? x : Math.floor(x), min), max)
}

/** Whether a gene may have this value. */
export function inDomain<T extends GeneValue>(domain: Domain<T>, value: T): boolean {
  return domain.some((choice) => {
    const range = rangeOf(choice)
    if (range === undefined) return valueOf(choice) === value
    return typeof value === 'number' && value >= range.min && value <= range.max && (range.real === true || Number.isInteger(value))
  })
}

/** Whether there is more than one value to choose from. */
export function isFree(domain: Domain<GeneValue>): boolean {
  return domain.some((choice) => !isOnly(choice, extremes(domain)[0]))
}

/** Every value named in the domain and the ends of its ranges: what a search for the cheapest looks at. */
export function extremes<T extends GeneValue>(domain: Domain<T>): T[] {
  return domain.flatMap((choice) => {
    const range = rangeOf(choice)
    return range === undefined ? [valueOf(choice)] : ([range.min, range.max] as T[])
  })
}

function isOnly<T extends GeneValue>(choice: Choice<T>, value: T | undefined): boolean {
  const range = rangeOf(choice)
  return range === undefined ? valueOf(choice) === value : range.min === range.max && range.min === value
}

function rangeOf(choice: Choice<GeneValue>): Range | undefined {
  return typeof choice === 'object' && 'min' in choice ? (choice as Range) : undefined
}

function valueOf<T extends GeneValue>(choice: Choice<T>): T {
  return typeof choice === 'object' ? (choice as { value: T }).value : (choice as T)
}

function weightOf(choice: Choice<GeneValue>): number {
  return typeof choice === 'object' ? (choice.weight ?? 1) : 1
}

const weight = z.number('a number above 0').positive('a number above 0').max(1e6, 'a number of at most 1000000').default(1)
const end = z.number('a number')
const range = object({ min: end, max: end, real: flag().default(false), log: flag().default(false), weight })

/**
 * Schema of a domain in a space file: an array of values of the gene, `{ "value", "weight" }` or, for numbers, `{ "min", "max" }` with
 * `real`, `log` and `weight`. Whatever the domain can give is checked by the gene's own schema.
 */
export function domainSchema<T extends GeneValue>(gene: z.ZodType<T>) {
  const valued = object({ value: gene, weight })
  const choice = z.unknown().transform((json, context): Choice<T> => {
    const schema =
      typeof json !== 'object' || json === null
        ? gene
        : 'min' in json || 'max' in json
          ? range.check(({ value, issues }) => checkRange(gene, value, issues))
          : valued
    const parsed = schema.safeParse(json, { reportInput: true })
    if (parsed.success) return parsed.data as Choice<T>
    for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: issue.input } as z.core.$ZodRawIssue)
    return z.NEVER
  })
  return list(choice, 1, 100, 'values or ranges')
}

/** A range must be in order, and every number in it a value of the gene. */
function checkRange(gene: z.ZodType, { min, max, real, log }: z.output<typeof range>, issues: z.core.$ZodRawIssue[]): void {
  if (min > max) issues.push(fail(['max'], `must be at least min, ${min}, got ${max}`, max))
  else if (log && min <= 0) issues.push(fail(['min'], `must be above 0 on a logarithmic scale, got ${min}`, min))
  else if (!real && !(Number.isInteger(min) && Number.isInteger(max))) issues.push(fail([], 'must have "real": true to hold fractions', { min, max }))
  else {
    // the schemas' own ranges are at most 2048 wide
    const inside = real ? [min, min + (max - min) / Math.PI, max] : Array.from({ length: Math.min(max - min + 1, 4096) }, (_, i) => min + i)
    for (const value of inside) {
      const problem = gene.safeParse(value, { reportInput: true }).error?.issues[0]
      if (problem !== undefined) return void issues.push({ ...problem, input: value } as z.core.$ZodRawIssue)
    }
  }
}
