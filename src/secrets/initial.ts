/**
 * What there is at the beginning: the rows of a barrier that was just made.
 *
 * Owns the first mounts and the first token. Pure.
 */
import { mountBuiltIn } from './mount/mount.ts'
import { ROOT } from './namespace/namespace.ts'
import type { Draft } from './storage.ts'
import { newAccessor, putToken, type TokenRow } from './token/token.ts'

/** Writes the rows that every barrier begins with; the first token has the given secret. */
export function writeInitialRows(draft: Draft, rootSecret: string): void {
  mountBuiltIn(draft, ROOT.id)
  putToken(draft, draft.barrier.hashOf(rootSecret), rootToken(draft))
}

/** A token that may do everything and does not end. */
export const rootToken = (draft: Draft): TokenRow => ({
  accessor: newAccessor(draft.random, ROOT.id),
  parent: '',
  policies: ['root'],
  path: 'auth/token/root',
  meta: null,
  displayName: 'root',
  numUses: 0,
  createdAtMs: draft.now,
  ttlMs: 0,
  expiresAtMs: 0,
  explicitMaxTtlMs: 0,
  periodMs: 0,
  renewable: false,
  role: '',
  boundCidrs: [],
  entityId: '',
  lastRenewalMs: 0,
  namespaceId: ROOT.id,
  mountAccessor: '',
  internal: {},
})
