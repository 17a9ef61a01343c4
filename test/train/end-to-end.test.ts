import { cpSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { expect } from 'chai'
import { lateness } from '../../bench/lateness.js'
import type { PreparedDataset } from '../../lib/data/dataset.js'
import { openDataset } from '../../lib/data/open.js'
import { prepareDataset } from '../../lib/data/prepare.js'
import { TvnError } from '../../lib/errors.js'
import { loadModel } from '../../lib/model/model.js'
import { readModel } from '../../lib/model/model-file.js'
import { native } from '../../lib/native.js'
import { evaluateModel } from '../../lib/train/evaluate-model.js'
import { fit } from '../../lib/train/fit.js'
import type { SingleLabelMetrics } from '../../lib/train/metrics.js'
import { defaultRecipe } from '../../lib/train/recipe.js'
import { type TrainProgress, train } from '../../lib/train/train.js'
import { tvn } from '../cli/run.js'
import { colours, makeColourVideos, network } from '../data/colours.js'
import { temporaryFolder } from '../data/videos.js'

describe('from videos to predictions', () => {
  const folder = temporaryFolder('end-to-end')
  const videos = path.join(folder, 'videos')
  const model = path.join(folder, 'model.safetensors')
  const cache = process.env.TVN_CACHE_DIR
  let data: PreparedDataset

  before(async () => {
    process.env.TVN_CACHE_DIR = path.join(folder, 'cache')
    makeColourVideos(videos)
    writeFileSync(path.join(videos, 'train', 'red', 'broken.mp4'), 'not a video')
    data = await prepareDataset(await openDataset(videos))
  })
  after(() => {
    if (cache === undefined) delete process.env.TVN_CACHE_DIR
    else process.env.TVN_CACHE_DIR = cache
  })

  it('fit gives the same bits for 1 and 2 threads, in every run, and others for another seed', async () => {
    const run = (threads: number, seed = 7) => {
      const { labels, task, flip } = data
      return fit({ network, labels, task, flip, samples: data.splits.train, recipe: defaultRecipe, iterations: 12, seed, threads })
    }
    const first = await run(1)
    expect(await run(2)).to.deep.equal(first)
    expect(await run(1)).to.deep.equal(first)
    expect((await run(1, 8)).history).to.not.deep.equal(first.history)
  })

  it('train writes a model that tells the classes apart, and names the file that it left out', async () => {
    const phases: TrainProgress[] = []
    const {
      model: trained,
      history,
      metrics,
      quarantined,
    } = await train({ network, data: videos, iterations: 120, out: model, seed: 1, onProgress: (progress) => phases.push(progress) })
    trained.dispose()
    expect(history.at(-1)?.iteration).to.equal(120)
    expect(metrics).to.include({ split: 'val', samples: 6, top1: 1 })
    expect(quarantined.map(({ path: file, reason }) => [path.basename(file), reason])).to.deep.equal([['broken.mp4', 'not a video']])
    expect(phases.filter(({ phase }) => phase === 'train')).to.have.length(120)
    const { labels, notes } = await readModel(model)
    expect(labels).to.deep.equal(colours)
    expect(JSON.parse(notes.recipe as string)).to.include({ iterations: 120, seed: 1, batch: 16 })
    expect(JSON.parse(notes.metrics as string)).to.include({ top1: 1 })
  })

  it('eval and predict say the same of every test video', async () => {
    using loaded = await loadModel(model, { threads: 2 })
    const metrics = (await evaluateModel(loaded, data, 'test')) as SingleLabelMetrics
    const counts = colours.map(() => colours.map(() => 0))
    for (const sample of data.splits.test) {
      const predictions = await loaded.predict(sample.path)
      expect(predictions).to.have.length(3)
      expect(predictions.reduce((sum, { probability }) => sum + probability, 0)).to.be.closeTo(1, 1e-6)
      const row = counts[sample.labels[0] as number] as number[]
      const predicted = colours.indexOf(predictions[0]?.label as string)
      row[predicted] = (row[predicted] as number) + 1
    }
    expect(metrics.confusion).to.deep.equal(counts)
    expect(metrics.top1).to.equal(1)
  })

  it('eval matches classes by their names, and names those that the model does not know', async () => {
    using loaded = await loadModel(model)
    const renumbered: PreparedDataset = {
      ...data,
      labels: [...data.labels].reverse(),
      splits: { ...data.splits, test: data.splits.test.map((sample) => ({ ...sample, labels: sample.labels.map((label) => 2 - label) })) },
    }
    expect((await evaluateModel(loaded, renumbered, 'test')) as SingleLabelMetrics).to.include({ top1: 1 })
    const error: unknown = await evaluateModel(loaded, { ...data, labels: ['blue', 'red', 'mauve'] }, 'test').catch((reason: unknown) => reason)
    expect((error as TvnError).code).to.equal('ERR_DATASET')
    expect((error as TvnError).message).to.include('does not know the class mauve')
  })

  it('eval computes in the precision that it is given', async () => {
    const precisions = native().cpu().isa === 'avx512_bf16' ? (['f32', 'bf16'] as const) : (['f32'] as const)
    for (const precision of precisions) {
      const { code, stderr } = await tvn(['eval', '--model', model, '--data', videos, '--precision', precision], { env: { TVN_VERBOSE: 'dispatch' } })
      expect(code).to.equal(0)
      expect(stderr).to.match(new RegExp(`plan of batch \\d+, 1 thread, ${precision},`))
    }
  })

  it('train starts from another model, and when it is aborted keeps the weights that it has', async () => {
    const out = path.join(folder, 'aborted.safetensors')
    const controller = new AbortController()
    let first = Number.NaN
    const error: unknown = await train({
      network,
      data: videos,
      epochs: 50,
      out,
      initFrom: model,
      recipe: { learningRate: 1e-6 },
      signal: controller.signal,
      onProgress: (progress) => {
        if (progress.phase !== 'train') return
        first = progress.loss
        controller.abort()
      },
    }).catch((reason: unknown) => reason)
    expect((error as TvnError).code).to.equal('ERR_ABORTED')
    expect((error as TvnError).hint).to.match(/after 1 of \d+ iterations, is in .*aborted\.safetensors/)
    expect(first).to.be.below(0.9)
    const { weights, notes } = await readModel(out)
    expect(notes.interrupted).to.match(/^after 1 of \d+ iterations$/)
    expect(notes).to.not.have.property('metrics')
    expect(weights).to.not.deep.equal((await readModel(model)).weights)
  })

  it('the event loop keeps its beat while a network is trained', async () => {
    const { labels, task, flip } = data
    const late = await lateness(() =>
      fit({ network, labels, task, flip, samples: data.splits.train, recipe: defaultRecipe, iterations: 150, seed: 1, threads: 1 }),
    )
    expect(late.timers).to.be.above(5)
    expect(late.p90).to.be.below(100)
  })

  describe('tvn', () => {
    it('train, eval and predict', async () => {
      const file = path.join(folder, 'network.json')
      const out = path.join(folder, 'cli.safetensors')
      writeFileSync(file, JSON.stringify(network))
      const trained = await tvn(['train', '--network', file, '--data', videos, '--iterations', '120', '--out', out, '--seed', '1', '--json'])
      expect(trained.code, trained.stderr).to.equal(0)
      expect(trained.stderr).to.match(/1 video was left out:\n {2}.*broken\.mp4: not a video/)
      const report = JSON.parse(trained.stdout)
      expect(report).to.have.keys('model', 'history', 'skipped', 'metrics')
      expect(report.metrics.top1).to.equal(1)
      // the same seed as the library's call above: the same weights
      expect((await readModel(out)).weights).to.deep.equal((await readModel(model)).weights)

      const evaluated = await tvn(['eval', '--model', out, '--data', videos, '--json', '--quiet'])
      expect(evaluated.code, evaluated.stderr).to.equal(0)
      expect(JSON.parse(evaluated.stdout)).to.have.keys('samples', 'top1', 'top5', 'perClass', 'confusion')

      const tested = path.join(folder, 'tested')
      cpSync(path.join(videos, 'test'), path.join(tested, 'test'), { recursive: true })
      expect((await tvn(['eval', '--model', out, '--data', tested, '--json', '--quiet'])).stdout).to.equal(evaluated.stdout)
    })

    it('predict goes on when a file fails, and then exits with 1', async () => {
      const files = [
        path.join(videos, 'test', 'red', '0.mp4'),
        path.join(videos, 'train', 'red', 'broken.mp4'),
        path.join(folder, 'none.mp4'),
        path.join(videos, 'test', 'blue', '1.mp4'),
      ]
      const { code, stdout, stderr } = await tvn(['predict', ...files, '--model', model, '--top', '1', '--json'])
      expect(code).to.equal(1)
      const results = JSON.parse(stdout)
      expect(results.map(({ file }: { file: string }) => file)).to.deep.equal(files)
      expect(results[0]).to.have.keys('file', 'predictions', 'decodeMs', 'inferenceMs')
      expect(results[0].predictions).to.have.length(1)
      expect([results[0].predictions[0].label, results[3].predictions[0].label]).to.deep.equal(['red', 'blue'])
      expect(results[1].error).to.match(/broken\.mp4: not a video/)
      expect(results[2].error).to.match(/none\.mp4: does not exist/)
      expect(stderr.match(/^tvn: .*mp4/gm)).to.have.length(2)
      expect((await tvn(['predict', files[0] as string, '--model', model])).stdout).to.match(/0\.mp4 .*\n +[\d.]+ % {2}red/)
    })

    it('train saves what it has on Ctrl-C: exit code 130, one line says so', async () => {
      const file = path.join(folder, 'network.json')
      const out = path.join(folder, 'partly.safetensors')
      const args = ['train', '--network', file, '--data', videos, '--iterations', '1000000', '--out', out]
      const { code, stderr } = await tvn(args, { interrupt: { when: /decoding.* in /, signal: 'SIGINT', later: 2000 } })
      expect(code, stderr).to.equal(130)
      expect(stderr).to.match(/^tvn: interrupted by SIGINT\n {5}the model as trained so far, after \d+ of 1000000 iterations, is in .*partly\.safetensors\n$/m)
      ;(await loadModel(out)).dispose()
    })

    it('train is interrupted by Ctrl-C before it has trained: exit code 130, no file', async () => {
      const out = path.join(folder, 'interrupted.safetensors')
      const args = ['train', '--network', 'tvn-mobile-2', '--data', videos, '--iterations', '100000', '--out', out]
      const { code, stderr } = await tvn(args, { interrupt: { when: /left out|decoding/, signal: 'SIGINT' } })
      expect(code, stderr).to.equal(130)
      expect(stderr)
        .to.include('interrupted by SIGINT')
        .and.to.not.match(/^\s+at /m)
      expect(await readdir(folder)).to.not.include('interrupted.safetensors')
    })
  })
})
