/**
 * Making X.509 certificates (RFC 5280): node-forge encodes, node:crypto signs.
 *
 * Owns which extensions a certificate carries and in what form. Draws nothing and looks at no
 * clock: serial numbers and dates are handed in. Must never see a key that it is not to sign with.
 */
import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import forge from 'node-forge'
import {
  alternativeNames,
  asn1,
  bitString,
  bytesOf,
  type DistinguishedName,
  explicit,
  extension,
  implicit,
  integer,
  type Node,
  nameOf,
  octets,
  oid,
  parsed,
  pemOf,
  positive,
  sequence,
  signatureOf,
  universal,
  yes,
} from './encode.ts'

export type { DistinguishedName } from './encode.ts'

export type KeyUsage = keyof typeof USAGE_BITS
export type ExtendedUsage = keyof typeof USAGE_OIDS

/** What a certificate is to say. */
export interface CertificateContent {
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
export function issueCertificate(content: CertificateContent, issuer: Issuer): string {
  const above = issuer.certificate === undefined ? undefined : authorityOf(issuer.certificate)
  if (above !== undefined) refuseIssuer(above, issuer.key)
  const algorithm = signatureOf(issuer.key)
  const subject = nameOf(content.subject)
  const body = sequence([
    explicit(0, [integer(Buffer.of(V3))]),
    integer(positive(content.serial)),
    algorithm.identifier,
    above === undefined ? subject : above.subject,
    sequence([time(content.notBefore), time(content.notAfter)]),
    subject,
    parsed(content.publicKey.export({ type: 'spki', format: 'der' })),
    explicit(3, [sequence(extensionsOf(content, above?.keyId ?? keyIdOf(content.publicKey)))]),
  ])
  const signature = sign(algorithm.hash, bytesOf(body), issuer.key)
  const whole = sequence([body, algorithm.identifier, bitString(signature)])
  return pemOf('CERTIFICATE', bytesOf(whole))
}

const V3 = 2
/** RFC 5280, 4.2.1.3: bits from the highest on. */
const USAGE_BITS = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const
const USAGE_OIDS = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const
const SUBJECT_KEY_ID = '2.5.29.14'

/** RFC 5280, 4.1.2.5: two digits of the year until 2049. */
function time(date: Date): Node {
  const LAST_SHORT_YEAR = 2049
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() <= LAST_SHORT_YEAR
    ? universal(asn1.Type.UTCTIME, text.slice(2))
    : universal(asn1.Type.GENERALIZEDTIME, text)
}

function extensionsOf(content: CertificateContent, authorityKeyId: Buffer): Node[] {
  const { isAuthority, usages, extendedUsages, permittedDomains } = content
  const { dnsNames, addresses, uris } = content
  const domains = permittedDomains.map(domain =>
    sequence([implicit(2, Buffer.from(domain, 'latin1'))]),
  )
  return [
    extension('2.5.29.19', true, sequence(isAuthority ? [yes()] : [])),
    extension('2.5.29.15', true, usageBits(usages)),
    ...(extendedUsages.length === 0
      ? []
      : [extension('2.5.29.37', false, sequence(extendedUsages.map(use => oid(USAGE_OIDS[use]))))]),
    extension(SUBJECT_KEY_ID, false, octets(keyIdOf(content.publicKey))),
    extension('2.5.29.35', false, sequence([implicit(0, authorityKeyId)])),
    ...alternativeNames({ dnsNames, uris, addresses }),
    ...(domains.length === 0
      ? []
      : [extension('2.5.29.30', true, sequence([explicit(0, domains)]))]),
  ]
}

function usageBits(usages: readonly KeyUsage[]): Node {
  const BITS = 8
  const places: number[] = usages.map(usage => USAGE_BITS[usage])
  const byte = places.reduce((sum, place) => sum | (0x80 >> place), 0)
  return bitString(Buffer.of(byte), BITS - 1 - Math.max(...places))
}

/** RFC 7093, method 1: the first 160 bits of the SHA-256 of the key. */
function keyIdOf(key: KeyObject): Buffer {
  const KEY_ID_SIZE_BYTES = 20
  const info = parsed(createPublicKeyOf(key).export({ type: 'spki', format: 'der' }))
  const [, bits] = info.value as Node[]
  const raw = Buffer.from(String(bits?.value).slice(1), 'latin1')
  return createHash('sha256').update(raw).digest().subarray(0, KEY_ID_SIZE_BYTES)
}

const createPublicKeyOf = (key: KeyObject): KeyObject =>
  key.type === 'public' ? key : createPublicKey(key)

interface Authority {
  readonly certificate: X509Certificate
  /** As it stands there, byte for byte. */
  readonly subject: Node
  readonly keyId: Buffer
}

function authorityOf(pem: string): Authority {
  const certificate = new X509Certificate(pem)
  const [body] = parsed(certificate.raw).value as Node[]
  const fields = (body?.value ?? []) as Node[]
  const SUBJECT = 5
  const subject = fields[SUBJECT]
  if (subject === undefined) throw new Error('the certificate of the authority has no subject')
  return { certificate, subject, keyId: statedKeyId(fields) ?? keyIdOf(certificate.publicKey) }
}

/** The key id in a certificate's extensions. */
function statedKeyId(fields: readonly Node[]): Buffer | undefined {
  const last = fields.at(-1)
  const [list] = (Array.isArray(last?.value) ? last.value : []) as Node[]
  for (const each of (Array.isArray(list?.value) ? list.value : []) as Node[]) {
    const [name, ...rest] = each.value as Node[]
    if (typeof name?.value !== 'string') continue
    if (asn1.derToOid(forge.util.createBuffer(name.value)) !== SUBJECT_KEY_ID) continue
    const inner = Buffer.from(String(rest.at(-1)?.value), 'latin1')
    return Buffer.from(String(parsed(inner).value), 'latin1')
  }
  return undefined
}

function refuseIssuer({ certificate }: Authority, key: KeyObject): void {
  if (!certificate.ca) throw new Error('the certificate of the authority is none of an authority')
  if (!certificate.checkPrivateKey(key)) {
    throw new Error('the key is not the one of the authority')
  }
}
