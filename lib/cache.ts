import os from 'node:os'
import path from 'node:path'
import { describeFileError } from './atomic.js'
import { TvnError } from './errors.js'
import { makeFolder } from './folder.js'
import { removeStaleFiles } from './temporary.js'

/**
 * The folder for what can be made again: demo clips, decoded frames, how networks are best cut on this machine. `explicit` if given, else `TVN_CACHE_DIR`, else
 * `tiny-video-nets` in the platform's cache folder (`$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches`; `%LOCALAPPDATA%`).
 */
export function cacheDirectory(explicit?: string): string {
  const chosen = explicit ?? process.env.TVN_CACHE_DIR
  if (chosen) return path.resolve(chosen)
  return path.join(platformCache(), 'tiny-video-nets')
}

function platformCache(): string {
  if (process.platform === 'darwin') return path.join(os.homedir(), 'Library', 'Caches')
  if (process.platform === 'win32') return process.env.LOCALAPPDATA || path.join(os.homedir(), 'AppData', 'Local')
  const xdg = process.env.XDG_CACHE_HOME
  return xdg && path.isAbsolute(xdg) ? xdg : path.join(os.homedir(), '.cache')
}

/** Makes a folder of the cache, or clears it of what killed processes left, and returns it. Throws ERR_FILE. */
export async function cacheFolder(cacheDir: string | undefined, ...names: readonly string[]): Promise<string> {
  const folder = path.join(cacheDirectory(cacheDir), ...names)
  try {
    await makeFolder(folder)
  } catch (cause) {
    throw new TvnError('ERR_FILE', `${folder}: the cache folder cannot be made, ${describeFileError(cause)}`, {
      hint: 'set TVN_CACHE_DIR to a folder that can be written',
      cause,
    })
  }
  await removeStaleFiles(folder)
  return folder
}

/** The error for a disk that is full: what is whole stays, so the next run goes on from there. */
export function diskFull(folder: string): TvnError {
  return new TvnError('ERR_FILE', `${folder}: no space left on the disk`, {
    hint: 'free some space or set TVN_CACHE_DIR to a larger disk, then run the same command again: what is done is kept',
  })
}
