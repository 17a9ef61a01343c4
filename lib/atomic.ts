import { access, constants, type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { TvnError } from './errors.js'
import { temporaryFile } from './temporary.js'

/**
 * Writes a file so that a reader, or a machine that stops half-way, sees the old content or the whole new one: a temporary file
 * beside it, flushed to the disk, then renamed. Throws ERR_FILE; nothing is left behind then.
 */
export async function writeFileAtomic(file: string, parts: readonly (Uint8Array | string)[]): Promise<void> {
  const folder = path.dirname(file)
  const temporary = temporaryFile(file)
  try {
    const handle = await open(temporary, 'wx')
    try {
      for (const part of parts) await handle.writeFile(part)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw new TvnError('ERR_FILE', `${file}: cannot be written, ${describeFileError(cause)}`, { cause })
  }
  await flushFolder(folder)
}

/** Makes the rename itself durable; some file systems cannot open a folder, and then it is as durable as they make it. */
async function flushFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(folder, 'r')
    await handle.sync()
  } catch {
    // nothing to do where folders cannot be flushed
  } finally {
    await handle?.close()
  }
}

/** Finds out before the work whether its result can be written. Throws ERR_ARGUMENT. */
export async function checkWritable(out: string): Promise<void> {
  const folder = path.dirname(path.resolve(out))
  try {
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new TvnError('ERR_ARGUMENT', `${out}: cannot be written, ${describeFileError(cause)}`, { cause })
  }
  const existing = await stat(out).catch(() => undefined)
  if (existing && !existing.isFile())
    throw new TvnError('ERR_ARGUMENT', `${out}: cannot be written, it is ${existing.isDirectory() ? 'a folder' : 'not a regular file'}`)
}

/** The system's error in words, without its path: `ENOENT: no such file or directory`. */
export function describeFileError(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  const words: Record<string, string> = {
    ENOENT: 'no such file or folder',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the file system is read-only',
    ENOSPC: 'no space left on the disk',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of its path is not a folder',
    EMFILE: 'too many open files',
  }
  return (code && words[code]) ?? (error instanceof Error ? error.message : String(error))
}
