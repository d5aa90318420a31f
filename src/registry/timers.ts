/**
 * What ends by time in the registry: sessions that nobody renewed, and lock delays.
 *
 * Owns when each is due. Both are liveness: their time starts over when another server takes the
 * timekeeper's role, so that a lock is freed late, never early. Pure.
 */
import { limits } from '../base/limits.ts'
import { del } from '../store/store.ts'
import {
  type LockDelayRow,
  lockDelays,
  type SessionRow,
  sessions,
} from '../store/tables/session.ts'
import type { AnyDeadlineKind, DeadlineKind } from '../store/timekeeper.ts'
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

/** All kinds of the registry, for the timekeeper. */
export const registryTimers: readonly AnyDeadlineKind[] = [sessionTtl, lockDelay]
