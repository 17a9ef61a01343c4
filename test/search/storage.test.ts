import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect } from 'chai'
import Database from 'libsql'
import { TvnError } from '../../lib/errors.js'
import type { StudyEvent } from '../../lib/search/events.js'
import { MemoryStudy } from '../../lib/search/storage/memory.js'
import { createStudy, holdsStudy, openStudy } from '../../lib/search/storage/sqlite.js'
import type { Storage } from '../../lib/search/storage/storage.js'
import type { Metrics } from '../../lib/train/metrics.js'
import { network } from '../data/colours.js'
import { record } from './study-record.js'

const latency = {
  device: 'cpu',
  p50: 0.1,
  p90: 0.2,
  p99: 0.3,
  min: 0.05,
  samples: 44,
  ci: [0.1, null],
  noise: 0.1,
  machine: 'm',
  compute: { p50: 0.1, p90: 0.1, p99: 0.1, samples: 3 },
} as const
const metrics = { task: 'single-label', samples: 1, top1: 1 } as unknown as Metrics
const created: StudyEvent = { kind: 'created', record }
const running = (trial: number): StudyEvent => ({ kind: 'running', trial })
const folders: string[] = []
const folder = () => {
  const made = mkdtempSync(path.join(tmpdir(), 'tvn-study-'))
  folders.push(made)
  return made
}
after(() => {
  for (const made of folders) rmSync(made, { recursive: true, force: true })
})

/** A study of each kind: `open` gives its storage, the first time and again. */
const implementations: Record<string, () => { open(): Storage }> = {
  memory: () => new MemoryStudy(),
  sqlite: () => {
    const place = folder()
    let made = false
    return {
      open() {
        const storage = made ? openStudy(place) : createStudy(place)
        made = true
        return storage
      },
    }
  },
}

for (const [name, make] of Object.entries(implementations)) {
  describe(`storage: ${name}`, () => {
    it('gives events back as they came, in order, also when it is opened again', () => {
      const study = make()
      let storage = study.open()
      const odd: StudyEvent = { kind: 'rejected', trial: 1, reason: 'zeichen: „ü“ \u0000 \n 0.1' }
      const events: [StudyEvent, number][] = [
        [created, 0],
        [running(0), 0.1 + 0.2],
        [odd, 1e-17],
        [{ kind: 'proposed', trial: 2, parent: null, mutations: [], network: network.toJSON(), params: 1, macs: 2 }, 1],
        [{ kind: 'stopped', reason: 'trials' }, 2],
        [{ kind: 'finishing', trial: 2 }, 3],
        [{ kind: 'passed-over', trial: 2, reason: 'too slow' }, 4],
        [{ kind: 'measured', trial: 2, latency }, 5],
        [{ kind: 'complete', trial: 2, fitness: 0.1, metrics, iterations: 7, weightsHash: 'abc' }, 6],
        [{ kind: 'failed', trial: 3, reason: 'diverged' }, 7],
      ]
      for (const [event, elapsed] of events) storage.append(event, elapsed)
      const expected = events.map(([event, elapsed]) => ({ event, elapsed }))
      expect(storage.events()).to.deep.equal(expected)
      storage.close()
      storage = study.open()
      expect(storage.events()).to.deep.equal(expected)
      expect(JSON.stringify(storage.events())).to.equal(JSON.stringify(expected))
      storage.close()
    })

    it('has one writer', () => {
      const study = make()
      const storage = study.open()
      storage.append(created, 0)
      expect(() => study.open())
        .to.throw(TvnError)
        .with.property('code', 'ERR_STUDY')
      storage.append(running(0), 1)
      storage.close()
      const again = study.open()
      expect(again.events()).to.have.length(2)
      again.close()
    })

    it('cannot be used after close', () => {
      const storage = make().open()
      storage.append(created, 0)
      storage.close()
      storage.close()
      for (const use of [() => storage.append(running(0), 1), () => storage.events()]) {
        expect(use).to.throw(TvnError).with.property('code', 'ERR_DISPOSED')
      }
    })
  })
}

describe('storage: sqlite on the disk', () => {
  const child = (place: string, code: string) => {
    const module = new URL('../../lib/search/storage/sqlite.ts', import.meta.url).href
    const script = `import { createStudy, openStudy } from ${JSON.stringify(module)}; const folder = ${JSON.stringify(place)}; ${code}`
    return execFileSync(
      process.execPath,
      ['--import', createRequire(import.meta.url).resolve('tsx'), '--input-type=module', '-e', `${script}; process.kill(process.pid, 'SIGKILL')`],
      {
        stdio: 'pipe',
      },
    )
  }

  it('keeps what was appended when the process is killed right after, and holds no lock for the dead', () => {
    const place = folder()
    expect(() =>
      child(
        place,
        `const s = createStudy(folder); s.append(${JSON.stringify(created)}, 0); for (let i = 0; i < 20; i++) s.append({ kind: 'running', trial: i }, i)`,
      ),
    ).to.throw()
    const storage = openStudy(place)
    expect(storage.events()).to.have.length(21)
    storage.close()
  })

  it('names the process that holds a study', () => {
    const place = folder()
    const storage = createStudy(place)
    storage.append(created, 0)
    expect(() => openStudy(place)).to.throw(TvnError, new RegExp(`in use by another search, process ${process.pid}`))
    storage.close()
  }).timeout(10_000)

  it('is no study without a first event', () => {
    const place = folder()
    createStudy(place).close()
    expect(holdsStudy(place)).to.equal(false)
    expect(() => openStudy(place)).to.throw(TvnError, /holds no study/)
    const storage = createStudy(place)
    storage.append(created, 0)
    storage.close()
    expect(holdsStudy(place)).to.equal(true)
    expect(() => createStudy(place)).to.throw(TvnError, /already holds a study/)
  })

  it('refuses a journal that is no database, or was damaged, in one line', () => {
    const text = folder()
    writeFileSync(path.join(text, 'study.db'), 'not a database, but long enough to be taken for one by its size alone'.repeat(100))
    const cut = folder()
    const storage = createStudy(cut)
    storage.append(created, 0)
    storage.close()
    truncateSync(path.join(cut, 'study.db'), 1000)
    for (const place of [text, cut]) {
      expect(() => openStudy(place))
        .to.throw(TvnError, /^[^\n]*study\.db[^\n]*$/)
        .with.property('code', 'ERR_STUDY')
    }
  })

  it('leaves the database of another program alone', () => {
    const foreign = folder()
    const file = path.join(foreign, 'study.db')
    const database = new Database(file)
    database.exec('PRAGMA application_id = 7; CREATE TABLE notes (text TEXT)')
    database.close()
    const before = readFileSync(file)
    for (const use of [holdsStudy, createStudy, openStudy]) expect(() => use(foreign)).to.throw(TvnError, /database of another program/)
    expect(readFileSync(file).equals(before)).to.equal(true)
  })

  it('refuses an empty folder and a missing one', () => {
    for (const place of [folder(), '/nowhere/at/all']) expect(() => openStudy(place)).to.throw(TvnError, /holds no study/)
  })
})
