/**
 * Certificates of the program's own authorities: the agents' CA, the `tls` verb, throwaway ones.
 *
 * Owns their narrow form: DNS names, addresses and URIs, key ids by RFC 7093, and that an authority
 * which is none, or whose key is another, signs nothing.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { signNow } from './algorithm.ts'
import {
  certificateBody,
  type DistinguishedName,
  type ExtendedUsage,
  type KeyUsage,
  type ParsedCertificate,
  readCertificates,
  sha256KeyId,
} from './certificate.ts'
import { pemOf } from './pem.ts'

/** What a certificate of ours is to say. */
export interface OwnContent {
  readonly subject: DistinguishedName
  readonly publicKey: KeyObject
  /** Up to 20 bytes; read as a positive number. */
  readonly serial: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly isAuthority: boolean
  readonly usages: readonly KeyUsage[]
  readonly extendedUsages: readonly ExtendedUsage[]
  readonly dnsNames: readonly string[]
  /** IPv4 and IPv6 addresses. */
  readonly addresses: readonly string[]
  /** In the form that they are compared in; ASCII. */
  readonly uris: readonly string[]
  /** Domains that an authority may sign for; all when empty. */
  readonly permittedDomains: readonly string[]
}

/** Who signs: its certificate in PEM, undefined for one that signs itself, and its key. */
export interface Issuer {
  readonly certificate: string | undefined
  readonly key: KeyObject
}

/** A signed certificate in PEM. Throws where the issuer's certificate or key is not usable. */
export function issueCertificate(content: OwnContent, issuer: Issuer): string {
  const { publicKey, dnsNames, addresses, uris, permittedDomains, ...same } = content
  const certificate =
    issuer.certificate === undefined ? undefined : authorityOf(issuer.certificate, issuer.key)
  const spki = createPublicKeyOf(publicKey).export({ type: 'spki', format: 'der' })
  const names = { dnsNames, addresses, uris }
  const constraints =
    permittedDomains.length === 0
      ? undefined
      : { permitted: { dnsNames: permittedDomains }, excluded: {} }
  const body = certificateBody(
    {
      ...same,
      ...{ spki, names, constraints },
      statesNoAuthority: true,
      subjectKeyId: sha256KeyId(spki),
    },
    { certificate, key: issuer.key },
  )
  return pemOf('CERTIFICATE', signNow(body, issuer.key))
}

const createPublicKeyOf = (key: KeyObject): KeyObject =>
  key.type === 'public' ? key : createPublicKey(key)

function authorityOf(pem: string, key: KeyObject): ParsedCertificate {
  const [certificate] = readCertificates(pem)
  if (certificate === undefined) throw new Error('the authority has no certificate')
  if (!certificate.isAuthority) {
    throw new Error('the certificate of the authority is none of an authority')
  }
  if (!createPublicKey(key).equals(certificate.publicKey)) {
    throw new Error('the key is not the one of the authority')
  }
  return certificate
}
