import { expect } from 'chai'
import { createTrainer, formatLimit, loadModel, type Model, Network, parseLimit, search, type Trainer, TvnError, train } from '../lib/index.js'
import { temporaryFolder } from './data/videos.js'

const file = new URL('./fixtures/golden/squeeze-then-gate.safetensors', import.meta.url).pathname
const circular: unknown[] = []
circular.push(circular)
const hostile: readonly unknown[] = [undefined, null, 5, -1, Number.NaN, '', 'x', true, 5n, Symbol('x'), () => 1, [], [5], {}, circular, new Date(), new Map()]

/** What a call with any arguments ends with: its result, or what it throws or rejects with. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    return await call()
  } catch (error) {
    return { error }
  }
}

describe('public functions', () => {
  const folder = temporaryFolder('arguments')
  const network = Network.preset('tvn-1')
  const clips = new Uint8Array(2 * 224 * 224 * 3)
  const shape = [1, 2, 224, 224, 3]
  let model: Model
  let trainer: Trainer
  before(async () => {
    model = await loadModel(file)
    trainer = await createTrainer(network, { classes: 3 })
  })
  after(() => {
    model.dispose()
    trainer.dispose()
  })

  // each takes one hostile argument in one place; `data` that is missing ends what passes the checks
  const data = `${folder}/missing`
  const places: Record<string, (x: never) => unknown> = {
    parseLimit,
    formatLimit,
    'Network.preset': (x) => Network.preset(x),
    'Network.presetClasses': (x) => Network.presetClasses(x),
    'Network.parse': (x) => Network.parse(x),
    cost: (x) => network.cost(x),
    'cost classes': (x) => network.cost({ classes: x }),
    graph: (x) => network.graph(x),
    rename: (x) => network.rename(x),
    computesLike: (x) => network.computesLike(x),
    'loadModel path': (x) => loadModel(x),
    'loadModel options': async (x) => (await loadModel(file, x)).dispose(),
    'loadModel device': async (x) => (await loadModel(file, { device: x })).dispose(),
    'loadModel precision': async (x) => (await loadModel(file, { precision: x })).dispose(),
    'loadModel threads': async (x) => (await loadModel(file, { threads: x })).dispose(),
    'logits clips': (x) => model.logits(x, shape),
    'logits shape': (x) => model.logits(clips, x),
    'logits options': (x) => model.logits(clips, shape, x),
    'predict file': (x) => model.predict(x),
    'predict options': (x) => model.predict(data, x),
    'predict top': (x) => model.predict(data, { top: x }),
    'predict signal': (x) => model.predict(data, { signal: x }),
    'measure limit': (x) => model.measure({ limit: x, maxSeconds: 0.01, coldRuns: 0 }),
    'measure signal': (x) => model.measure({ signal: x, maxSeconds: 0.01, coldRuns: 0 }),
    'measure core': (x) => model.measure({ core: x, maxSeconds: 0.01, coldRuns: 0 }),
    'createTrainer source': createTrainer,
    'createTrainer options': (x) => createTrainer(network, x),
    'createTrainer weights': (x) => createTrainer({ network, labels: ['a', 'b'], task: 'single-label', weights: x }),
    'createTrainer device': (x) => createTrainer(network, { classes: 2, device: x }),
    'createTrainer labels': (x) => createTrainer(network, { labels: x }),
    'step clips': (x) => trainer.step(x, shape, [0]),
    'step shape': (x) => trainer.step(clips, x, [0]),
    'step labels': (x) => trainer.step(clips, shape, x),
    'step options': (x) => trainer.step(clips, shape, [0], x),
    train,
    'train network': (x) => train({ network: x, data }),
    'train data': (x) => train({ network, data: x === 'x' ? data : x }),
    'train recipe': (x) => train({ network, data, recipe: x }),
    'train batch': (x) => train({ network, data, recipe: { batch: x } }),
    'search options': (x) => search(x === undefined || typeof x === 'object' || typeof x === 'function' ? { ...(x as object | undefined), data } : x),
    ...Object.fromEntries(
      ['out', 'initFrom', 'signal', 'onProgress', 'threads', 'epochs', 'device', 'precision'].map((key) => [
        `train ${key}`,
        (x) => train({ network, data, [key]: x }),
      ]),
    ),
    ...Object.fromEntries(
      ['out', 'space', 'limits', 'trials', 'signal', 'onProgress', 'cacheDir', 'workers', 'device'].map((key) => [
        `search ${key}`,
        (x) => search({ data, [key]: x }),
      ]),
    ),
    'search resume': (x) => (x === undefined ? undefined : search({ resume: x })),
  }
  for (const [place, call] of Object.entries(places)) {
    it(`answer anything wrong with a TvnError: ${place}`, async () => {
      for (const value of hostile) {
        const { error } = ((await outcome(() => call(value as never))) ?? {}) as { error?: unknown }
        if (error !== undefined)
          expect(error, typeof value)
            .to.be.instanceOf(TvnError)
            .and.have.property('code')
            .that.matches(/^ERR_/)
      }
    })
  }

  const refused: [call: () => unknown, message: string][] = [
    [() => search({ trails: 3 } as never), 'options.trails is not a known key: did you mean trials? Known are'],
    [() => search(null as never), 'options must be an object with the keys data, space'],
    [() => search({ out: 5 as never }), 'out must be a text, got 5'],
    [() => train({ network: network.toJSON() as never, data }), 'network must be a Network, the name of a preset or a file, got an object of type Object'],
    [() => train({ network, data, recipe: { bach: 4 } as never }), 'recipe.bach is not a known key: did you mean batch? Known are'],
    [() => train({ network, data, recipe: { batch: '16' as never } }), 'recipe.batch must be a whole number from 1 to 4096, got "16"'],
    [() => network.cost({ clases: 3 } as never), 'options.clases is not a known key: did you mean classes? Known are classes'],
    [() => model.measure({ signal: {} as never }), 'signal must be an AbortSignal, got an object of type Object'],
    [() => createTrainer({ ...model, network, labels: ['a'], weights: {} } as never), 'weights must be a Map of Float32Arrays by tensor name'],
    [() => Network.preset(5 as never), 'name must be a text, got 5'],
  ]
  for (const [call, message] of refused)
    it(`say what is wrong: ${message}`, async () => {
      const { error } = (await outcome(call)) as { error: TvnError }
      expect(error).to.be.instanceOf(TvnError).and.include({ code: 'ERR_ARGUMENT' })
      expect(error.message.slice(0, message.length)).to.equal(message)
    })

  it('end with ERR_ABORTED whatever the reason of the signal', async () => {
    for (const signal of [AbortSignal.abort(), AbortSignal.abort('enough'), AbortSignal.abort(new DOMException('x', 'DataError'))]) {
      for (const call of [() => model.measure({ signal }), () => search({ data, signal }), () => train({ network, data, signal })])
        expect((await outcome(call)) as object).to.have.nested.property('error.code', 'ERR_ABORTED')
    }
  })
})
