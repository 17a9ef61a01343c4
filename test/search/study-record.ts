import type { StudyRecord } from '../../lib/search/events.js'
import { spaces } from '../../lib/space/space.js'

/** The record of a study that tests begin. */
export const record: StudyRecord = {
  study: 'test',
  version: '0.0.0',
  machine: { id: '0123456789abcdef', cpu: 'test', features: [], isa: 'reference', governor: 'unknown', kernel: 'test', engine: '0.0.0' },
  dataKey: 'data',
  data: 'demo',
  space: spaces.small,
  sampler: 'evolution',
  trials: 14,
  time: null,
  population: 4,
  tournament: 2,
  seed: 3,
  workers: 1,
  device: 'cpu',
  limits: ['p90<1ms@99%'],
  maxParams: 100_000,
  iterations: 10,
  finalIterations: 25,
}
