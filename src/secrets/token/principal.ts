/**
 * Who asks: a token with its entity and what its policies allow.
 *
 * Owns looking at the token of a request in the view that the request is decided on. Pure.
 */

import { type Bytes, toText } from '../../base/bytes.ts'
import type { Refusal } from '../../base/errors.ts'
import { grantedToken } from '../grant/grant.ts'
import { type Identity, identityOf } from '../identity/context.ts'
import { namespaceById } from '../namespace/namespace.ts'
import { DENIED, INVALID } from '../refusals.ts'
import type { Draft } from '../storage.ts'
import { isFrom } from './cidr.ts'
import { cleanPolicies, ROOT_POLICY } from './policies.ts'
import { type Target, tokenOfSecret } from './target.ts'
import type { TokenRow } from './token.ts'

export interface VaultPrincipal {
  /** What was shown. It is told to nobody but who showed it, and kept nowhere. */
  readonly secret: string
  /** The hash that the token's row is found by. */
  readonly hash: string
  readonly token: TokenRow
  /** Names of all policies that hold: the token's, its entity's and its groups'. */
  readonly policies: readonly string[]
  readonly isRoot: boolean
  /** Of the token's entity; undefined where it has none. */
  readonly identity: Identity | undefined
}

/**
 * Who shows a token, from an address. `registryKey` is the key of the row that it would have in the
 * registry; undefined where it cannot be one of the registry's.
 */
export function principalOf(
  draft: Draft,
  secret: string,
  remote: string,
  registryKey?: Bytes,
): VaultPrincipal | Refusal {
  if (secret === '') return DENIED
  const found = tokenOfSecret(draft, secret) ?? granted(draft, secret, registryKey)
  if (found === undefined) return INVALID
  const { token, place } = found
  // Nothing of a namespace that goes is served any more, its tokens elsewhere neither.
  if (namespaceById(draft, token.namespaceId) === undefined) return INVALID
  // A token without an end is an operator's last resort: it is bound to no address.
  if (token.ttlMs > 0 && !isFrom(token.boundCidrs, remote)) return DENIED
  const { entityId, namespaceId } = token
  const identity = entityId === '' ? undefined : identityOf(draft, namespaceId, entityId)
  if (entityId !== '' && (identity === undefined || identity.isDisabled)) return DENIED
  return {
    ...{ secret, hash: place.hash, token, identity },
    policies: policiesOf(token, identity),
    isRoot: token.policies.includes(ROOT_POLICY),
  }
}

/** The token of the registry that a secret is, where it was granted something. */
function granted(draft: Draft, secret: string, registryKey: Bytes | undefined): Target | undefined {
  if (registryKey === undefined) return undefined
  const token = grantedToken(draft, registryKey)
  if (token === undefined) return undefined
  return { place: { namespaceId: token.namespaceId, hash: toText(registryKey) }, token, secret }
}

/** Joined once for each pair: rows are kept, and so is the list that a pair comes to. */
const joined = new WeakMap<TokenRow, { identity: Identity; policies: readonly string[] }>()

function policiesOf(token: TokenRow, identity: Identity | undefined): readonly string[] {
  if (identity === undefined || identity.policies.length === 0) return token.policies
  const known = joined.get(token)
  if (known?.identity === identity) return known.policies
  const policies = cleanPolicies([...token.policies, ...identity.policies])
  joined.set(token, { identity, policies })
  return policies
}
