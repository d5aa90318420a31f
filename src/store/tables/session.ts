/**
 * Sessions and lock delays.
 *
 * Owns rows, codecs, indexes and scopes. A session is found by its node and by the checks whose
 * failure ends it; its deadline is the timekeeper's and stands in no row.
 */
import { defineTable, jsonCodec } from '../table.ts'
import type { Ending } from './ending.ts'
import { fold, onNode, scope } from './names.ts'

export interface SessionRow {
  readonly id: string
  readonly name: string
  readonly node: string
  readonly lockDelayMs: number
  readonly behavior: 'release' | 'delete'
  /** As it was given ('15s'), '' for none; and in milliseconds, 0 for none. */
  readonly ttl: string
  readonly ttlMs: number
  readonly nodeChecks: readonly string[]
  readonly serviceChecks: readonly { readonly id: string; readonly namespace: string }[]
  /** It has ended, and what goes with it is on its way: nobody can renew it or lock by it. */
  readonly ending?: Ending
}

/** The key is the session's id. */
export const sessions = defineTable<SessionRow>({
  name: 'sessions',
  prefix: 'session/',
  codec: jsonCodec(),
  need: ({ ending }) => (ending === undefined ? 'data' : 'upkeep'),
  indexes: {
    node: { guarded: true, values: row => [fold(row.node)] },
    /** Node and check id: whose failure ends the session. */
    check: {
      guarded: true,
      values: row => {
        const ids = [...row.nodeChecks, ...row.serviceChecks.map(({ id }) => id)]
        return [...new Set(ids)].map(id => onNode(row.node, id))
      },
    },
  },
  scopes: row => [scope.sessions, scope.session(row.id), scope.nodeSessions(row.node)],
})

/** A key that was held by a session that ended badly: nobody may lock it while the row is there. */
export interface LockDelayRow {
  readonly delayMs: number
}

/** The key is the KV key. */
export const lockDelays = defineTable<LockDelayRow>({
  name: 'lock-delays',
  prefix: 'lock-delay/',
  codec: jsonCodec(),
  need: () => 'upkeep',
})
