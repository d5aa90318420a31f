/**
 * Who asks: a token with its entity and what its policies allow.
 *
 * Owns looking at the token of a request in the view that the request is decided on. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { Draft } from '../storage.ts'
import { namespaceIdIn, type TokenRow, tokenRows } from './token.ts'

export interface VaultPrincipal {
  /** The hash that the token's row is found by. */
  readonly hash: string
  readonly token: TokenRow
  /** Names of all policies that hold: the token's, its entity's and its groups'. */
  readonly policies: readonly string[]
  readonly isRoot: boolean
}

/** What every refusal of a right says, in the form of Go's multierror. */
export const DENIED = new Refusal(403, '1 error occurred:\n\t* permission denied\n\n')
/** What is said to a token that is nobody's: revoked, over, or never given. */
export const INVALID = new Refusal(
  403,
  '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n',
)

/** Who shows a token. */
export function principalOf(draft: Draft, secret: string): VaultPrincipal | Refusal {
  if (secret === '') return DENIED
  const hash = draft.barrier.hashOf(secret)
  const token = tokenRows(draft, namespaceIdIn(secret)).kept<TokenRow>(hash)
  if (token === undefined) return INVALID
  if (token.expiresAtMs > 0 && token.expiresAtMs <= draft.now) return INVALID
  const { policies } = token
  return { hash, token, policies, isRoot: policies.includes('root') }
}
