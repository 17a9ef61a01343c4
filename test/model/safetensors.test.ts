import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { TvnError } from '../../lib/errors.js'
import { parseSafetensors, readSafetensors, type Tensor, writeSafetensors } from '../../lib/model/safetensors.js'

const golden = new URL('../fixtures/golden/maxpool-temporal-conv-squeeze.safetensors', import.meta.url).pathname

/** A file with this header, `bytes` of data behind it. */
function file(header: unknown, bytes: number, headerBytes?: bigint): Uint8Array {
  const json = header instanceof Uint8Array ? header : Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(headerBytes ?? BigInt(json.length))
  return Buffer.concat([length, json, Buffer.alloc(bytes)])
}

async function refusal(promise: Promise<unknown>): Promise<TvnError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

describe('safetensors', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tvn-safetensors-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('gives back what was written, whatever the types and their order', async () => {
    const tensors = new Map<string, Tensor>([
      ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) }],
      ['double', { dtype: 'F64', shape: [1, 2], data: Float64Array.of(Math.PI, -0) }],
      ['none', { dtype: 'F32', shape: [0, 7], data: new Float32Array(0) }],
      ['scalar', { dtype: 'F32', shape: [], data: Float32Array.of(Number.NaN) }],
      ['whole', { dtype: 'I32', shape: [2], data: Int32Array.of(-1, 2 ** 31 - 1) }],
    ])
    const metadata = { 'ключ "x"': 'line\nline', __proto__x: '' }
    const target = path.join(folder, 'mixed.safetensors')
    const { bytes } = await writeSafetensors(target, { metadata, tensors })
    const read = await readSafetensors(target)
    expect((await readFile(target)).length).to.equal(bytes)
    expect(read.metadata).to.deep.equal(metadata)
    expect([...read.tensors.keys()]).to.have.members([...tensors.keys()])
    for (const [name, tensor] of tensors) expect(read.tensors.get(name), name).to.deep.equal(tensor)
    expect(await readdir(folder)).to.deep.equal(['mixed.safetensors'])
  })

  it('reads tensors that are not aligned to their type', async () => {
    const bytes = file({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, b: { dtype: 'F64', shape: [1], data_offsets: [1, 9] } }, 9)
    Buffer.from(bytes.buffer, bytes.byteOffset).writeDoubleLE(1.5, bytes.length - 8)
    expect((await parseSafetensors(bytes, 'x')).tensors.get('b')?.data).to.deep.equal(Float64Array.of(1.5))
  })

  const tensor = (from: number, to: number, shape = [(to - from) / 4]) => ({ dtype: 'F32', shape, data_offsets: [from, to] })
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ['an empty file', new Uint8Array(0), /too short/],
    ['a header that would fill the memory', file('{}', 0, 2n ** 63n - 1n), /header would be 9223372036854775807 bytes/],
    ['a header longer than the file', file('{}', 0, 3n), /cut short: its header is 3 bytes/],
    ['a header that is not JSON', file('{"a":', 0), /not JSON/],
    ['a header that is not UTF-8', file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x30, 0x7d), 0), /not JSON/],
    ['a header that is an array', file([], 0), /not a JSON object/],
    ['metadata with a number', file({ __metadata__: { a: 1 } }, 0), /__metadata__/],
    ['data that is missing', file({ a: tensor(0, 8) }, 7), /promises 8 bytes.*only 7/],
    ['data that no tensor owns', file({ a: tensor(0, 8) }, 9), /1 bytes at its end/],
    ['tensors that overlap', file({ a: tensor(0, 8), b: tensor(4, 12) }, 12), /tensor b: begins at byte 4, inside/],
    ['a gap between tensors', file({ a: tensor(0, 4), b: tensor(8, 12) }, 12), /tensor b: begins at byte 8, behind a gap/],
    ['a name that comes twice', file(`{"a":${JSON.stringify(tensor(0, 4))},"\\u0061" : ${JSON.stringify(tensor(0, 4))}}`, 4), /"a" twice/],
    ['a field that comes twice', file('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1), /"dtype" twice/],
    ['a shape that its bytes do not fit', file({ a: tensor(0, 8, [3]) }, 8), /takes 12 bytes.*span 8/],
    ['a product beyond all numbers', file({ a: tensor(0, 8, [2 ** 52, 2 ** 52, 2 ** 52]) }, 8), /span 8/],
    ['a negative extent', file({ a: tensor(0, 8, [-1, -2]) }, 8), /shape/],
    ['a fractional offset', file({ a: { dtype: 'U8', shape: [1], data_offsets: [0.5, 1.5] } }, 2), /data_offsets/],
    ['an unknown type', file({ a: { dtype: 'toString', shape: [1], data_offsets: [0, 1] } }, 1), /dtype "toString"/],
    ['more axes than anything has', file({ a: { dtype: 'U8', shape: Array.from({ length: 1000 }, () => 1), data_offsets: [0, 1] } }, 1), /shape/],
  ]
  for (const [what, bytes, message] of cases) {
    it(`refuses ${what}`, async () => {
      const error = await refusal(parseSafetensors(bytes, 'broken.safetensors'))
      expect(error.code).to.equal('ERR_MODEL_FILE')
      expect(error.message)
        .to.match(message)
        .and.match(/^broken\.safetensors: /)
    })
  }

  it('names a file that is missing, and a folder', async () => {
    expect((await refusal(readSafetensors(path.join(folder, 'none')))).message).to.match(/none: cannot be read, no such file/)
    expect((await refusal(readSafetensors(folder))).message).to.match(/folder/)
  })

  it('leaves nothing behind when it cannot write', async () => {
    await writeFile(path.join(folder, 'occupied'), '')
    const error = await refusal(writeSafetensors(path.join(folder, 'occupied', 'x'), { metadata: {}, tensors: new Map() }))
    expect(error.code).to.equal('ERR_FILE')
  })

  it('either reads or refuses a file with changed bytes, with a TvnError and quickly', async () => {
    const original = await readFile(golden)
    const headerEnd = 8 + Number(original.readBigUInt64LE(0))
    const edit = fc.record({ at: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 8, max: headerEnd - 1 })), byte: fc.integer({ min: 0, max: 255 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 6 }), fc.option(fc.integer({ min: 0, max: original.length })), async (edits, length) => {
        const bytes = Uint8Array.from(original.subarray(0, length ?? original.length))
        for (const { at, byte } of edits) if (at < bytes.length) bytes[at] = byte
        await parseSafetensors(bytes, 'fuzzed').catch((error: unknown) => {
          if (!(error instanceof TvnError)) throw error
        })
      }),
      { numRuns: 400 },
    )
  })
})
