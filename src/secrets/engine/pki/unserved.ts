/**
 * What of Vault's Enterprise edition an authority here does not do: it says so.
 *
 * Owns the list.
 */
import type { PathSpec } from '../../declare.ts'
import { notServedYet } from '../unserved.ts'

const UNSERVED: readonly (readonly [pattern: string, what: string])[] = [
  ['unified-crl/{path*}', 'lists over several clusters'],
  ['unified-ocsp/{path*}', 'lists over several clusters'],
  ['certs/unified-revoked', 'lists over several clusters'],
  ['certs/revocation-queue', 'lists over several clusters'],
  ['cert-metadata/{path*}', 'metadata of certificates'],
  ['certs/metadata', 'metadata of certificates'],
  ['config/est', 'EST'],
  ['est/{path*}', 'EST'],
  ['config/scep', 'SCEP'],
  ['scep/{path*}', 'SCEP'],
  ['config/cmp', 'CMPv2'],
  ['cmp/{path*}', 'CMPv2'],
  ['config/external-policy', 'policies of other services'],
  ['external-policy/{path*}', 'policies of other services'],
]

/** The paths that are not served. */
export const unservedPaths: readonly PathSpec[] = UNSERVED.map(([pattern, what]) =>
  notServedYet(pattern, what),
)
