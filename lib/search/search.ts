import { createHash } from 'node:crypto'
import { throwIfAborted } from '../abort.js'
import { checkOptions, checkText } from '../check.js'
import type { DataProgress, PreparedDataset } from '../data/dataset.js'
import { type Gpu, requireDevice, requireMeaningfulTimes } from '../device.js'
import { openDataset } from '../data/open.js'
import { prepareDataset } from '../data/prepare.js'
import { TvnError } from '../errors.js'
import { reasonCategory } from '../evaluate/constraints.js'
import type { StageProgress } from '../evaluate/messages.js'
import { Pool } from '../evaluate/pool.js'
import { limitsByDevice } from '../latency/limit.js'
import { thisMachine } from '../latency/machine.js'
import { version } from '../version.js'
import { deliver } from './deliver.js'
import type { StudyEvent, StudyRecord } from './events.js'
import { type SearchSettings, type StudyOptions, settingKeys, studyOptions } from './options.js'
import { type Preflight, preflight } from './preflight.js'
import { makeReport, type Report, writeReport } from './report.js'
import { checkRunFolder, defaultRunFolder, makeRunFolder, runFolder, sweepRunFolder } from './run-folder.js'
import { runTrials } from './run-trials.js'
import type { StudyState } from './state.js'
import { createStudy, openStudy } from './storage/sqlite.js'
import type { Storage } from './storage/storage.js'
import { Study } from './study.js'

/** What happens while a search runs, in this order; `data` and `trial` many times. */
export type SearchProgress =
  | { readonly kind: 'data'; readonly progress: DataProgress }
  | { readonly kind: 'dataset'; readonly dataset: PreparedDataset }
  | ({ readonly kind: 'preflight' } & Preflight)
  /** The study has begun, or is resumed. */
  | { readonly kind: 'study'; readonly folder: string; readonly state: StudyState }
  /** A trial, or the winner's further training, has got on. */
  | { readonly kind: 'stage'; readonly trial: number; readonly progress: StageProgress }
  /** Something was written to the journal; `state` is the state after it. */
  | { readonly kind: 'event'; readonly event: StudyEvent; readonly state: StudyState; readonly elapsed: number }

export interface SearchOptions extends SearchSettings {
  /** Run directory; may exist as long as it holds no study. Default `runs/<date>-<study>`. */
  readonly out?: string
  /** Goes on with the study of this run directory; its journal has the settings, so none may be given. */
  readonly resume?: string
  /** Stops the search with ERR_ABORTED; all that was done is saved, and `resume` goes on. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: SearchProgress) => void
  /** Default: the platform's cache directory. */
  readonly cacheDir?: string
}

export interface SearchResult {
  readonly folder: string
  readonly report: Report
}

/**
 * Searches for the most accurate network that meets the limits on this machine, trains it on and saves it (`best.safetensors`, `report.json` in
 * the run directory). Nothing is written when settings, data or limits are invalid.
 *
 * Throws ERR_ARGUMENT, ERR_LIMIT_INVALID, ERR_DEVICE (a GPU that cannot be used here), ERR_DATASET, ERR_LIMIT_IMPOSSIBLE (no network of the space is
 * fast enough here), ERR_STUDY (the run directory), ERR_NO_WINNER (every network was rejected or failed; the report tells why), ERR_FILE (a full
 * disk, data that are gone) and ERR_DEVICE_LOST (a GPU failed), after both of which `resume` goes on, and ERR_ABORTED.
 */
export async function search(options: SearchOptions = {}): Promise<SearchResult> {
  checkOptions('options', options, { ...settingKeys, out: true, resume: true, signal: true, onProgress: true, cacheDir: true })
  const { resume, out, signal, onProgress: report = () => {}, cacheDir, ...settings } = options
  for (const [name, value] of Object.entries({ resume, out, cacheDir })) if (value !== undefined) checkText(name, value)
  throwIfAborted(signal)
  if (resume !== undefined) {
    if (out !== undefined || Object.values(settings).some((setting) => setting !== undefined))
      throw new TvnError('ERR_ARGUMENT', 'resume takes its settings from the journal, expected no others', {
        hint: 'leave the other options away, or begin a new study',
      })
    const storage = openStudy(resume)
    return closing(storage, async () => {
      const { record } = new Study(storage, seconds).state
      const gpus = await requireDevices(record)
      const dataset = await data(record)
      if (dataKey(dataset) !== record.dataKey)
        throw new TvnError('ERR_STUDY', `the data of ${resume} have changed: ${record.data} is not what the study began with`, { hint: 'begin a new study' })
      return run(storage, resume, dataset, openPool(record, dataset), gpus)
    })
  }

  const study = await studyOptions(settings)
  const gpus = await requireDevices(study)
  await checkRunFolder(await newFolder(study.space.name))
  const dataset = await data(study)
  const pool = openPool(study, dataset)
  try {
    report({ kind: 'preflight', ...(await preflight(study, dataset.labels.length, pool)) })
    throwIfAborted(signal)
    const name = `${dataset.name}-${study.space.name}`
    const folder = await newFolder(name)
    await makeRunFolder(folder)
    const storage = createStudy(folder)
    return await closing(storage, async () => {
      const record: StudyRecord = { ...study, study: name, version, machine: thisMachine(gpus[0]), dataKey: dataKey(dataset) }
      storage.append({ kind: 'created', record }, 0)
      return run(storage, folder, dataset, pool, gpus)
    })
  } finally {
    await pool.close()
  }

  async function newFolder(name: string): Promise<string> {
    return out ?? defaultRunFolder(name, new Date())
  }

  async function data({ data: source }: StudyOptions): Promise<PreparedDataset> {
    const dataOptions = {
      ...(signal && { signal }),
      ...(cacheDir !== undefined && { cacheDir }),
      onProgress: (progress: DataProgress) => report({ kind: 'data', progress }),
    }
    const prepared = await prepareDataset(await openDataset(source, dataOptions), dataOptions)
    report({ kind: 'dataset', dataset: prepared })
    return prepared
  }

  function openPool({ workers }: StudyOptions, dataset: PreparedDataset): Pool {
    return new Pool({ workers, setup: { dataset }, ...(signal && { signal }) })
  }

  async function run(storage: Storage, root: string, dataset: PreparedDataset, pool: Pool, gpus: readonly (Gpu | undefined)[]): Promise<SearchResult> {
    const folder = runFolder(root)
    await sweepRunFolder(folder)
    const study: Study = new Study(storage, seconds, (event) => report({ kind: 'event', event, state: study.state, elapsed: study.elapsed }))
    report({ kind: 'study', folder: root, state: study.state })
    const steps = {
      study,
      pool,
      folder,
      classes: dataset.labels.length,
      machines: new Set(gpus.map((gpu) => thisMachine(gpu).id)),
      onProgress: (trial: number, progress: StageProgress) => report({ kind: 'stage', trial, progress }),
    }
    try {
      await runTrials(steps)
      await deliver(steps)
    } catch (error) {
      // a study that was stopped has a report of what there is so far, unless the disk is what stopped it
      await writeReport(folder.report, makeReport(study.state, dataset.quarantined)).catch(() => {})
      throw error
    } finally {
      await pool.close()
    }
    const result = makeReport(study.state, dataset.quarantined)
    await writeReport(folder.report, result)
    if (result.best === null)
      throw new TvnError('ERR_NO_WINNER', `no network was found: ${reasons(study.state)}`, {
        hint: `${folder.report} has every trial; looser limits or more trials may help`,
      })
    return { folder: root, report: result }
  }
}

/** What the study runs on: where it measures, the device of the first limit in front, and where it trains. Throws ERR_DEVICE. */
async function requireDevices({ limits, device }: StudyOptions): Promise<(Gpu | undefined)[]> {
  const measured = limitsByDevice(limits, device)
  const gpus: (Gpu | undefined)[] = []
  for (const name of new Set([...measured.keys(), device])) {
    const gpu = await requireDevice(name)
    if ((measured.get(name) ?? []).length > 0) requireMeaningfulTimes(gpu)
    gpus.push(gpu)
  }
  return gpus
}

const seconds = (): number => performance.now() / 1000

async function closing<T>(storage: Storage, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } finally {
    storage.close()
  }
}

/** Why trials ended without a network, counted: `20 latency, 3 parameters`. */
function reasons({ trials, passedOver }: StudyState): string {
  const counts = new Map<string, number>()
  const all = [...trials.map(({ reason }) => reason), ...passedOver.values()]
  for (const reason of all) {
    if (reason === null) continue
    const category = reasonCategory(reason)
    counts.set(category, (counts.get(category) ?? 0) + 1)
  }
  return [...counts].map(([category, count]) => `${count} × ${category}`).join(', ') || 'no trial was made'
}

/** Identifies prepared data wherever its cache lies. */
function dataKey({ labels, task, splits }: PreparedDataset): string {
  const samples = Object.entries(splits).map(([split, list]) => [
    split,
    list.map(({ id, labels: of, video: { frames, fps, width, height }, start, end }) => [id, of, frames, fps, width, height, start, end]),
  ])
  return createHash('sha256')
    .update(JSON.stringify([labels, task, samples]))
    .digest('hex')
    .slice(0, 16)
}
