/**
 * Providers: what a group of clients gets to know of the people who log in to them.
 *
 * Owns the one that is always there, its issuer, which clients may use one, and the public keys
 * that their tokens are looked at with. Pure.
 */
import type { Namespace } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { clientById } from './client.ts'
import { issuerAt } from './issuer.ts'
import { type KeySet, keyAt, keySetOf } from './key.ts'
import { DEFAULT, isName, keyRows, type ProviderRow, providerRows, usersOf } from './rows.ts'

const DEFAULT_PROVIDER: ProviderRow = { issuer: '', allowedClientIds: ['*'], scopesSupported: [] }

/** The provider of a name, which may be anything. The row must not be changed. */
export function providerAt(
  draft: Draft,
  namespaceId: string,
  name: string,
): ProviderRow | undefined {
  if (!isName(name)) return undefined
  const row = providerRows(draft, namespaceId).kept<ProviderRow>(name)
  return row ?? (name === DEFAULT ? DEFAULT_PROVIDER : undefined)
}

/** Whom its tokens say that they are from. */
export const providerIssuer = (
  { issuer }: ProviderRow,
  name: string,
  address: string,
  namespace: Pick<Namespace, 'path'>,
): string => `${issuerAt(issuer, address, namespace)}/provider/${name}`

/** Whether a client may use it. */
export const letsIn = ({ allowedClientIds }: ProviderRow, clientId: string): boolean =>
  allowedClientIds.includes('*') || allowedClientIds.includes(clientId)

/** The public keys of all keys that its clients' tokens are signed with. */
export function providerKeySet(
  draft: Draft,
  namespaceId: string,
  { allowedClientIds }: ProviderRow,
): KeySet {
  const names = allowedClientIds.includes('*')
    ? keyRows(draft, namespaceId)
        .keys()
        .filter(name => usersOf(draft, namespaceId, name, 'client', 1).length > 0)
    : allowedClientIds.flatMap(id => clientById(draft, namespaceId, id)?.key ?? [])
  const rows = [...new Set(names)].flatMap(name => keyAt(draft, namespaceId, name) ?? [])
  return keySetOf(rows, draft.now)
}
