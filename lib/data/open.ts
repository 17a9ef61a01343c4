import { stat } from 'node:fs/promises'
import path from 'node:path'
import { throwIfAborted } from '../abort.js'
import { describeFileError } from '../atomic.js'
import { TvnError } from '../errors.js'
import { exists } from '../folder.js'
import type { Task } from '../task.js'
import { label } from '../validate.js'
import { hashFiles } from './content-hash.js'
import { type DataOptions, type Dataset, type Quarantined, type Sample, type Split, splits } from './dataset.js'
import { makeDemo } from './demo/make.js'
import { listFolder } from './folder.js'
import { listManifest } from './manifest.js'
import { expectedLayout, type Listing } from './source.js'
import { assignSplits, keepTrainable } from './split.js'

export interface OpenOptions extends DataOptions {
  /**
   * Whether training may mirror videos. Default false: where left and right mean something (a turn, a sign, text) mirroring would
   * teach the wrong label, and nobody would notice. Set it for datasets where it is harmless.
   */
  readonly flip?: boolean
  /** The one split that is used, as in an evaluation. Default: all are, and none may be without videos. */
  readonly only?: Split
}

/**
 * Opens a dataset: `demo` (made at the first call), a folder of classes, or a folder with a `manifest.jsonl`. Reads every file
 * once, to see that no content is in two splits. Files that are empty, unreadable or copies are in `quarantined`.
 * Throws ERR_DATASET when nothing usable is there, and what `makeDemo` throws.
 */
export async function openDataset(source: string, options: OpenOptions = {}): Promise<Dataset> {
  throwIfAborted(options.signal)
  if (source === 'demo') return { ...(await openFolder(await makeDemo({}, options), options)), name: 'demo', flip: false }
  return openFolder(path.resolve(source), options)
}

async function openFolder(root: string, options: OpenOptions): Promise<Dataset> {
  const listing = await list(root)
  const contents = await hashFiles(
    root,
    listing.samples.map((sample) => sample.path),
    options,
  )
  const hashes = new Map<string, string>()
  const quarantined: Quarantined[] = [...(listing.quarantined ?? [])]
  for (const [file, content] of contents) {
    if ('hash' in content) hashes.set(file, content.hash)
    else quarantined.push({ path: file, reason: content.reason })
  }
  const readable = listing.samples.filter((sample) => hashes.has(sample.path))
  const assigned = assignSplits({ ...listing, samples: readable }, (file) => hashes.get(file) as string)
  const task: Task = assigned.samples.every((sample) => sample.labels.length === 1) ? 'single-label' : 'multi-label'
  const { labels, samples: trainable, quarantined: untrainable } = keepTrainable(assigned.samples, task)
  quarantined.push(...assigned.quarantined, ...untrainable)
  const needed = options.only === undefined ? splits : [options.only]
  const samples = trainable.filter(({ split }) => needed.includes(split))
  requireUsable(root, labels, task, samples, quarantined, needed)
  for (const name of labels) {
    if (!label().safeParse(name).success)
      throw new TvnError('ERR_DATASET', `${root}: the class name ${JSON.stringify(name)} must be a text of 1 to 100 characters on one line`)
  }
  return { name: path.basename(root), root, labels, task, flip: options.flip ?? false, samples, quarantined }
}

async function list(root: string): Promise<Listing> {
  try {
    const status = await stat(root)
    if (!status.isDirectory()) throw new TvnError('ERR_DATASET', `${root}: is a file; ${expectedLayout}`)
    const manifest = path.join(root, 'manifest.jsonl')
    return (await exists(manifest)) ? await listManifest(manifest) : await listFolder(root)
  } catch (cause) {
    if (cause instanceof TvnError) throw cause
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new TvnError('ERR_DATASET', `${root}: ${missing ? 'does not exist' : describeFileError(cause)}; ${expectedLayout}, or demo`, { cause })
  }
}

/** Throws ERR_DATASET when there are too few classes to train, or no video in a split that is needed. */
export function requireUsable(
  root: string,
  labels: readonly string[],
  task: Task,
  samples: readonly Sample[],
  quarantined: readonly Quarantined[],
  needed: readonly Split[],
): void {
  const [first] = quarantined
  const left = first ? ` (${quarantined.length} left out; ${path.relative(root, first.path) || first.path}: ${first.reason})` : ''
  const lacking = needed.filter((split) => !samples.some((sample) => sample.split === split))
  if (lacking.length > 0)
    throw new TvnError('ERR_DATASET', `${root}: no usable videos${samples.length > 0 || needed.length === 1 ? ` in the ${lacking[0]} split` : ''}${left}`, {
      hint: needed.length === 1 || lacking[0] === 'train' ? expectedLayout : 'a class needs three videos or more to have one in each split',
    })
  const fewest = task === 'single-label' && needed.includes('train') ? 2 : 1
  if (labels.length < fewest)
    throw new TvnError(
      'ERR_DATASET',
      `${root}: no usable classes to tell apart: at least ${fewest} with training videos are needed, found ${labels.join(', ') || 'none'}${left}`,
      { hint: expectedLayout },
    )
}
