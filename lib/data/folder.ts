import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { describeFileError } from '../atomic.js'
import { type Quarantined, type Split, splits } from './dataset.js'
import type { ListedSample, Listing } from './source.js'

/**
 * The format "a folder per class": `root/{train,val,test}/<class>/…`, or `root/<class>/…` to be split. Where val or test is
 * missing, it is taken out of train. Every file at any depth below a class is a sample, whatever its name ends with; names that
 * begin with a dot are passed over, and folders that cannot be read are quarantined.
 */
export async function listFolder(root: string): Promise<Listing> {
  const folders = subfolders(await readdir(root, { withFileTypes: true }))
  const named = splits.filter((split) => folders.includes(split))
  const open = splits.filter((split) => split === 'train' || !named.includes(split))
  const samples: ListedSample[] = []
  const quarantined: Quarantined[] = []
  for (const split of named) {
    const folder = path.join(root, split)
    const isOpen = split === 'train' && open.length > 1
    samples.push(...(await listClasses(root, folder, subfolders(await entriesOf(folder, quarantined)), quarantined, isOpen ? undefined : split)))
  }
  if (named.length === 0) samples.push(...(await listClasses(root, root, folders, quarantined)))
  return { samples, open, quarantined }
}

function subfolders(entries: readonly Dirent[]): string[] {
  return entries.filter((entry) => !entry.name.startsWith('.') && !entry.isFile()).map(({ name }) => name)
}

async function listClasses(root: string, folder: string, classes: readonly string[], quarantined: Quarantined[], split?: Split): Promise<ListedSample[]> {
  const samples: ListedSample[] = []
  for (const label of classes) {
    for (const file of await filesBelow(path.join(folder, label), quarantined)) {
      samples.push({ id: path.relative(root, file).split(path.sep).join('/'), path: file, labels: [label], ...(split && { split }) })
    }
  }
  return samples
}

/** Sorted by code unit, so that a listing is the same everywhere. */
async function filesBelow(top: string, quarantined: Quarantined[]): Promise<string[]> {
  const files: string[] = []
  const folders = [top]
  for (const folder of folders) {
    for (const entry of await entriesOf(folder, quarantined)) {
      if (!entry.name.startsWith('.')) (entry.isDirectory() ? folders : files).push(path.join(folder, entry.name))
    }
  }
  return files.sort()
}

async function entriesOf(folder: string, quarantined: Quarantined[]): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error) => {
    // a link to a file beside the classes is no class
    if (error.code !== 'ENOTDIR') quarantined.push({ path: folder, reason: describeFileError(error) })
    return []
  })
}
