import type { Quarantined, Split } from './dataset.js'

/** A sample as a dataset's format lists it, before its file was looked at. */
export interface ListedSample {
  readonly id: string
  readonly path: string
  readonly start?: number
  readonly end?: number
  readonly labels: readonly string[]
  /** Absent: to be decided. */
  readonly split?: Split
}

/** What a dataset's format finds. */
export interface Listing {
  readonly samples: readonly ListedSample[]
  /** Splits that the samples without one are shared out to. */
  readonly open: readonly Split[]
  /** Folders that cannot be read. */
  readonly quarantined?: readonly Quarantined[]
}

/** For messages about datasets that are not laid out as one. */
export const expectedLayout = 'expected <folder>/{train,val,test}/<class>/*.mp4, <folder>/<class>/*.mp4 or <folder>/manifest.jsonl'
