/**
 * What there is at the beginning: the rows of a barrier that was just made.
 *
 * Owns the first mounts and the first token. Pure.
 */
import { mountBuiltIn } from './mount/mount.ts'
import { ROOT } from './namespace/namespace.ts'
import type { Draft } from './storage.ts'
import { issueToken, type NewToken } from './token/issue.ts'

/** Writes the rows that every barrier begins with; without a secret there is no first token. */
export function writeInitialRows(draft: Draft, rootSecret: string): void {
  mountBuiltIn(draft, ROOT.id)
  if (rootSecret !== '') addRootToken(draft, rootSecret)
}

/** A token that may do everything and does not end. */
export const rootTokenRow: NewToken = {
  type: 'service',
  parent: undefined,
  depth: 0,
  policies: ['root'],
  path: 'auth/token/root',
  meta: null,
  displayName: 'root',
  numUses: 0,
  ttlMs: 0,
  explicitMaxTtlMs: 0,
  periodMs: 0,
  renewable: false,
  role: '',
  boundCidrs: [],
  entityId: '',
  namespaceId: ROOT.id,
  mountAccessor: '',
  internal: {},
}

/** Gives such a token; without a secret one is drawn. */
export const addRootToken = (draft: Draft, secret = ''): string =>
  issueToken(draft, rootTokenRow, secret).secret
