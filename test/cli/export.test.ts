import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect } from 'chai'
import { loadModel } from '../../lib/model/model.js'
import { temporaryFolder } from '../data/videos.js'
import { tvn } from './run.js'

const golden = new URL('../fixtures/golden/std-even-kernel.safetensors', import.meta.url).pathname

describe('tvn export', () => {
  const folder = temporaryFolder('export')
  const out = path.join(folder, 'model.onnx')

  it('writes what model.toOnnx gives, over a file that is there', async () => {
    using model = await loadModel(golden)
    await writeFile(out, 'old')
    for (const [flags, foldBatchNorm] of [
      [[], true],
      [['--keep-batch-norm'], false],
    ] as const) {
      const { code, stdout, stderr } = await tvn(['export', '--onnx', out, '--model', golden, '--json', ...flags])
      expect([code, stderr]).to.deep.equal([0, ''])
      expect(JSON.parse(stdout)).to.deep.equal({ path: out, bytes: (await stat(out)).size })
      expect((await readFile(out)).equals(model.toOnnx({ foldBatchNorm }))).to.equal(true)
    }
  })

  const copy = path.join(folder, 'copy.safetensors')
  const wrong: [what: string, args: string[], message: RegExp][] = [
    ['a folder that is missing', [path.join(folder, 'no/model.onnx'), golden], /no\/model\.onnx: cannot be written, no such file or folder/],
    ['a folder in place of the file', [folder, golden], /cannot be written, it is a folder/],
    ['a model that is missing', [path.join(folder, 'new.onnx'), '/nowhere.safetensors'], /nowhere\.safetensors: cannot be read, no such file/],
    ['the model as its own export', [copy, copy], /copy\.safetensors: is the model itself/],
  ]
  for (const [what, [onnx, model], message] of wrong) {
    it(`refuses ${what} with exit code 2 and writes nothing`, async () => {
      await copyFile(golden, copy)
      const before = await readdir(folder)
      const { code, stdout, stderr } = await tvn(['export', '--onnx', onnx as string, '--model', model as string])
      expect([code, stdout]).to.deep.equal([2, ''])
      expect(stderr).to.match(message)
      expect(stderr.trim().split('\n').length).to.equal(1)
      expect(await readdir(folder)).to.deep.equal(before)
      expect((await readFile(copy)).equals(await readFile(golden))).to.equal(true)
    })
  }

  it('wants one format', async () => {
    for (const formats of [[], ['--onnx', out, '--tfjs', folder]]) {
      const { code, stderr } = await tvn(['export', ...formats, '--model', golden])
      expect([code, stderr]).to.deep.equal([2, 'tvn: expected either --onnx OUT or --tfjs FOLDER\n'])
    }
    const { code, stderr } = await tvn(['export', '--tfjs', path.join(folder, 'web'), '--keep-batch-norm', '--model', golden])
    expect([code, stderr]).to.deep.equal([2, 'tvn: --keep-batch-norm: a LayersModel for clips has no batch norms, expected it with --onnx alone\n'])
  })

  it('says so where the folder of a LayersModel cannot be made', async () => {
    const taken = path.join(folder, 'taken')
    await writeFile(taken, '')
    const { code, stderr } = await tvn(['export', '--tfjs', path.join(taken, 'web'), '--model', golden])
    expect([code, stderr]).to.deep.equal([1, `tvn: ${path.join(taken, 'web')}: cannot be made, a part of its path is not a folder\n`])
  })
})
