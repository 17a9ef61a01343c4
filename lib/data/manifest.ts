import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describeFileError } from '../atomic.js'
import { TvnError } from '../errors.js'
import { fail, label, list, object, oneOf, parseJson, parseWith, real } from '../validate.js'
import { splits } from './dataset.js'
import type { ListedSample, Listing } from './source.js'
import { z } from 'zod'

const longestSeconds = 1e6

const line = object({
  path: z.string('a path').min(1, 'a path'),
  labels: list(label(), 0, 1000, 'labels'),
  split: oneOf(splits).optional(),
  start: real(0, longestSeconds).optional(),
  end: real(0, longestSeconds).optional(),
}).check(({ value: { start, end }, issues }) => {
  if (end !== undefined && end <= (start ?? 0)) issues.push(fail(['end'], `must be after start (${start ?? 0}), got ${end}`, end))
})

/**
 * The format "manifest": one JSON object a line, `{"path": "a/b.mp4", "labels": ["x"], "split": "train", "start": 1.5, "end": 4}`,
 * where all but path and labels may be left out. Paths are relative to the manifest's folder. Lines without a split are shared
 * out to train and the splits that no line names.
 */
export async function listManifest(file: string): Promise<Listing> {
  const root = path.dirname(file)
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new TvnError('ERR_DATASET', `${file}: ${describeFileError(cause)}`, { cause })
  })
  const samples = text.split('\n').flatMap((json, i): ListedSample[] => {
    if (json.trim() === '') return []
    const where = `${file}:${i + 1}`
    const { path: name, labels, split, start, end } = readLine(json, where)
    const part = start === undefined && end === undefined ? '' : `#${start ?? 0}-${end ?? ''}`
    return [
      {
        id: name + part,
        path: path.resolve(root, name),
        labels: [...new Set(labels)].sort(),
        ...(split !== undefined && { split }),
        ...(start !== undefined && { start }),
        ...(end !== undefined && { end }),
      },
    ]
  })
  const named = new Set(samples.map(({ split }) => split))
  return { samples, open: splits.filter((split) => split === 'train' || !named.has(split)) }
}

function readLine(json: string, where: string): z.output<typeof line> {
  const value = parseJson(json, 'ERR_DATASET', where)
  try {
    return parseWith(line, value, 'ERR_DATASET', 'the line')
  } catch (error) {
    throw error instanceof TvnError ? new TvnError('ERR_DATASET', `${where}: ${error.message}`, { cause: error }) : error
  }
}
