/**
 * Making X.509 certificates (RFC 5280): node-forge encodes, node:crypto signs.
 *
 * Owns which extensions a certificate carries and in what form. Draws nothing and looks at no
 * clock: serial numbers and dates are handed in. Must never see a key that it is not to sign with.
 */
import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { isIPv4, SocketAddress } from 'node:net'
import forge from 'node-forge'

/** Parts of a name, in order, by the short names of RFC 4514. */
export type DistinguishedName = readonly (readonly [NamePart, string])[]
export type NamePart = keyof typeof NAME_OIDS

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

/** A PEM text of one block. */
function pemOf(label: string, der: Buffer): string {
  const PEM_COLUMNS = /.{1,64}/g
  const lines = der.toString('base64').match(PEM_COLUMNS) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

const { asn1 } = forge
type Node = forge.asn1.Asn1

const V3 = 2
const NAME_OIDS = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
} as const
/** RFC 5280, 4.2.1.3: bits from the highest on. */
const USAGE_BITS = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const
const USAGE_OIDS = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const
const SUBJECT_KEY_ID = '2.5.29.14'

/** Its types know only the older form. */
type FromDer = (
  bytes: forge.util.ByteStringBuffer,
  options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
) => Node

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const bytesOf = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
/** Bit strings stay as they are: a public key may look like DER by chance. */
const parsed = (der: Uint8Array): Node =>
  (asn1.fromDer as unknown as FromDer)(forge.util.createBuffer(binary(der)), {
    strict: true,
    parseAllBytes: true,
    decodeBitStrings: false,
  })

const universal = (type: forge.asn1.Type, value: string | Node[]): Node =>
  asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== 'string', value)
const sequence = (nodes: Node[]): Node => universal(asn1.Type.SEQUENCE, nodes)
const integer = (bytes: Uint8Array): Node => universal(asn1.Type.INTEGER, binary(bytes))
const octets = (bytes: Uint8Array): Node => universal(asn1.Type.OCTETSTRING, binary(bytes))
const bitString = (bytes: Uint8Array, unusedBits = 0): Node =>
  universal(asn1.Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes))
const oid = (name: string): Node => universal(asn1.Type.OID, asn1.oidToDer(name).getBytes())
const yes = (): Node => universal(asn1.Type.BOOLEAN, String.fromCharCode(0xff))
/** `[tag]` around nodes, or instead of the tag of a primitive. */
const explicit = (tag: number, nodes: Node[]): Node =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, true, nodes)
const implicit = (tag: number, bytes: Uint8Array): Node =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, false, binary(bytes))

/** No leading zeros but the one that keeps a number positive. */
function positive(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex(byte => byte !== 0)
  const rest = Buffer.from(start === -1 ? [0] : bytes.subarray(start))
  return (rest[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), rest]) : rest
}

function nameOf(name: DistinguishedName): Node {
  const parts = name.map(([part, value]) => {
    const bytes = Buffer.from(value, 'utf8')
    const type = part === 'C' ? asn1.Type.PRINTABLESTRING : asn1.Type.UTF8
    const pair = sequence([oid(NAME_OIDS[part]), universal(type, binary(bytes))])
    return universal(asn1.Type.SET, [pair])
  })
  return sequence(parts)
}

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
  const names = [
    ...dnsNames.map(name => implicit(2, Buffer.from(name, 'latin1'))),
    ...uris.map(uri => implicit(6, Buffer.from(uri, 'latin1'))),
    ...addresses.map(address => implicit(7, addressBytes(address))),
  ]
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
    ...(names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(names))]),
    ...(domains.length === 0
      ? []
      : [extension('2.5.29.30', true, sequence([explicit(0, domains)]))]),
  ]
}

const extension = (name: string, critical: boolean, value: Node): Node =>
  sequence([oid(name), ...(critical ? [yes()] : []), octets(bytesOf(value))])

function usageBits(usages: readonly KeyUsage[]): Node {
  const BITS = 8
  const places: number[] = usages.map(usage => USAGE_BITS[usage])
  const byte = places.reduce((sum, place) => sum | (0x80 >> place), 0)
  return bitString(Buffer.of(byte), BITS - 1 - Math.max(...places))
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const { address: plain } = new SocketAddress({ address, family: 'ipv6' })
  const [head = '', tail] = plain.split('::')
  const wordsOf = (text = ''): number[] => (text === '' ? [] : text.split(':').flatMap(readWord))
  const [before, after] = [wordsOf(head), wordsOf(tail)]
  const WORDS = 8
  const gap = Array.from({ length: WORDS - before.length - after.length }, () => 0)
  const words = tail === undefined ? before : [...before, ...gap, ...after]
  return Buffer.from(words.flatMap(word => [word >> 8, word & 0xff]))
}

/** One word of an IPv6 address, or the two that an IPv4 address at its end is. */
function readWord(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)]
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
  return [(a << 8) | b, (c << 8) | d]
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

function signatureOf(key: KeyObject): { hash: string | null; identifier: Node } {
  const none = universal(asn1.Type.NULL, '')
  switch (key.asymmetricKeyType) {
    case 'ec':
      return { hash: 'sha256', identifier: sequence([oid('1.2.840.10045.4.3.2')]) }
    case 'rsa':
      return { hash: 'sha256', identifier: sequence([oid('1.2.840.113549.1.1.11'), none]) }
    case 'ed25519':
      return { hash: null, identifier: sequence([oid('1.3.101.112')]) }
    default:
      throw new Error('the key of the authority must be of EC, RSA or Ed25519')
  }
}
