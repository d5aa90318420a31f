/**
 * Logins that wait for their second factor: whoever logged in was recognised, and has no token.
 *
 * Owns their rows: behind the barrier in the store, so that any server may finish what another one
 * began, each once, and none for long. An entity has few at a time: the oldest goes for a new one.
 * Found by the hash of an id, which lies nowhere. Pure.
 */
import { limits } from '../../base/limits.ts'
import type { Draft, Storage } from '../storage.ts'
import type { Login } from '../token/login.ts'
import { dueAt } from './attempt.ts'

export interface PendingRow {
  readonly login: Login
  readonly entityId: string
  /** Of the mount that it was at. */
  readonly mountUuid: string
  readonly mountPath: string
  /** Below the mount. */
  readonly path: string
  /** What the request said of a role; quotas count by it. */
  readonly role: string
  /** How often its second factors were not right. */
  readonly failures: number
}

/** Pending logins of an entity, the oldest first. */
interface ListRow {
  readonly hashes: readonly string[]
}

const AREA = 'mfa-logins'
const rowsOf = (draft: Draft, namespaceId: string): Storage => draft.area(namespaceId, AREA)
const placeOf = (hash: string): string => `login/${hash}`
const listOf = (entityId: string): string => `entity/${entityId}`

const hashOf = (draft: Draft, id: string): string => draft.barrier.hashOf(`mfa login\0${id}`)

/** Keeps a login; gives the id that it is finished by. */
export function putPending(draft: Draft, namespaceId: string, row: PendingRow): string {
  const id = draft.random.uuid()
  const rows = rowsOf(draft, namespaceId)
  const hash = hashOf(draft, id)
  const due = dueAt(draft.now + limits.mfaLoginMs)
  const { hashes = [] } = rows.kept<ListRow>(listOf(row.entityId)) ?? {}
  const alive = hashes.filter(one => rows.has(placeOf(one)))
  const stays = alive.slice(Math.max(0, alive.length - limits.mfaLoginsOfEntity + 1))
  for (const one of alive.slice(0, alive.length - stays.length)) rows.delete(placeOf(one))
  rows.put(placeOf(hash), row, due)
  rows.put(listOf(row.entityId), { hashes: [...stays, hash] } satisfies ListRow, due)
  return id
}

/** The login of an id; undefined where there is none, or none any more. */
export function pendingOf(draft: Draft, namespaceId: string, id: string): PendingRow | undefined {
  const rows = rowsOf(draft, namespaceId)
  const place = placeOf(hashOf(draft, id))
  const dueMs = rows.dueMs(place)
  return dueMs === undefined || dueMs <= draft.now ? undefined : rows.kept<PendingRow>(place)
}

/** Takes a login away: it is finished. */
export const endPending = (draft: Draft, namespaceId: string, id: string): void =>
  rowsOf(draft, namespaceId).delete(placeOf(hashOf(draft, id)))

/** Counts that the second factors of a login were not right; too often ends it. */
export function countPending(draft: Draft, namespaceId: string, id: string): void {
  const rows = rowsOf(draft, namespaceId)
  const place = placeOf(hashOf(draft, id))
  const row = rows.kept<PendingRow>(place)
  const dueMs = rows.dueMs(place)
  if (row === undefined || dueMs === undefined) return
  const failures = row.failures + 1
  if (failures >= limits.mfaLoginFailures) rows.delete(place)
  else rows.put(place, { ...row, failures }, dueAt(dueMs))
}
