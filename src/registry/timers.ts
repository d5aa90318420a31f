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
import {
  type LockDelayRow,
  lockDelays,
  type SessionRow,
  sessions,
} from '../store/tables/session.ts'
import type { AnyDeadlineKind, DeadlineKind } from '../store/timekeeper.ts'
import { dropLapsed, lapseCheck, registrationTtlMs } from './registration-ttl.ts'
import { lapseSession } from './session.ts'

/** A session with a TTL; renewals start its time over. */
export const sessionTtl: DeadlineKind<SessionRow> = {
  name: 'session',
  table: sessions,
  due: ({ row: { ttlMs } }) =>
    ttlMs === 0 ? undefined : { afterMs: ttlMs * limits.sessionTtlFactor },
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

/** All kinds of the registry, for the timekeeper. */
export const registryTimers = (deregisterMinMs: number): readonly AnyDeadlineKind[] => [
  sessionTtl,
  lockDelay,
  checkTtl,
  checkCritical(deregisterMinMs),
]
