import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import { thisMachine } from '../../lib/latency/machine.js'
import { type ModelFile, readModel } from '../../lib/model/model-file.js'
import { createTunedPlan } from '../../lib/model/tuning.js'
import { tvn } from '../cli/run.js'

const golden = new URL('../fixtures/golden/tvn-1-in-small.safetensors', import.meta.url).pathname

describe('tuning', () => {
  const environment = { TVN_CACHE_DIR: process.env.TVN_CACHE_DIR, TVN_TUNING: process.env.TVN_TUNING }
  let folder: string
  let file: string
  let model: ModelFile

  before(async () => {
    model = await readModel(golden)
  })
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'tvn-tuning-'))
    file = path.join(folder, 'tuning', `${thisMachine().id}.jsonl`)
    process.env.TVN_CACHE_DIR = folder
    delete process.env.TVN_TUNING
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })

  const compile = async (options: { search?: boolean; batch?: number; threads?: number } = {}) => {
    const { search = true, batch = 1, threads = 1 } = options
    const graph = model.network.graph({ classes: model.labels.length })
    const plan = await createTunedPlan(graph, model.weights, { batch, threads, precision: 'f32', search })
    const { frames, size } = model.network.streams[0]
    const logits = await plan.run(Uint8Array.from({ length: batch * frames * size * size * 3 }, (_, i) => (i * 37) & 255))
    const result = { choices: plan.choices(), cuts: plan.stages().map(({ cut }) => cut), logits: Array.from(logits) }
    plan.dispose()
    return result
  }
  const lines = (choices: object) =>
    Object.entries(choices)
      .map((choice) => `${JSON.stringify(choice)}\n`)
      .join('')
  const written = async () => {
    const whole = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
    return Object.fromEntries(whole.map((line) => JSON.parse(line))) as Record<string, string>
  }

  it('keeps what a search has found, and later plans use it', async () => {
    const first = await compile()
    expect(Object.keys(first.choices).length).to.be.above(0)
    expect(await written()).to.deep.equal(first.choices)
    expect(await compile({ search: false })).to.deep.equal(first)

    await compile({ threads: 2 })
    const both = await written()
    expect(both).to.include(first.choices)
    expect(Object.keys(both).length, 'the choices for two threads are others').to.be.above(Object.keys(first.choices).length)
  })

  it('cuts the steps as the file says, with the same bits', async () => {
    const { choices, logits } = await compile()
    const other = Object.fromEntries(Object.keys(choices).map((step) => [step, 'smaller blocks']))
    await writeFile(file, lines(other))
    const cut = await compile()
    expect(cut.cuts).to.include('smaller blocks')
    expect(cut.logits).to.deep.equal(logits)
    expect(await written()).to.deep.equal(other)
    const { stdout } = await tvn(['profile', golden, '--repetitions', '5'], { env: { TVN_CACHE_DIR: folder, TVN_TUNING: 'on' } })
    expect(stdout).to.match(/ conv_forward_f32_\w+, smaller blocks /)
  })

  it('leaves out what is damaged in the file, and goes on behind it', async () => {
    const { choices } = await compile({ threads: 3 })
    const [first = '', ...others] = Object.keys(choices)
    for (const damaged of [
      '["conv',
      '{"a": "b"}',
      '["a", 1]',
      'null',
      '["a\\u0000b", "usual"]',
      '["\\ud800", "usual"]',
      '["__proto__", "usual"]',
      '[1,'.repeat(9),
    ]) {
      await writeFile(file, `${JSON.stringify([first, 'smaller blocks'])}\n${JSON.stringify([first, 'usual'])}\n${damaged}`)
      expect((await compile({ threads: 3 })).choices, damaged)
        .to.include({ [first]: 'smaller blocks' })
        .and.to.have.all.keys(first, ...others)
      const text = await readFile(file, 'utf8')
      for (const step of others) expect(text.split('\n').filter((line) => line.startsWith(JSON.stringify([step]).slice(0, -1)))).to.have.lengthOf(1)
    }
    await writeFile(file, 'x'.repeat(2 ** 20 + 1))
    await compile({ threads: 3 })
    expect(await written(), 'a file that is too large is begun anew').to.have.all.keys(choices)
  })

  it('keeps what plans that are compiled at the same time have found', async () => {
    const found = await Promise.all([1, 2, 3, 4, 5, 6].map((threads) => compile({ threads })))
    const all = await written()
    for (const { choices } of found) expect(all).to.include.all.keys(choices)
  })

  it('works where nothing can be written, and then knows it for as long as the process lives', async () => {
    process.env.TVN_CACHE_DIR = path.join(folder, 'file')
    await writeFile(process.env.TVN_CACHE_DIR, '')
    const first = await compile({ threads: 4 })
    expect(Object.keys(first.choices).length).to.be.above(0)
    expect(await compile({ threads: 4, search: false })).to.deep.equal(first)
    expect(await readdir(folder)).to.deep.equal(['file'])
  })

  it('searches only where it is asked to, and not at all with TVN_TUNING=off', async () => {
    expect((await compile({ search: false, threads: 7 })).choices).to.deep.equal({})
    expect(await readdir(folder)).to.deep.equal([])
    await compile()
    process.env.TVN_TUNING = 'off'
    expect((await compile()).choices).to.deep.equal({})
  })
})
