/**
 * Tokens of the secrets, as the registry is told of them.
 *
 * Owns which of them may be shown there. A token that is bound to addresses, counts its uses, or
 * holds a wrapped answer is honoured by the secrets alone: the registry looks at who asks for as
 * long as he waits, and from wherever his request was sent on. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { refuseLocked } from '../namespace/lock.ts'
import { namespaceById } from '../namespace/namespace.ts'
import type { PolicyIdentity } from '../policy/mod.ts'
import type { Draft } from '../storage.ts'
import { isWrapping } from '../wrapping/wrap.ts'
import { principalOf } from './principal.ts'
import { tokenOfSecret } from './target.ts'

/** What the registry is told of a token. */
export interface TokenAbroad {
  /** Where its row lies, or would lie. */
  readonly key: string
  /** That of a batch token, which has none, is made of its key. */
  readonly accessor: string
  readonly displayName: string
  /** The path of its namespace. */
  readonly namespace: string
  /** Those of its own namespace. */
  readonly policies: readonly string[]
  readonly entity: Pick<PolicyIdentity, 'id' | 'name' | 'metadata'> | undefined
  /** 0 for never. */
  readonly expiresAtMs: number
}

const NOT_ABROAD = new Refusal(
  403,
  'Permission denied: a token of the secrets that is bound to addresses, or whose uses are counted, is of no use here',
)
const GONE = new Refusal(403, 'ACL not found')
const KEY_CHARS = 16

/** The token of a secret; undefined where there is none, a refusal where it may not be shown. */
export function tokenAbroad(draft: Draft, secret: string): TokenAbroad | Refusal | undefined {
  const found = tokenOfSecret(draft, secret)
  if (found === undefined) return undefined
  const { token, place } = found
  const isBound = token.boundCidrs.length > 0 && token.ttlMs > 0
  if (isBound || token.numUses > 0 || isWrapping(token)) return NOT_ABROAD
  const namespace = namespaceById(draft, token.namespaceId)
  if (namespace === undefined) return GONE
  const locked = refuseLocked(draft, namespace, '')
  if (locked !== undefined) return locked
  const who = principalOf(draft, secret, '')
  if (who instanceof Refusal) return GONE
  return {
    key: `secrets/${place.namespaceId}/${place.hash}`,
    accessor: token.accessor || `batch-${place.hash.slice(0, KEY_CHARS)}`,
    displayName: token.displayName,
    namespace: namespace.path,
    policies: who.policies,
    entity: who.identity?.facts,
    expiresAtMs: token.expiresAtMs,
  }
}
