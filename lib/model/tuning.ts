import { appendFile, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { cacheDirectory, cacheFolder } from '../cache.js'
import { thisMachine } from '../latency/machine.js'
import { type NativePlan, type NativePlanOptions, native, type TuningChoices } from '../native.js'
import type { Graph } from '../network/graph.js'
import { log } from '../verbose.js'

/** A search may take so long; that of a small network takes a few tens of milliseconds. */
const searchSeconds = 1.2
/** Of a machine's file, about five thousand choices; a larger one is begun anew. */
const mostBytes = 2 ** 20

/** What was found here. The file has it too, if it could be written. */
const found = new Map<string, string>()

/**
 * A plan whose steps are cut as was found to be the fastest on this machine; every cut has the same bits. What was found is in
 * `<cache>/tuning`, by machine, for every process (what was found on a GPU has its name in it); deleting it forgets it. With `search`, steps that are not known are tried, in at most
 * about 2 s, and what there was no time for by the next plan; without it they are done as usual. `TVN_TUNING=off`: all are.
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

/**
 * Adds choices to the end of the file, in one write, which other processes may do at the same time: the first line about a step counts.
 * A cache that cannot be written costs later processes the search and nothing else.
 */
async function remember(choices: readonly (readonly [step: string, way: string])[]): Promise<void> {
  if (choices.length === 0) return
  for (const [step, way] of choices) found.set(step, way)
  try {
    await cacheFolder(undefined, 'tuning')
    const lines = choices.map((choice) => `${JSON.stringify(choice)}\n`).join('')
    const size = await stat(choicesFile()).then(
      (status) => status.size,
      () => 0,
    )
    if (size > mostBytes) await rm(choicesFile(), { force: true })
    await appendFile(choicesFile(), `\n${lines}`) // a line that a killed process left unfinished ends here
  } catch (error) {
    log('dispatch', `the choices of this machine are not kept: ${(error as Error).message}`)
  }
}

/** By step. Lines that are damaged do not count, nor does a file that is missing, too large or no file. */
async function readChoices(): Promise<TuningChoices> {
  const choices = new Map<string, string>()
  try {
    const status = await stat(choicesFile())
    if (!status.isFile() || status.size > mostBytes) return {}
    for (const line of (await readFile(choicesFile(), 'utf8')).split('\n')) {
      const [step, way] = parseChoice(line)
      if (step !== undefined && way !== undefined && !choices.has(step)) choices.set(step, way)
    }
  } catch {
    // nothing is known
  }
  return Object.fromEntries(choices)
}

function parseChoice(line: string): [step?: string, way?: string] {
  try {
    const choice: unknown = JSON.parse(line)
    if (Array.isArray(choice) && choice.length === 2 && choice.every((item) => typeof item === 'string')) return choice as [string, string]
  } catch {
    // not a whole line
  }
  return []
}

function choicesFile(): string {
  return path.join(cacheDirectory(), 'tuning', `${thisMachine().id}.jsonl`)
}
