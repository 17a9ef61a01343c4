import { type FileHandle, open } from 'node:fs/promises'
import { describeFileError, writeFileAtomic } from '../atomic.js'
import { TvnError } from '../errors.js'
import { requireMemory } from '../memory.js'
import { duplicateKey } from './json-keys.js'

/**
 * The safetensors format: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without gaps.
 * https://github.com/huggingface/safetensors. Nothing is allocated before the header's numbers are checked against the file's size, and its tensors against the memory that is left.
 */

const dtypes = { F32: Float32Array, F64: Float64Array, U8: Uint8Array, I32: Int32Array } as const
export type Dtype = keyof typeof dtypes
export type TensorData = Float32Array | Float64Array | Uint8Array | Int32Array

export interface Tensor {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** As many values as the shape says. */
  readonly data: TensorData
}

export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>
  readonly tensors: ReadonlyMap<string, Tensor>
}

const maxHeaderBytes = 16 * 2 ** 20
const maxRank = 8

/** Reads a whole file. Throws ERR_MODEL_FILE with the file's name. */
export async function readSafetensors(file: string): Promise<Safetensors> {
  let handle: FileHandle
  try {
    handle = await open(file, 'r')
  } catch (cause) {
    throw new TvnError('ERR_MODEL_FILE', `${file}: cannot be read, ${describeFileError(cause)}`, { cause })
  }
  try {
    const info = await handle.stat()
    if (!info.isFile()) throw broken(file, info.isDirectory() ? 'it is a folder, expected a safetensors file' : 'not a regular file')
    return await parse(file, info.size, async (length, position) => {
      const bytes = new Uint8Array(length)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await handle.read(bytes, filled, Math.min(length - filled, 2 ** 30), position + filled)
        if (bytesRead === 0) throw broken(file, 'it became shorter while it was read')
        filled += bytesRead
      }
      return bytes
    })
  } catch (cause) {
    if (cause instanceof TvnError) throw cause
    if (cause instanceof RangeError) throw new TvnError('ERR_MEMORY', `${file}: too large for the memory of this machine`, { cause })
    throw broken(file, `cannot be read, ${describeFileError(cause)}`, cause)
  } finally {
    await handle.close()
  }
}

/** Reads a file's bytes that are in memory; `name` stands in the messages. */
export function parseSafetensors(bytes: Uint8Array, name: string): Promise<Safetensors> {
  return parse(name, bytes.length, async (length, position) => new Uint8Array(bytes.subarray(position, position + length)))
}

/** Writes a file whole or not at all. Tensors are laid out in order of falling element size, so that every one is aligned. */
export async function writeSafetensors(file: string, { metadata, tensors }: Safetensors): Promise<{ bytes: number }> {
  const ordered = [...tensors].sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  const entries: Record<string, unknown> = { __metadata__: metadata }
  let offset = 0
  for (const [name, { dtype, shape, data }] of ordered) {
    entries[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  const json = Buffer.from(JSON.stringify(entries))
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ')
  header.writeBigUInt64LE(BigInt(header.length - 8))
  json.copy(header, 8)
  await writeFileAtomic(file, [header, ...ordered.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))])
  return { bytes: header.length + offset }
}

type Read = (length: number, position: number) => Promise<Uint8Array<ArrayBuffer>>

async function parse(name: string, size: number, read: Read): Promise<Safetensors> {
  if (size < 10) throw broken(name, `too short for a safetensors file: ${size} bytes`)
  const first = await read(8, 0)
  const headerBytes = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true)
  if (headerBytes > BigInt(maxHeaderBytes) || headerBytes < 2n) {
    throw broken(name, `not a safetensors file: its header would be ${headerBytes} bytes large, expected 2 to ${maxHeaderBytes}`)
  }
  if (Number(headerBytes) > size - 8) throw broken(name, `cut short: its header is ${headerBytes} bytes large, but only ${size - 8} bytes follow`)
  const { metadata, entries, dataBytes } = parseHeader(name, await read(Number(headerBytes), 8))
  const start = 8 + Number(headerBytes)
  if (dataBytes > size - start) throw broken(name, `cut short: its header promises ${dataBytes} bytes of tensors, but only ${size - start} follow`)
  if (dataBytes < size - start) throw broken(name, `${size - start - dataBytes} bytes at its end belong to no tensor`)
  requireMemory(name, dataBytes)
  const data = await read(dataBytes, start)
  const tensors = new Map<string, Tensor>()
  for (const { tensor, dtype, shape, from, to } of entries) {
    const Values = dtypes[dtype]
    const aligned = (data.byteOffset + from) % Values.BYTES_PER_ELEMENT === 0
    const bytes = aligned ? data.subarray(from, to) : data.slice(from, to)
    tensors.set(tensor, { dtype, shape, data: new Values(bytes.buffer, bytes.byteOffset, bytes.byteLength / Values.BYTES_PER_ELEMENT) })
  }
  return { metadata, tensors }
}

interface Entry {
  readonly tensor: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly from: number
  readonly to: number
}

function parseHeader(name: string, bytes: Uint8Array): { metadata: Record<string, string>; entries: Entry[]; dataBytes: number } {
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    header = JSON.parse(text)
  } catch (cause) {
    throw broken(name, 'not a safetensors file: its header is not JSON', cause)
  }
  if (!isObject(header)) throw broken(name, 'not a safetensors file: its header is not a JSON object')
  const twice = duplicateKey(text)
  if (twice !== undefined) throw broken(name, `its header names ${JSON.stringify(twice)} twice`)

  const metadata: Record<string, string> = {}
  const entries: Entry[] = []
  for (const [key, value] of Object.entries(header)) {
    if (key !== '__metadata__') entries.push(parseEntry(name, key, value))
    else if (isObject(value) && Object.values(value).every((item) => typeof item === 'string')) Object.assign(metadata, value)
    else throw broken(name, 'its __metadata__ is not an object of texts')
  }
  return { metadata, entries, dataBytes: checkLayout(name, entries) }
}

function parseEntry(name: string, tensor: string, value: unknown): Entry {
  const wrong = (what: string) => broken(name, `tensor ${tensor}: ${what}`)
  if (!isObject(value)) throw wrong('expected an object with dtype, shape and data_offsets')
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypes, dtype)) {
    throw wrong(`dtype ${JSON.stringify(dtype)} is not supported, expected ${Object.keys(dtypes).join(', ')}`)
  }
  if (!Array.isArray(shape) || shape.length > maxRank || !shape.every(isCount)) throw wrong('its shape is not a list of whole numbers')
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) throw wrong('its data_offsets are not two whole numbers')
  const [from, to] = offsets as [number, number]
  const expected = (shape as number[]).reduce((product, extent) => product * extent, dtypes[dtype as Dtype].BYTES_PER_ELEMENT)
  if (to < from || to - from !== expected) {
    throw wrong(`its shape [${shape.join(', ')}] of ${dtype} takes ${expected} bytes, its data_offsets [${from}, ${to}] span ${to - from}`)
  }
  return { tensor, dtype: dtype as Dtype, shape: shape as number[], from, to }
}

/** The tensors must lie one behind the other, without gap or overlap. Returns where the last one ends. */
function checkLayout(name: string, entries: readonly Entry[]): number {
  let end = 0
  for (const { tensor, from, to } of [...entries].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (from !== end)
      throw broken(name, `tensor ${tensor}: begins at byte ${from}, ${from < end ? 'inside another tensor that ends' : 'behind a gap that begins'} at ${end}`)
    end = to
  }
  return end
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function broken(name: string, what: string, cause?: unknown): TvnError {
  return new TvnError('ERR_MODEL_FILE', `${name}: ${what}`, { cause })
}
