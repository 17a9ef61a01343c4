import { rm } from 'node:fs/promises'
import path from 'node:path'
import { abortError, throwIfAborted } from '../abort.js'
import { cacheFolder, diskFull } from '../cache.js'
import { TvnError } from '../errors.js'
import { temporaryFile } from '../temporary.js'
import type { StoredVideo } from './dataset.js'
import { DecoderPool } from './decoder/pool.js'
import { readFrameFile } from './frame-store.js'

/** A decoded video in a file of its own, which `remove` (or `await using`) deletes. */
export interface DecodedVideo extends StoredVideo {
  remove(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Idle decoding processes are ended after this, so that a program that decodes one file after the other starts them once. */
const idleMs = 5000
let shared: { readonly pool: DecoderPool; users: number; timer?: NodeJS.Timeout } | undefined

/**
 * Decodes one video as `prepareDataset` does: the same frames, bytes and rate, in a temporary file of the cache folder.
 * Throws ERR_DECODE with the file's name and the reason, ERR_NO_DECODER, ERR_FILE when the cache cannot be written, ERR_ABORTED.
 */
export async function decodeVideo(file: string, options: { cacheDir?: string | undefined; signal?: AbortSignal | undefined } = {}): Promise<DecodedVideo> {
  const { cacheDir, signal } = options
  throwIfAborted(signal)
  const folder = await cacheFolder(cacheDir, 'decoded')
  const target = temporaryFile(path.join(folder, 'video'))
  const remove = (): Promise<void> => rm(target, { force: true })
  const source = path.resolve(file)
  try {
    const outcome = await withPool((pool) => pool.decode(source, target, signal))
    if (signal?.aborted) throw abortError(signal)
    if (outcome.kind === 'failed') throw new TvnError('ERR_DECODE', `${file}: ${outcome.reason}`)
    if (outcome.kind === 'unwritable') throw outcome.code === 'ENOSPC' ? diskFull(folder) : new TvnError('ERR_FILE', `${folder}: ${outcome.message}`)
    const video = readFrameFile(target)
    if (video === undefined) throw new TvnError('ERR_FILE', `${target}: the decoded frames cannot be read back`)
    return { ...video, remove, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}

async function withPool<T>(use: (pool: DecoderPool) => Promise<T>): Promise<T> {
  shared ??= { pool: new DecoderPool(), users: 0 }
  const mine = shared
  clearTimeout(mine.timer)
  mine.users++
  try {
    return await use(mine.pool)
  } finally {
    mine.users--
    if (mine.users === 0) {
      mine.timer = setTimeout(() => {
        mine.pool.close()
        if (shared === mine) shared = undefined
      }, idleMs).unref()
    }
  }
}
