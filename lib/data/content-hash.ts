import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { throwIfAborted } from '../abort.js'
import { describeFileError, writeFileAtomic } from '../atomic.js'
import { cacheFolder } from '../cache.js'
import { type DataOptions, progressOf } from './dataset.js'

/** SHA-256 of a file's bytes, or why it cannot be read or used. */
export type Content = { readonly hash: string } | { readonly reason: string }

const readersAtOnce = 4

/**
 * The content of files. Hashes are remembered in the cache, by size, times and inode, so that a dataset is read once.
 *
 * @param root whose files they are; names the memory
 */
export async function hashFiles(root: string, files: Iterable<string>, options: DataOptions = {}): Promise<Map<string, Content>> {
  const { cacheDir, signal, onProgress } = options
  const unique = [...new Set(files)]
  const memoryFile = path.join(await cacheFolder(cacheDir, 'hashes'), `${sha256(root).slice(0, 32)}.json`)
  const memory = await readMemory(memoryFile)
  const contents = new Map<string, Content>()
  const report = progressOf('hash', unique.length, onProgress)
  let fresh = 0
  const read = async (file: string): Promise<Content> => {
    try {
      const { size, mtimeMs, ctimeMs, ino } = await stat(file)
      if (size === 0) return { reason: 'empty file' }
      const identity = `${size} ${mtimeMs} ${ctimeMs} ${ino}`
      const known = memory.get(file)
      if (known?.[0] === identity) return { hash: known[1] }
      const hash = await hashFile(file, size, signal)
      memory.set(file, [identity, hash])
      fresh++
      return { hash }
    } catch (error) {
      throwIfAborted(signal)
      return { reason: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : describeFileError(error) }
    }
  }
  const pending = unique.values()
  const work = async (): Promise<void> => {
    for (const file of pending) {
      throwIfAborted(signal)
      contents.set(file, await read(file))
      report(contents.size)
    }
  }
  await Promise.all(Array.from({ length: readersAtOnce }, work))
  if (fresh > 0) await writeFileAtomic(memoryFile, [JSON.stringify([...memory])])
  return contents
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function hashFile(file: string, size: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  if (size <= 2 ** 20) return hash.update(await readFile(file)).digest('hex')
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20, ...(signal && { signal }) })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** File, and what it looked like with its hash then. */
type Memory = Map<string, readonly [identity: string, hash: string]>

async function readMemory(file: string): Promise<Memory> {
  try {
    return new Map(JSON.parse(await readFile(file, 'utf8')) as [string, [string, string]][])
  } catch {
    return new Map()
  }
}
