import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import path from 'node:path'
import { describeFileError } from '../atomic.js'
import { TvnError } from '../errors.js'
import { program } from '../program.js'
import { exists, makeFolder } from '../folder.js'
import { removeStaleFiles } from '../temporary.js'
import { holdsStudy } from './storage/sqlite.js'

/** Where a study keeps what. */
export interface RunFolder {
  readonly root: string
  readonly report: string
  readonly best: string
  /** Weights of a complete trial. */
  trial(id: number): string
  /** Weights of a trial that was trained on. */
  finished(id: number): string
}

export function runFolder(root: string): RunFolder {
  return {
    root,
    report: path.join(root, 'report.json'),
    best: path.join(root, 'best.safetensors'),
    trial: (id) => path.join(root, 'trials', `${id}.safetensors`),
    finished: (id) => path.join(root, 'trials', `${id}-finished.safetensors`),
  }
}

/** `runs/<date>-<study>`, with a number behind it where that is taken. */
export async function defaultRunFolder(study: string, now: Date): Promise<string> {
  const day = now.toISOString().slice(0, 10)
  for (let n = 1; ; n++) {
    const folder = path.join('runs', `${day}-${study}${n === 1 ? '' : `-${n}`}`)
    if (!(await exists(folder))) return folder
  }
}

/** Throws ERR_STUDY when a study cannot begin in this folder; makes nothing. */
export async function checkRunFolder(folder: string): Promise<void> {
  for (let ancestor = path.resolve(folder); ; ancestor = path.dirname(ancestor)) {
    try {
      const status = await stat(ancestor)
      if (!status.isDirectory()) throw new TvnError('ERR_STUDY', `${folder}: ${ancestor} is a file, expected a folder`)
      await access(ancestor, constants.W_OK)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw studyError(folder, error)
    }
  }
  if (holdsStudy(folder))
    throw new TvnError('ERR_STUDY', `${folder} already holds a study`, {
      hint: `go on with it: ${program} search --resume ${folder}; or choose another folder`,
    })
}

/** Makes the folder, what is above it and what is in it. Throws ERR_STUDY. */
export async function makeRunFolder(folder: string): Promise<void> {
  try {
    await makeFolder(path.join(path.resolve(folder), 'trials'))
  } catch (error) {
    throw studyError(folder, error)
  }
}

/** Removes what a search that was killed left half-written. */
export async function sweepRunFolder(folder: RunFolder): Promise<void> {
  await removeStaleFiles(folder.root)
  await removeStaleFiles(path.dirname(folder.trial(0)))
}

function studyError(folder: string, error: unknown): TvnError {
  return error instanceof TvnError
    ? error
    : new TvnError('ERR_STUDY', `the run directory ${folder} cannot be written: ${describeFileError(error)}`, { cause: error })
}
