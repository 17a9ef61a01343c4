/** Preloaded into a process: what it writes by descriptor meets a full disk once the folder TVN_TEST_FULL holds five files. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { writeSync } = fs
fs.writeSync = (...given) => {
  if (fs.readdirSync(process.env.TVN_TEST_FULL).length > 5) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  return writeSync(...given)
}
syncBuiltinESMExports()
