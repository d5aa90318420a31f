/**
 * What ends by time in the registry: sessions that nobody renewed, lock delays, and registrations
 * that nobody repeated.
 *
 * Owns when each is due. All are liveness: their time starts over when another server takes the
 * timekeeper's role, so that a lock is freed late, never early. Pure.
 */
import { limits } from '../base/limits.ts'
import { del } from '../store/store.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { type Ending, type EndingRow, endings } from '../store/tables/ending.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import {
  type LockDelayRow,
  lockDelays,
  type SessionRow,
  sessions,
} from '../store/tables/session.ts'
import type { AnyDeadlineKind, DeadlineKind, Due } from '../store/timekeeper.ts'
import { stepKvTree, stepNode, stepSession } from './ending.ts'
import { dropLapsed, lapseCheck, registrationTtlMs } from './registration-ttl.ts'
import { lapseSession } from './session.ts'

/** A session with a TTL; renewals start its time over. */
export const sessionTtl: DeadlineKind<SessionRow> = {
  name: 'session',
  table: sessions,
  due: ({ row: { ttlMs, ending } }) =>
    ttlMs === 0 || ending ? undefined : { afterMs: ttlMs * limits.sessionTtlFactor },
  expire: id => view => lapseSession(view, id),
}

const lockDelay: DeadlineKind<LockDelayRow> = {
  name: 'lock-delay',
  table: lockDelays,
  due: ({ row: { delayMs } }) => ({ afterMs: delayMs }),
  expire: key => () => ({ txn: [del(lockDelays, key)], answer: undefined }),
}

/** A check of the catalog with a TTL; whoever registers it again starts its time over. */
export const checkTtl: DeadlineKind<CheckRow> = {
  name: 'check-ttl',
  table: checks,
  due({ row }) {
    const ttlMs = registrationTtlMs(row)
    return ttlMs === 0 || row.status === CheckStatus.critical ? undefined : { afterMs: ttlMs }
  },
  expire: key => view => lapseCheck(view, key),
}

/** Such a check that stays critical; what it stands for goes no sooner than `deregisterMinMs`. */
const checkCritical = (deregisterMinMs: number): DeadlineKind<CheckRow> => ({
  name: 'check-critical',
  table: checks,
  due({ row }) {
    const { deregisterCriticalServiceAfterMs: afterMs = 0 } = row.definition
    if (afterMs <= 0 || registrationTtlMs(row) === 0) return undefined
    if (row.status !== CheckStatus.critical) return undefined
    return { afterMs: Math.max(afterMs, deregisterMinMs) }
  },
  expire: key => view => dropLapsed(view, key),
})

/** When work in several transactions is gone on with here: its server may have ended. */
function resting(ending: Ending | undefined): Due | undefined {
  if (ending === undefined) return undefined
  return { afterMs: ending === 'resumed' ? 0 : limits.endingTakeoverMs }
}

const endingSession: DeadlineKind<SessionRow> = {
  name: 'session-ending',
  table: sessions,
  due: ({ row }) => resting(row.ending),
  expire: id => view => stepSession(view, id, 'resumed'),
}

const endingNode: DeadlineKind<NodeRow> = {
  name: 'node-ending',
  table: nodes,
  due: ({ row }) => resting(row.ending),
  expire: key => view => stepNode(view, key, 'resumed'),
}

const endingTree: DeadlineKind<EndingRow> = {
  name: 'tree-ending',
  table: endings,
  due: ({ row }) => resting(row.ending),
  expire: prefix => view => stepKvTree(view, prefix, 'resumed'),
}

/** All kinds of the registry, for the timekeeper. */
export const registryTimers = (deregisterMinMs: number): readonly AnyDeadlineKind[] => [
  sessionTtl,
  lockDelay,
  checkTtl,
  checkCritical(deregisterMinMs),
  endingSession,
  endingNode,
  endingTree,
]
