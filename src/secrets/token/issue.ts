/**
 * Giving tokens: the row of a new one, or the text of one that has none.
 *
 * Owns what must be written when a token comes to be, and how it is told as `auth`. Whether it may
 * be given is decided by who calls. Pure.
 */
import type { Auth } from '../declare.ts'
import { countsHolders } from '../quota/quota.ts'
import type { Draft } from '../storage.ts'
import { accessorOf } from './accessor.ts'
import { newBatchSecret } from './batch.ts'
import { cleanPolicies } from './policies.ts'
import { hashIn, newSecret, type TokenRow, writeToken } from './token.ts'

/** What a token is to be; what follows from it and from now is left out. */
export type NewToken = Omit<
  TokenRow,
  'accessor' | 'createdAtMs' | 'expiresAtMs' | 'lastRenewalMs' | 'ending' | 'isCounted'
>

/** A token that was given, with its secret: it is told once. */
export interface Issued {
  readonly secret: string
  readonly hash: string
  readonly row: TokenRow
}

/** Gives a token; `customId` is a secret that somebody else drew. */
export function issueToken(draft: Draft, wanted: NewToken, customId = ''): Issued {
  const { now, barrier } = draft
  const { namespaceId, ttlMs } = wanted
  const row = {
    ...{ ...wanted, accessor: '', createdAtMs: now, lastRenewalMs: 0 },
    expiresAtMs: ttlMs === 0 ? 0 : now + ttlMs,
    ...(countsHolders(draft) ? { isCounted: true as const } : {}),
  }
  if (wanted.type === 'batch') {
    const secret = newBatchSecret(draft, row)
    return { secret, hash: hashIn(barrier, secret), row }
  }
  const secret = customId === '' ? newSecret(draft.random, namespaceId) : customId
  const hash = hashIn(barrier, secret)
  const named = { ...row, accessor: accessorOf(barrier, { hash, namespaceId }) }
  writeToken(draft, hash, named)
  return { secret, hash, row: named }
}

/** A token as `auth`, for who is given it or has renewed it; `leftMs` is how long it lives. */
export function authOf(
  { secret, row }: Pick<Issued, 'secret' | 'row'>,
  identityPolicies: readonly string[],
  leftMs = row.ttlMs,
): Auth {
  return {
    client_token: secret,
    accessor: row.accessor,
    policies: cleanPolicies([...row.policies, ...identityPolicies]),
    ...(row.policies.length > 0 ? { token_policies: row.policies } : {}),
    ...(identityPolicies.length > 0 ? { identity_policies: identityPolicies } : {}),
    metadata: row.meta,
    lease_duration: Math.floor(leftMs / 1_000),
    renewable: row.renewable,
    entity_id: row.entityId,
    token_type: row.type,
    orphan: row.parent === undefined,
    mfa_requirement: null,
    num_uses: row.numUses,
  }
}
