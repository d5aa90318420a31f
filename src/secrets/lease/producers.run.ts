/**
 * Which paths have given the most leases that still live: where a flood comes from.
 *
 * Owns the counting, by the keys of leases alone: none is opened. Of each mount no more are looked
 * at than a bound says, mount by mount with the loop given back between. Works on a view, before
 * any transaction.
 */
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import { mountsOf, wholePathOf } from '../mount/mount.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { tokenLeaseFolders, tokenLeasesIn } from '../token/token.ts'
import { leaseRows } from './lease.ts'

/** A path that gives leases, and how many of them live. */
export interface Producer {
  readonly path: string
  readonly leases: number
  /** Whether its mount has more than were looked at. */
  readonly hasMore: boolean
}

/** The paths of a namespace that have the most leases, those with most first. */
export async function leaseProducers(draft: Draft, namespace: Namespace): Promise<Producer[]> {
  const found: Producer[] = []
  const mounts = [...mountsOf(draft, namespace, 'secret'), ...mountsOf(draft, namespace, 'auth')]
  await inSlices(
    mounts,
    mount => {
      const { counts, hasMore } = countUnder(draft, namespace.id, wholePathOf(mount))
      for (const [path, leases] of counts) found.push({ path, leases, hasMore })
    },
    1,
  )
  return found.sort((one, other) => other.leases - one.leases || (one.path < other.path ? -1 : 1))
}

/** How many leases live by the paths under a folder that gave them. */
function countUnder(draft: Draft, namespaceId: string, folder: string) {
  const counts = new Map<string, number>()
  let left = limits.countedLeasesOfMount
  const keys = leaseRows(draft, namespaceId).keys(folder, left + 1)
  for (const key of keys.slice(0, left)) {
    const path = folder + key.slice(0, Math.max(0, key.lastIndexOf('/')))
    counts.set(path, (counts.get(path) ?? 0) + 1)
  }
  left -= keys.length
  for (const given of tokenLeaseFolders(draft, namespaceId, folder)) {
    if (left < 0) break
    const { length } = tokenLeasesIn(draft, namespaceId, given, left + 1)
    const path = given.slice(0, -1)
    const counted = Math.min(length, left)
    if (counted > 0) counts.set(path, (counts.get(path) ?? 0) + counted)
    left -= length
  }
  return { counts, hasMore: left < 0 }
}
