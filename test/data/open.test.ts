import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'chai'
import type { Dataset, Split } from '../../lib/data/dataset.js'
import { type OpenOptions, openDataset } from '../../lib/data/open.js'
import { TvnError } from '../../lib/errors.js'
import { temporaryFolder } from './videos.js'

const base = temporaryFolder('open')
const cacheDir = path.join(base, 'cache')
let roots = 0

/** A dataset folder; the content of files is their text (opening does not decode). */
function folder(files: Readonly<Record<string, string>>): string {
  const root = path.join(base, `data${roots++}`)
  mkdirSync(root)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    writeFileSync(path.join(root, name), text)
  }
  return root
}

/** `n` different files of one class. */
function clips(prefix: string, n: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: n }, (_, i) => [`${prefix}/${i}.mp4`, `${prefix} ${i}`]))
}

async function failure(root: string, options: OpenOptions = {}): Promise<TvnError> {
  const error = await openDataset(root, { cacheDir, ...options }).catch((caught: unknown) => caught)
  expect(error).to.be.instanceOf(TvnError)
  return error as TvnError
}

/** Runs without root's right to read everything, with a cache that may be written. */
async function unprivileged<T>(run: (cacheDir: string) => Promise<T>): Promise<T> {
  const shared = path.join(base, 'shared-cache')
  mkdirSync(shared)
  chmodSync(shared, 0o777)
  chmodSync(base, 0o755)
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    return await run(shared)
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

function idsOf(dataset: Dataset, split: Split): string[] {
  return dataset.samples.filter((sample) => sample.split === split).map(({ id }) => id)
}

describe('openDataset: a folder per class', () => {
  it('takes given splits as they are', async () => {
    const root = folder({
      'train/b/1.mp4': '1',
      'train/a/2.avi': '2',
      'val/a/3.mp4': '3',
      'val/b/x/deep.mp4': '4',
      'test/b/5.webm': '5',
      'test/a/6.mov': '6',
      'train/a/.hidden': 'h',
      'readme.md': 'text',
    })
    const dataset = await openDataset(root, { cacheDir })
    expect(dataset).to.deep.include({ name: path.basename(root), root, labels: ['a', 'b'], task: 'single-label', flip: false, quarantined: [] })
    expect(idsOf(dataset, 'train').sort()).to.deep.equal(['train/a/2.avi', 'train/b/1.mp4'])
    expect(idsOf(dataset, 'val')).to.have.members(['val/a/3.mp4', 'val/b/x/deep.mp4'])
    expect(dataset.samples.find(({ id }) => id === 'test/a/6.mov')).to.deep.equal({
      id: 'test/a/6.mov',
      path: path.join(root, 'test/a/6.mov'),
      labels: ['a'],
      split: 'test',
    })
    expect(await openDataset(root, { cacheDir, flip: true })).to.have.property('flip', true)
  })

  it('splits one folder 70 / 15 / 15, every class in every split, by content alone', async () => {
    const root = folder({ ...clips('a', 40), ...clips('b', 3), ...clips('c', 7) })
    const dataset = await openDataset(root, { cacheDir })
    const count = (split: Split, label: string): number => dataset.samples.filter((sample) => sample.split === split && sample.labels[0] === label).length
    expect((['train', 'val', 'test'] as const).map((split) => ['a', 'b', 'c'].map((label) => count(split, label)))).to.deep.equal([
      [28, 1, 5],
      [6, 1, 1],
      [6, 1, 1],
    ])

    const renamed = folder(
      Object.fromEntries(
        Object.entries({ ...clips('a', 40), ...clips('b', 3), ...clips('c', 7) }).map(([name, text]) => [name.replace('.mp4', '-new.avi'), text]),
      ),
    )
    const splitOf = (set: Dataset): Record<string, Split> => Object.fromEntries(set.samples.map(({ id, split }) => [id.replace('-new.avi', '.mp4'), split]))
    expect(splitOf(await openDataset(renamed, { cacheDir }))).to.deep.equal(splitOf(dataset))
  })

  it('takes missing splits out of train', async () => {
    const dataset = await openDataset(folder({ ...clips('train/a', 20), ...clips('train/b', 20), ...clips('val/a', 2), ...clips('val/b', 2) }), { cacheDir })
    expect([idsOf(dataset, 'train').length, idsOf(dataset, 'val').length, idsOf(dataset, 'test').length]).to.deep.equal([34, 4, 6])
  })

  it('never has one content in two splits, and leaves copies out', async () => {
    const dataset = await openDataset(
      folder({
        ...clips('train/a', 3),
        'train/a/leak.mp4': 'tested',
        'val/a/leak.mp4': 'tested',
        'test/a/x.mp4': 'tested',
        'test/a/y.mp4': 'tested',
        ...clips('train/b', 3),
        ...clips('val/a', 1),
        ...clips('val/b', 1),
        ...clips('test/b', 1),
        'train/b/0 again.mp4': 'train/a 0',
      }),
      { cacheDir },
    )
    const reasons = Object.fromEntries(
      dataset.quarantined.map(({ path: file, reason }) => [path.relative(dataset.root, file), reason.replaceAll(`${dataset.root}/`, '')]),
    )
    expect(reasons).to.deep.equal({
      'test/a/y.mp4': 'a copy of test/a/x.mp4',
      'train/a/leak.mp4': 'a copy of test/a/x.mp4',
      'val/a/leak.mp4': 'a copy of test/a/x.mp4',
      'train/b/0 again.mp4': 'a copy of train/a/0.mp4, which is labelled a',
    })
    expect(idsOf(dataset, 'test')).to.have.members(['test/a/x.mp4', 'test/b/0.mp4'])
  })

  it('quarantines what cannot be read', async () => {
    const root = folder({ ...clips('a', 4), ...clips('b', 4), 'a/zero.mp4': '' })
    symlinkSync('/nowhere/at/all.mp4', path.join(root, 'b', 'broken.mp4'))
    const { quarantined } = await openDataset(root, { cacheDir })
    expect(quarantined).to.have.deep.members([
      { path: path.join(root, 'a/zero.mp4'), reason: 'empty file' },
      { path: path.join(root, 'b/broken.mp4'), reason: 'does not exist' },
    ])
  })

  it('quarantines folders that cannot be read, and uses the rest of their class', async () => {
    const root = folder({ ...clips('train/a', 4), ...clips('train/b', 4), 'train/b/sealed/x.mp4': 'x', 'train/c/x.mp4': 'y' })
    const sealed = ['train/c', 'train/b/sealed'].map((name) => path.join(root, name))
    for (const name of sealed) chmodSync(name, 0)
    const { labels, samples, quarantined } = await unprivileged((cacheDir) => openDataset(root, { cacheDir }))
    expect(quarantined).to.have.deep.members(sealed.map((name) => ({ path: name, reason: 'permission denied' })))
    expect([labels, samples.length]).to.deep.equal([['a', 'b'], 8])
  })

  it('needs a train split for training, and for an evaluation only the split that is asked for', async () => {
    const root = folder({ ...clips('val/a', 2), ...clips('val/b', 2), ...clips('test/b', 2) })
    const error = await failure(root)
    expect(error.message).to.equal(`${root}: no usable videos in the train split`)
    expect(error.hint).to.match(/^expected .*train,val,test/)
    const { labels, samples } = await openDataset(root, { cacheDir, only: 'test' })
    expect([labels, samples.map(({ id }) => id)]).to.deep.equal([
      ['a', 'b'],
      ['test/b/0.mp4', 'test/b/1.mp4'],
    ])
    expect((await failure(folder(clips('test/a', 2)), { only: 'val' })).message).to.match(/no usable videos in the val split$/)
  })

  it('leaves out classes without a training video', async () => {
    const dataset = await openDataset(
      folder({ ...clips('train/a', 2), ...clips('train/b', 2), ...clips('val/a', 1), ...clips('val/c', 1), ...clips('test/b', 1) }),
      { cacheDir },
    )
    expect(dataset.labels).to.deep.equal(['a', 'b'])
    expect(dataset.quarantined.map(({ reason }) => reason)).to.deep.equal(['its class c has no training video'])
  })

  it('says what was expected when there is nothing to use', async () => {
    const missing = await failure(path.join(base, 'nowhere'))
    expect(missing).to.include({ code: 'ERR_DATASET' })
    expect(missing.message).to.match(/nowhere: does not exist; expected .*<class>/)
    expect((await failure(folder({ 'train/.keep': '' }))).message).to.match(/no usable videos/)
    expect((await failure(folder({ 'train/a/x.mp4': '' }))).message).to.match(/no usable videos \(1 left out; train\/a\/x\.mp4: empty file\)/)
    expect((await failure(folder(clips('a', 5)))).message).to.match(/no usable classes to tell apart: at least 2 .* found a/)
    expect((await failure(folder({ ...clips('a', 2), ...clips('b', 2) }))).message).to.match(/no usable videos in the test split/)
    expect((await failure(path.join(folder({ 'x.mp4': 'x' }), 'x.mp4'))).message).to.match(/is a file; expected/)
    expect((await failure(folder({ ...clips('a\nb', 4), ...clips('c', 4) }))).message).to.match(/class name "a\\nb" must be/)
  })

  it('reads files once, and again only when they change', async () => {
    const root = folder({ ...clips('a', 4), ...clips('b', 4) })
    const first = await openDataset(root, { cacheDir })
    expect(await openDataset(root, { cacheDir })).to.deep.equal(first)
    copyFileSync(path.join(root, 'a/0.mp4'), path.join(root, 'a/1.mp4'))
    expect((await openDataset(root, { cacheDir })).quarantined).to.have.length(1)
  })
})

describe('openDataset: a manifest', () => {
  const line = (value: object): string => `${JSON.stringify(value)}\n`
  const rows = ['a', 'b'].flatMap((label) => ['train', 'val', 'test'].map((split) => ({ path: `v/${label}-${split}.mp4`, labels: [label], split })))
  const files = Object.fromEntries(rows.map(({ path: name }) => [name, name]))
  const withManifest = (lines: readonly object[], more: Record<string, string> = {}): string =>
    folder({ ...files, ...more, 'manifest.jsonl': lines.map(line).join('') })

  it('carries splits, parts and several labels', async () => {
    const root = withManifest(
      [...rows, { path: 'v/c.mp4', labels: ['b', 'a', 'a'], split: 'train', start: 1.5, end: 4 }, { path: 'v/c.mp4', labels: [], split: 'train', start: 4 }],
      { 'v/c.mp4': 'c' },
    )
    const dataset = await openDataset(root, { cacheDir })
    expect(dataset).to.include({ task: 'multi-label' })
    expect(dataset.labels).to.deep.equal(['a', 'b'])
    expect(dataset.samples.filter(({ path: file }) => file.endsWith('c.mp4'))).to.deep.equal([
      { id: 'v/c.mp4#1.5-4', path: path.join(root, 'v/c.mp4'), labels: ['a', 'b'], split: 'train', start: 1.5, end: 4 },
      { id: 'v/c.mp4#4-', path: path.join(root, 'v/c.mp4'), labels: [], split: 'train', start: 4 },
    ])
    expect(await openDataset(withManifest(rows), { cacheDir })).to.include({ task: 'single-label' })
  })

  it('keeps the parts of one video in one split', async () => {
    const root = withManifest(
      [...rows, { path: 'v/c.mp4', labels: ['a'], split: 'train', end: 2 }, { path: 'v/c.mp4', labels: ['b'], split: 'val', start: 2 }],
      { 'v/c.mp4': 'c' },
    )
    const { samples, quarantined } = await openDataset(root, { cacheDir })
    expect(samples.filter(({ path: file }) => file.endsWith('c.mp4')).map(({ split }) => split)).to.deep.equal(['val'])
    expect(quarantined.map(({ reason }) => reason)).to.deep.equal([`the same video is in the val split (${path.join(root, 'v/c.mp4')})`])
  })

  it('shares lines without a split out', async () => {
    const lines = Array.from({ length: 20 }, (_, i) => ({ path: `w/${i}.mp4`, labels: [i % 2 ? 'x' : 'y'] }))
    const root = withManifest(lines, Object.fromEntries(lines.map(({ path: name }) => [name, name])))
    const dataset = await openDataset(root, { cacheDir })
    expect((['train', 'val', 'test'] as const).map((split) => idsOf(dataset, split).length)).to.deep.equal([12, 4, 4])
  })

  it('quarantines files that are missing', async () => {
    const { quarantined } = await openDataset(withManifest([...rows, { path: 'gone.mp4', labels: ['a'] }]), { cacheDir })
    expect(quarantined.map(({ reason }) => reason)).to.deep.equal(['does not exist'])
  })

  it('names the line that is wrong', async () => {
    const message = async (bad: string): Promise<string> => (await failure(folder({ ...files, 'manifest.jsonl': line(rows[0] as object) + bad }))).message
    expect(await message('{"path": "x"')).to.match(/manifest\.jsonl:2 must be JSON/)
    expect(await message('{"labels": ["a"]}')).to.match(/manifest\.jsonl:2: path must be a path, got nothing/)
    expect(await message('{"path": "x", "label": ["a"]}')).to.match(/manifest\.jsonl:2: .*label is not a known key.*did you mean labels/)
    expect(await message('{"path": "x", "labels": ["a"], "split": "dev"}')).to.match(/:2: split must be one of train, val, test, got "dev"/)
    expect(await message('{"path": "x", "labels": ["a"], "start": 3, "end": 3}')).to.match(/:2: end must be after start/)
    expect(await message('[]')).to.match(/:2: the line must be an object/)
  })
})
