import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { type Split, splits } from './dataset.js'
import type { ListedSample, Listing } from './source.js'

/**
 * The format "a folder per class": `root/{train,val,test}/<class>/…`, or `root/<class>/…` to be split. Where val or test is
 * missing, it is taken out of train. Every file at any depth below a class is a sample, whatever its name ends with; names that
 * begin with a dot are passed over.
 */
export async function listFolder(root: string): Promise<Listing> {
  const folders = await subfolders(root)
  const named = splits.filter((split) => folders.includes(split))
  if (!named.includes('train')) return { samples: await listClasses(root, root, folders), open: splits }
  const open = splits.filter((split) => split === 'train' || !named.includes(split))
  const samples: ListedSample[] = []
  for (const split of named) {
    const folder = path.join(root, split)
    const isOpen = split === 'train' && open.length > 1
    samples.push(...(await listClasses(root, folder, await subfolders(folder), isOpen ? undefined : split)))
  }
  return { samples, open }
}

async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries.filter((entry) => !entry.name.startsWith('.') && !entry.isFile()).map(({ name }) => name)
}

async function listClasses(root: string, folder: string, classes: readonly string[], split?: Split): Promise<ListedSample[]> {
  const samples: ListedSample[] = []
  for (const label of classes) {
    for (const file of await filesBelow(path.join(folder, label))) {
      samples.push({ id: path.relative(root, file).split(path.sep).join('/'), path: file, labels: [label], ...(split && { split }) })
    }
  }
  return samples
}

/** Sorted by code unit, so that a listing is the same everywhere. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .filter(
      (file) =>
        !path
          .relative(folder, file)
          .split(path.sep)
          .some((part) => part.startsWith('.')),
    )
    .sort()
}
