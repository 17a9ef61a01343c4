import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '../atomic.js'
import { cacheDirectory, cacheFolder } from '../cache.js'
import { thisMachine } from '../latency/machine.js'
import { type NativePlan, type NativePlanOptions, native, type TuningChoices } from '../native.js'
import type { Graph } from '../network/graph.js'
import { log } from '../verbose.js'

/** A search may take so long; that of a small network takes a few tens of milliseconds. */
const searchSeconds = 1.2
/** Entries that a machine's file keeps, the newest. */
const mostChoices = 4096

/** What was found in this process. The file has it too, if it could be written. */
const found = new Map<string, string>()

/**
 * A plan whose steps are cut as was found to be the fastest on this machine; every cut has the same bits. What was found is in the
 * cache folder, by machine, so that every process has the same plan. With `search`, steps that are not known are tried, in at most
 * about 2 s; without it they are done as usual. `TVN_TUNING=off`: all are.
 */
export async function createTunedPlan(
  graph: Graph,
  weights: ReadonlyMap<string, Float32Array>,
  { search, ...options }: Omit<NativePlanOptions, 'tuning'> & { readonly search: boolean },
): Promise<NativePlan> {
  const parameters = Object.fromEntries(weights)
  if (process.env.TVN_TUNING === 'off') return native().createPlan(graph, parameters, options)
  const written = await readChoices()
  const known = { ...Object.fromEntries(found), ...written } // the file first: other processes have its choices too
  const plan = await native().createPlan(graph, parameters, { ...options, tuning: { known, seconds: search ? searchSeconds : 0 } })
  await remember(Object.entries(plan.choices()).filter(([step]) => written[step] === undefined))
  return plan
}

/** Adds choices to the file. A cache that cannot be written costs later processes the search and nothing else. */
async function remember(choices: readonly (readonly [step: string, way: string])[]): Promise<void> {
  if (choices.length === 0) return
  for (const [step, way] of choices) found.set(step, way)
  try {
    await cacheFolder(undefined, 'tuning')
    const written = await readChoices()
    const all = [...Object.entries(written), ...choices.filter(([step]) => written[step] === undefined)]
    await writeFileAtomic(choicesFile(), [`${JSON.stringify(Object.fromEntries(all.slice(-mostChoices)), undefined, 1)}\n`])
  } catch (error) {
    log('dispatch', `the choices of this machine are not kept: ${(error as Error).message}`)
  }
}

/** A file that is missing or damaged counts as empty. */
async function readChoices(): Promise<TuningChoices> {
  try {
    const choices: unknown = JSON.parse(await readFile(choicesFile(), 'utf8'))
    if (typeof choices !== 'object' || choices === null) return {}
    return Object.fromEntries(Object.entries(choices).filter(([, way]) => typeof way === 'string'))
  } catch {
    return {}
  }
}

function choicesFile(): string {
  return path.join(cacheDirectory(), 'tuning', `${thisMachine().id}.json`)
}
