/**
 * Which token a request is about.
 *
 * Owns how it is named (its secret, its accessor, or by being the one that asks), and that a token
 * is only reached from its own namespace. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { Recent } from '../../base/recent.ts'
import type { Barrier } from '../barrier/keyring.ts'
import type { Call } from '../declare.ts'
import type { Draft } from '../storage.ts'
import { tokenInJwt } from '../wrapping/jwt.ts'
import { placeOfAccessor } from './accessor.ts'
import { batchToken, isBatchSecret } from './batch.ts'
import { namespaceIdIn, placeOf, type TokenPlace, type TokenRow, tokenAt } from './token.ts'

/** A token that a request is about. */
export interface Target {
  readonly place: TokenPlace
  readonly token: TokenRow
  /** '' where the request named it by its accessor. */
  readonly secret: string
}

type Asked = Pick<Call, 'draft' | 'namespace' | 'who'>

/** The token that asks. */
export const ownTarget = ({ who }: Asked): Target => ({
  place: { namespaceId: who!.token.namespaceId, hash: who!.hash },
  token: who!.token,
  secret: who!.secret,
})

/** Where tokens lie that were shown and are there: hashed once, and not for each request. */
const places = new WeakMap<Barrier, Recent<string, TokenPlace>>()

/** The token of a secret, of any namespace; undefined where there is none. */
export function tokenOfSecret(draft: Draft, secret: string): Target | undefined {
  const { barrier } = draft
  const known = places.get(barrier)?.get(secret)
  // A wrapping token may be shown as the JWT that it was given as.
  const place = known ?? placeOf(barrier, tokenInJwt(draft, secret) ?? secret)
  const token = isBatchSecret(secret) ? batchToken(draft, secret) : tokenAt(draft, place)
  if (token === undefined) {
    // One that ended costs what one that never was does.
    if (known !== undefined) placeOf(barrier, secret)
    return undefined
  }
  if (known === undefined) keepPlace(barrier, secret, place)
  return { place, token, secret }
}

function keepPlace(barrier: Barrier, secret: string, place: TokenPlace): void {
  const all = places.get(barrier) ?? new Recent<string, TokenPlace>(limits.keptTokenHashes)
  places.set(barrier, all)
  all.set(secret, place)
}

/** The token of a secret; undefined where there is none, or it is of another namespace. */
export const bySecret = ({ draft, namespace }: Asked, secret: string): Target | undefined =>
  namespaceIdIn(secret) === namespace.id ? tokenOfSecret(draft, secret) : undefined

/** The token of an accessor, of any namespace; undefined where there is none. */
export function tokenOfAccessor(draft: Draft, accessor: string): Target | undefined {
  const place = placeOfAccessor(draft.barrier, accessor)
  const token = place && tokenAt(draft, place)
  return token && { place: place!, token, secret: '' }
}

/** The token of an accessor; undefined where there is none, or it is of another namespace. */
export const byAccessor = ({ draft, namespace }: Asked, accessor: string): Target | undefined =>
  namespaceIdIn(accessor) === namespace.id ? tokenOfAccessor(draft, accessor) : undefined

/** The refusal of reaching into another namespace; undefined where a text is of this one. */
export const acrossNamespaces = (
  { namespace }: Pick<Call, 'namespace'>,
  text: string,
  verb: string,
): Refusal | undefined =>
  namespaceIdIn(text) === namespace.id
    ? undefined
    : new Refusal(400, `cannot ${verb} a token across namespaces`)
