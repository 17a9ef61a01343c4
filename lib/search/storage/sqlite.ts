import { existsSync } from 'node:fs'
import path from 'node:path'
import Database from 'libsql'
import { TvnError } from '../../errors.js'
import { program } from '../../program.js'
import type { StudyEvent } from '../events.js'
import type { Storage, StoredEvent } from './storage.js'

/** The journal inside a run directory. */
export const studyFile = 'study.db'
/** An empty database that the running search keeps locked. The lock is the operating system's: it ends with the process, however that ends. */
const lockFile = 'study.lock'

const applicationId = 0x74766e31 // 'tvn1'
const schemaVersion = 1
/** A process that was killed a moment ago may still be giving its locks back. */
const lockTimeout = 3000
const busyTimeout = 10_000

/** Whether a folder holds a study, finished or not. Throws ERR_STUDY when its journal cannot be read. */
export function holdsStudy(folder: string): boolean {
  if (!existsSync(path.join(folder, studyFile))) return false
  const database = connect(folder)
  try {
    return eventsIn(database, folder).length > 0
  } finally {
    database.close()
  }
}

/** Begins a study in an existing folder that holds none. Throws ERR_STUDY when it holds one, or when another process is just beginning one there. */
export function createStudy(folder: string): Storage {
  return open(folder, (events) => {
    if (events > 0)
      throw new TvnError('ERR_STUDY', `${folder} already holds a study`, {
        hint: `go on with it: ${program} search --resume ${folder}; or choose another folder`,
      })
  })
}

/** Opens the study of a run directory to go on with it. Throws ERR_STUDY when there is none, or when a process that lives is running it. */
export function openStudy(folder: string): Storage {
  const missing = () =>
    new TvnError('ERR_STUDY', `${folder} holds no study to resume`, { hint: 'give the run directory of an earlier search, the folder with study.db' })
  if (!existsSync(path.join(folder, studyFile))) throw missing()
  return open(folder, (events) => {
    if (events === 0) throw missing()
  })
}

function open(folder: string, check: (events: number) => void): Storage {
  const lock = acquire(folder)
  let database: Database.Database | undefined
  try {
    database = connect(folder)
    check(eventsIn(database, folder).length)
    prepareTables(database)
    database.prepare('INSERT INTO holder (id, pid) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET pid = excluded.pid').run(process.pid)
    return storage(database, lock, folder)
  } catch (error) {
    database?.close()
    release(lock)
    throw asStudyError(error, folder)
  }
}

function storage(database: Database.Database, lock: Database.Database, folder: string): Storage {
  const insert = database.prepare('INSERT INTO journal (elapsed, kind, trial, event) VALUES (?, ?, ?, ?)')
  let isOpen = true
  const checkOpen = () => {
    if (!isOpen) throw new TvnError('ERR_DISPOSED', 'the study was closed')
  }
  return {
    append(event: StudyEvent, elapsed: number) {
      checkOpen()
      try {
        insert.run(elapsed, event.kind, 'trial' in event ? event.trial : null, JSON.stringify(event))
      } catch (cause) {
        throw new TvnError('ERR_FILE', `${path.join(folder, studyFile)} cannot be written: ${(cause as Error).message}`, { cause })
      }
    },
    events() {
      checkOpen()
      return eventsIn(database, folder)
    },
    close() {
      if (!isOpen) return
      isOpen = false
      moveLogIntoDatabase(database)
      database.close()
      release(lock)
    },
  }
}

/** Holds the folder's lock until the returned connection is closed or this process ends. */
function acquire(folder: string): Database.Database {
  let lock: Database.Database | undefined
  try {
    lock = new Database(path.join(folder, lockFile))
    lock.pragma(`busy_timeout = ${lockTimeout}`)
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock?.close()
    if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw asStudyError(cause, folder)
    throw new TvnError('ERR_STUDY', `${folder} is in use by another search${holder(folder)}`, { hint: 'wait until it ends, or stop it', cause })
  }
}

/** So that study.db alone holds the whole study, whoever copies it. Without it nothing is lost: the next connection reads the log. */
function moveLogIntoDatabase(database: Database.Database): void {
  try {
    database.pragma('wal_checkpoint(TRUNCATE)')
  } catch {
    // A full disk: the log stays beside the database.
  }
}

/** Closing alone leaves libsql's transaction, and so the lock, until the object is collected. */
function release(lock: Database.Database): void {
  lock.exec('ROLLBACK')
  lock.close()
}

function holder(folder: string): string {
  try {
    const database = connect(folder)
    const row = database.prepare('SELECT pid FROM holder').get() as { pid: number } | undefined
    database.close()
    return row ? `, process ${row.pid}` : ''
  } catch {
    return ''
  }
}

/** Every commit is flushed to the disk before it returns (write-ahead log, synchronous FULL). */
function connect(folder: string): Database.Database {
  try {
    const database = new Database(path.join(folder, studyFile))
    database.pragma(`busy_timeout = ${busyTimeout}`)
    requireOwn(database, folder)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    return database
  } catch (error) {
    throw asStudyError(error, folder)
  }
}

function requireOwn(database: Database.Database, folder: string): void {
  const { id } = database.prepare('SELECT application_id AS id FROM pragma_application_id').get() as { id: number }
  const { tables } = database.prepare('SELECT COUNT(*) AS tables FROM sqlite_master').get() as { tables: number }
  if (id === applicationId || (id === 0 && tables === 0)) return
  throw new TvnError('ERR_STUDY', `${path.join(folder, studyFile)} is the database of another program`, { hint: 'choose another folder' })
}

function prepareTables(database: Database.Database): void {
  database.exec(`
    BEGIN IMMEDIATE;
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${schemaVersion};
    CREATE TABLE IF NOT EXISTS journal (sequence INTEGER PRIMARY KEY, elapsed REAL NOT NULL, kind TEXT NOT NULL, trial INTEGER, event TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS holder (id INTEGER PRIMARY KEY, pid INTEGER NOT NULL);
    COMMIT;
  `)
}

function eventsIn(database: Database.Database, folder: string): StoredEvent[] {
  try {
    const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'journal'").get()
    if (exists === undefined) return []
    const [{ user_version: version }] = database.pragma('user_version') as [{ user_version: number }]
    if (version !== schemaVersion) throw new TvnError('ERR_STUDY', `${folder}: its journal has format ${version}, this version of tvn reads ${schemaVersion}`)
    const rows = database.prepare('SELECT elapsed, event FROM journal ORDER BY sequence').all() as { elapsed: number; event: string }[]
    return rows.map(({ elapsed, event }) => ({ event: JSON.parse(event) as StudyEvent, elapsed }))
  } catch (error) {
    throw asStudyError(error, folder)
  }
}

function asStudyError(error: unknown, folder: string): TvnError {
  if (error instanceof TvnError) return error
  return new TvnError('ERR_STUDY', `${path.join(folder, studyFile)}: ${(error as Error).message}`, { cause: error })
}
