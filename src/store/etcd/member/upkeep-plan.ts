/**
 * What is to be done about the members' files next: history forgotten, holes given back, alarms.
 *
 * Owns when each is worth its cost. A member that is defragmented answers nothing meanwhile, so it
 * is one at a time, the leader never before it has handed its leadership on, and only where much is
 * to be won. Pure.
 */
import { limits } from '../../../base/limits.ts'
import type { MemberHealth } from './health.ts'

/** Revisions as they were at some times, oldest first. */
export type History = readonly { readonly atMs: number; readonly revision: number }[]

export interface UpkeepSight {
  readonly members: readonly MemberHealth[]
  readonly history: History
  readonly nowMs: number
  /** Up to where history was forgotten already. */
  readonly compacted: number
  readonly quotaSizeBytes: number
  /** What was forgotten when each member was defragmented last, by its id. */
  readonly defragmented: ReadonlyMap<string, number>
}

/** One piece of work. */
export type Work =
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'defragment'; readonly member: MemberHealth }
  | { readonly kind: 'move-leader'; readonly from: MemberHealth; readonly to: MemberHealth }
  /** Members take writes again: there is room. */
  | { readonly kind: 'disarm'; readonly members: readonly MemberHealth[] }

/** The next piece of work, and what an operator must see to. */
export interface Upkeep {
  readonly work: Work | undefined
  readonly trouble: string
}

/** Decides on the next piece of work. */
export function nextUpkeep(sight: UpkeepSight): Upkeep {
  const { members } = sight
  const corrupt = members.filter(({ alarms }) => alarms.includes('CORRUPT'))
  if (corrupt.length > 0) {
    const names = corrupt.map(({ nodeId }) => nodeId).join(', ')
    const trouble =
      `etcd says that data differs between members (CORRUPT: ${names}) and serves nothing: ` +
      'keep all folders, and rebuild from the member that you trust by `operator recover`'
    return { work: undefined, trouble }
  }
  return isFull(members) ? whenFull(sight) : whenWell(sight)
}

const isFull = (members: readonly MemberHealth[]): boolean =>
  members.some(({ alarms }) => alarms.includes('NOSPACE'))

function whenWell(sight: UpkeepSight): Upkeep {
  const { members, nowMs, compacted } = sight
  const revision = revisionAt(sight.history, nowMs - limits.memberHistoryMs)
  if (revision - compacted >= limits.memberCompactRevisions) {
    return { work: { kind: 'compact', revision }, trouble: '' }
  }
  if (members.some(({ isHealthy }) => !isHealthy)) return { work: undefined, trouble: '' }
  const isWorth = (member: MemberHealth): boolean =>
    freeOf(member) >= limits.memberDefragmentSizeBytes && freeOf(member) >= member.sizeBytes / 2
  return { work: defragmentation(members.filter(isWorth), members), trouble: '' }
}

/** Nothing can be put: what is of no use goes first, and the alarm last. */
function whenFull(sight: UpkeepSight): Upkeep {
  const { members, history, nowMs, compacted, quotaSizeBytes, defragmented } = sight
  const revision = revisionAt(history, nowMs - limits.memberHistoryFullMs)
  if (revision > compacted) return { work: { kind: 'compact', revision }, trouble: '' }
  const isOver = ({ sizeBytes }: MemberHealth): boolean =>
    sizeBytes > quotaSizeBytes * limits.memberRoomShare
  // What is in use is told too high while nothing is written: each is tried once.
  const canShrink = members.filter(
    member =>
      isOver(member) && member.version !== '' && defragmented.get(member.memberId) !== compacted,
  )
  const work = defragmentation(canShrink, members)
  if (work !== undefined) return { work, trouble: '' }
  if (!members.some(isOver)) {
    const armed = members.filter(({ alarms }) => alarms.includes('NOSPACE'))
    return { work: { kind: 'disarm', members: armed }, trouble: '' }
  }
  const worst = Math.max(...members.map(({ usedSizeBytes }) => usedSizeBytes))
  const trouble =
    `the store is full: ${mib(worst)} of ${mib(quotaSizeBytes)} MiB are in use and nothing can be ` +
    'freed. Delete what is not needed, or raise store.member.quota_size on all servers'
  return { work: undefined, trouble }
}

const mib = (sizeBytes: number): number => Math.round(sizeBytes / 1_048_576)

const freeOf = ({ sizeBytes, usedSizeBytes }: MemberHealth): number => sizeBytes - usedSizeBytes

/** The one with the most to win; the leader last, and then as a follower. */
function defragmentation(
  wanted: readonly MemberHealth[],
  members: readonly MemberHealth[],
): Work | undefined {
  const byGain = [...wanted].sort((a, b) => freeOf(b) - freeOf(a))
  const member = byGain.find(({ isLeader }) => !isLeader) ?? byGain[0]
  if (member === undefined) return undefined
  if (!member.isLeader) return { kind: 'defragment', member }
  const to = members.find(({ isLeader, isLearner, isHealthy }) => {
    return !isLeader && !isLearner && isHealthy
  })
  if (to !== undefined) return { kind: 'move-leader', from: member, to }
  // Nobody else could lead: a single server pauses for a moment.
  return members.length === 1 ? { kind: 'defragment', member } : undefined
}

/** The newest revision that was there at a time; 0 where that is not known. */
function revisionAt(history: History, atMs: number): number {
  return history.findLast(one => one.atMs <= atMs)?.revision ?? 0
}
