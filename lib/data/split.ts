import type { Quarantined, Sample, Split, Task } from './dataset.js'
import type { ListedSample, Listing } from './source.js'

const shares = { val: 0.15, test: 0.15 } as const
/** What is tested on is never trained on. */
const firstClaim: readonly Split[] = ['test', 'val', 'train']

/**
 * Gives every sample its split, so that no content is in two: where splits are given, content in several stays in test before val
 * before train. Samples without a split are shared out class by class in the order of their hashes, 15 % each to val and test as
 * far as those are open; a class of two files or more has one in val, of three or more one in test. A second copy of a file is left out.
 */
export function assignSplits({ samples, open }: Listing, hashOf: (path: string) => string): { samples: Sample[]; quarantined: Quarantined[] } {
  const quarantined: Quarantined[] = []
  const distinct = withoutCopies(samples, hashOf, quarantined)
  const given = new Map<string, ListedSample>()
  for (const split of firstClaim) {
    for (const sample of distinct) if (sample.split === split && !given.has(hashOf(sample.path))) given.set(hashOf(sample.path), sample)
  }
  const shared = shareOut(
    distinct.filter(({ split, path }) => split === undefined && !given.has(hashOf(path))),
    open,
    hashOf,
  )
  const assigned = distinct.flatMap((sample): Sample[] => {
    const hash = hashOf(sample.path)
    const claim = given.get(hash)
    const split = claim?.split ?? shared.get(hash)
    if (split !== undefined && (sample.split === undefined || sample.split === split)) return [{ ...sample, split }]
    quarantined.push({ path: sample.path, reason: `the same video is in the ${split} split (${claim?.path})` })
    return []
  })
  return { samples: assigned, quarantined }
}

function withoutCopies(samples: readonly ListedSample[], hashOf: (path: string) => string, quarantined: Quarantined[]): ListedSample[] {
  const seen = new Map<string, ListedSample>()
  const ranked = firstClaim.flatMap((split) => samples.filter((sample) => sample.split === split)).concat(samples.filter(({ split }) => split === undefined))
  for (const sample of ranked) {
    const key = `${hashOf(sample.path)} ${sample.start ?? ''} ${sample.end ?? ''}`
    const first = seen.get(key)
    if (first === undefined) {
      seen.set(key, sample)
    } else {
      const otherwise = first.labels.join() === sample.labels.join() ? '' : `, which is labelled ${first.labels.join(', ') || 'nothing'}`
      quarantined.push({ path: sample.path, reason: `a copy of ${first.path}${otherwise}` })
    }
  }
  return samples.filter((sample) => seen.get(`${hashOf(sample.path)} ${sample.start ?? ''} ${sample.end ?? ''}`) === sample)
}

/** Split of each content. */
function shareOut(samples: readonly ListedSample[], open: readonly Split[], hashOf: (path: string) => string): Map<string, Split> {
  const hashesOfClass = new Map<string, Set<string>>()
  const placed = new Set<string>()
  for (const { path, labels } of samples) {
    const hash = hashOf(path)
    if (placed.has(hash)) continue
    placed.add(hash)
    const label = labels[0] ?? ''
    hashesOfClass.set(label, (hashesOfClass.get(label) ?? new Set()).add(hash))
  }
  const split = new Map<string, Split>()
  for (const hashes of hashesOfClass.values()) {
    const sorted = [...hashes].sort()
    const n = sorted.length
    const val = open.includes('val') && n >= 2 ? Math.max(1, Math.round(shares.val * n)) : 0
    const test = open.includes('test') && n >= 2 + Math.sign(val) ? Math.max(1, Math.round(shares.test * n)) : 0
    sorted.forEach((hash, i) => split.set(hash, i < test ? 'test' : i < test + val ? 'val' : 'train'))
  }
  return split
}

/**
 * Leaves out what cannot be learnt: samples of a class without a training video. Returns the classes that stay, sorted.
 * For multi-label samples such a label alone is dropped. Without any training video nothing is to be learnt, and all stay.
 */
export function keepTrainable<S extends Sample>(samples: readonly S[], task: Task): { labels: string[]; samples: S[]; quarantined: Quarantined[] } {
  const training = samples.filter(({ split }) => split === 'train')
  const labels = [...new Set((training.length > 0 ? training : samples).flatMap((sample) => sample.labels))].sort()
  const known = new Set(labels)
  const quarantined: Quarantined[] = []
  const kept = samples.flatMap((sample): S[] => {
    const missing = sample.labels.filter((label) => !known.has(label))
    if (missing.length === 0) return [sample]
    if (task === 'multi-label') return [{ ...sample, labels: sample.labels.filter((label) => known.has(label)) }]
    quarantined.push({ path: sample.path, reason: `its class ${missing.join(', ')} has no training video` })
    return []
  })
  return { labels, samples: kept, quarantined }
}
