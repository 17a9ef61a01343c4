import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import type { StoredVideo } from './dataset.js'
import type { Rational } from './decoder/frame-grid.js'

/**
 * A file of the frame store: `headerBytes` bytes of header, then the frames, raw RGB24, one after the other. The header is the
 * magic word, then JSON `{ frames, rate: [num, den], width, height }`, padded with blanks. It is written last.
 */
const magic = 'TVNFRAME'
/** Raised when the same video would be stored otherwise. */
export const storeVersion = 1
const headerBytes = 4096

export interface FrameFile {
  readonly frames: number
  readonly rate: Rational
  readonly width: number
  readonly height: number
}

/** Writes a file of the frame store, frame by frame. Errors are those of the file system (ENOSPC, EACCES, …). */
export class FrameFileWriter {
  #descriptor: number

  /** The file must not exist yet. */
  constructor(file: string) {
    this.#descriptor = openSync(file, 'wx')
    this.#write(Buffer.alloc(headerBytes, ' '))
  }

  frame(rgb: Uint8Array): void {
    this.#write(rgb)
  }

  /** Completes the file and flushes it to the disk. */
  finish(file: FrameFile): void {
    const header = Buffer.from(magic + JSON.stringify(file))
    writeSync(this.#descriptor, header, 0, header.length, 0)
    fsyncSync(this.#descriptor)
    this.close()
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor)
    this.#descriptor = -1
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at, bytes.length - at)
  }
}

/** Describes a file of the frame store; undefined when there is none or it is not whole. */
export function readFrameFile(file: string): StoredVideo | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const header = Buffer.alloc(headerBytes)
    readSync(descriptor, header, 0, headerBytes, 0)
    if (header.toString('latin1', 0, magic.length) !== magic) return undefined
    const { frames, rate, width, height } = JSON.parse(header.toString('utf8', magic.length)) as FrameFile
    if (frames < 1 || fstatSync(descriptor).size !== headerBytes + frames * width * height * 3) return undefined
    return { path: file, offset: headerBytes, frames, fps: rate[0] / rate[1], width, height }
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
