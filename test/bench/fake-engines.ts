/** Contenders that misbehave in every way the benchmark has to survive; the network's name says how. Started by rounds.test.ts. */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { serveContender } from '../../bench/serve.js'

/** Every run is noted here, by the number of threads. */
const log = process.env['TVN_FAKE_LOG'] as string

serveContender(async () => async ({ network, threads }) => {
  if (network === 'throws') throw new Error('no such op')
  let runs = 0
  const run = async () => {
    appendFileSync(log, String(threads))
    runs++
    if (network === 'crashes' && runs === 2) process.kill(process.pid, 'SIGSEGV')
    if (network === 'hangs' && runs === 2) for (;;);
    await sleep(network === 'slow' ? 900 : 120)
  }
  return {
    run,
    output: async () => {
      await run()
      return network === 'wrong' ? [1, 2.1] : network === 'coarse' ? [1, 2.03] : [1, 2 + 1e-4 * threads]
    },
  }
})
