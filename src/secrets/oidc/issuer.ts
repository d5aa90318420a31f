/**
 * Who a token says that it is from: an address, and below it where its public keys are.
 *
 * Owns what may be said of it and what it comes to. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { CONFIG, type ConfigRow, configRows } from './rows.ts'

const IS_SET =
  'If "issuer" is set explicitly, all tokens must be validated against that address, including ' +
  'those issued by secondary clusters. Setting issuer to "" will restore the default behavior of ' +
  "using the cluster's api_addr as the issuer."

const IS_OWN =
  'No "issuer" is set, and servers that clients reach at several addresses answer: each says its ' +
  'own in what it issues. Set it to an address that all are reached by.'

/** What is told to who sets an issuer, or sets none; `addresses` are those of all servers. */
export const issuerWarnings = (issuer: string, addresses: readonly string[]): readonly string[] =>
  issuer === '' ? noIssuerWarnings(issuer, addresses) : [IS_SET]

/** The same to who sets up what is issued, where nobody set an issuer. */
export function noIssuerWarnings(issuer: string, addresses: readonly string[]): readonly string[] {
  const known = new Set(addresses.filter(address => address !== ''))
  return issuer === '' && known.size > 1 ? [IS_OWN] : []
}

const ORIGIN = /^https?:\/\/([\w.~-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/

/** The refusal of an issuer that is more than scheme, host and port; '' is none at all. */
export const refuseIssuer = (issuer: string): Refusal | undefined =>
  issuer === '' || (ORIGIN.test(issuer) && URL.canParse(issuer))
    ? undefined
    : new Refusal(
        400,
        'invalid issuer, which must include only a scheme, host, and optional port (e.g. https://example.com:8200)',
      )

/** The configured issuer of a namespace's tokens; '' for none. */
export const configuredIssuer = (draft: Draft, namespaceId: string): string =>
  configRows(draft, namespaceId).kept<ConfigRow>(CONFIG)?.issuer ?? ''

/** What stands behind the address in every issuer of a namespace. */
export const issuerPath = ({ path }: Pick<Namespace, 'path'>): string => `/v1/${path}identity/oidc`

/** The whole issuer: `configured`, or the address of the server that answers. */
export const issuerAt = (
  configured: string,
  address: string,
  namespace: Pick<Namespace, 'path'>,
): string => (configured || address.replace(/\/+$/, '')) + issuerPath(namespace)
