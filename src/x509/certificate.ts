/**
 * X.509 certificates (RFC 5280): what one is to say, made ready to be signed, and what one says
 * that somebody sent.
 *
 * Owns which extensions a certificate carries. Draws nothing and looks at no clock: serial numbers
 * and dates are handed in. Encoding is encode.ts's, reading is der.ts's. What an issuer has in
 * common for all its certificates is encoded once.
 */
import { hash, type KeyObject } from 'node:crypto'
import {
  algorithmName,
  isSignedBy,
  publicKeyOf,
  readScheme,
  type Scheme,
  type SchemeChoice,
  schemeOf,
  type ToSign,
  toSign,
} from './algorithm.ts'
import {
  childOf,
  contextTag,
  counted,
  DerError,
  type DerNode,
  expected,
  hexOfInteger,
  readDer,
  refuseForm,
  smallInteger,
  Tag,
  timeOf,
  wholeBits,
} from './der.ts'
import { ContentError, element, joined, Outer, positive, time } from './encode.ts'
import {
  type AuthorityPlaces,
  authorityInfo,
  authorityKeyId,
  basicConstraints,
  crlPoints,
  extendedUsage,
  extensionDer,
  type KeyUsage,
  type KnownExtensions,
  keyUsage,
  knownExtensions,
  nameConstraints,
  type Policy,
  policiesExtension,
  type RawExtension,
  readExtensions,
  subjectKeyId,
  subjectNames,
} from './extension.ts'
import type { GeneralNames, NameConstraints } from './general-name.ts'
import { type DistinguishedName, nameDer, readName } from './name.ts'
import { pemBlocks, pemOf } from './pem.ts'

export type { ExtendedUsage, KeyUsage, Policy, RawExtension } from './extension.ts'
export type { GeneralNames, NameConstraints } from './general-name.ts'
export type { DistinguishedName } from './name.ts'

/** What a certificate is to say. */
export interface CertificateContent {
  /** A name, or one in DER that is taken as it is. */
  readonly subject: DistinguishedName | Buffer
  /** The key as it stands in the certificate: a SubjectPublicKeyInfo in DER, taken as it is. */
  readonly spki: Buffer
  /** Up to 20 bytes; read as a positive number. */
  readonly serial: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly isAuthority: boolean
  /** How many authorities may stand below this one; any number where undefined. */
  readonly pathLength?: number | undefined
  /** Whether one that is no authority says so; it need not. */
  readonly statesNoAuthority?: boolean | undefined
  /** Whether that is critical; it is unless told otherwise. */
  readonly basicConstraintsCritical?: boolean | undefined
  readonly usages: readonly KeyUsage[]
  /** By name (`serverAuth`) or by dotted identifier. */
  readonly extendedUsages: readonly string[]
  readonly names: Partial<GeneralNames>
  /** The SHA-1 of the key's bits unless told otherwise, as in Go. */
  readonly subjectKeyId?: Buffer | undefined
  readonly constraints?: NameConstraints | undefined
  readonly policies?: readonly Policy[] | undefined
  readonly aia?: AuthorityPlaces | undefined
  /** URLs of the lists of revoked certificates, and of what changed in them. */
  readonly crl?: readonly string[] | undefined
  readonly deltaCrl?: readonly string[] | undefined
  /** Others, behind those above. */
  readonly extra?: readonly RawExtension[] | undefined
}

/** Who signs: its certificate, undefined for one that signs itself, and its key. */
export interface Signer extends SchemeChoice {
  readonly certificate: ParsedCertificate | undefined
  readonly key: KeyObject
}

const VERSION = Buffer.from('a003020102', 'hex')

/**
 * A certificate that lacks its signature alone. Whether the signer may sign it is for the caller to
 * know. Throws ContentError where something of the content has no form.
 */
export function certificateBody(content: CertificateContent, signer: Signer): ToSign {
  const scheme = schemeOf(signer.key, signer)
  const subject = Buffer.isBuffer(content.subject) ? content.subject : nameDer(content.subject)
  const keyId = content.subjectKeyId ?? sha1KeyId(content.spki)
  const above = signer.certificate === undefined ? undefined : partsOf(signer.certificate)
  const issuer = above?.subject ?? subject
  const authority = above?.authorityKeyId ?? authorityKeyId(keyId)
  const extensions = extensionsOf(content, subject, keyId, authority)
  const body = joined(Outer.sequence, [
    VERSION,
    element(Tag.integer, serialBytes(content.serial)),
    scheme.identifier,
    issuer,
    joined(Outer.sequence, [time(content.notBefore), time(content.notAfter)]),
    subject,
    content.spki,
    joined(Outer.extensions, [joined(Outer.sequence, extensions)]),
  ])
  return toSign(body, scheme)
}

function serialBytes(serial: Uint8Array): Buffer {
  const SIZE_BYTES = 20
  const bytes = positive(serial)
  // Twenty bytes with the highest bit set become twenty-one, which RFC 5280 does not allow.
  if (bytes.length > SIZE_BYTES + 1) throw new ContentError('a serial number of too many bytes')
  return bytes
}

interface IssuerParts {
  readonly subject: Buffer
  readonly authorityKeyId: Buffer
}

const issuerParts = new WeakMap<ParsedCertificate, IssuerParts>()

function partsOf(certificate: ParsedCertificate): IssuerParts {
  const kept = issuerParts.get(certificate)
  if (kept !== undefined) return kept
  const keyId = certificate.subjectKeyId ?? sha1KeyId(certificate.spki)
  const parts = { subject: certificate.subject, authorityKeyId: authorityKeyId(keyId) }
  issuerParts.set(certificate, parts)
  return parts
}

/** In Go's order. */
function extensionsOf(
  content: CertificateContent,
  subject: Buffer,
  keyId: Buffer,
  authority: Buffer,
): Buffer[] {
  const { isAuthority, pathLength, usages, extendedUsages, names, constraints } = content
  const { policies = [], aia, crl = [], deltaCrl = [], extra = [] } = content
  const extensions: Buffer[] = []
  if (usages.length > 0) extensions.push(keyUsage(usages))
  if (extendedUsages.length > 0) extensions.push(extendedUsage(extendedUsages))
  if (isAuthority || content.statesNoAuthority === true) {
    const isCritical = content.basicConstraintsCritical ?? true
    extensions.push(basicConstraints(isAuthority, pathLength, isCritical))
  }
  extensions.push(subjectKeyId(keyId), authority)
  if (aia !== undefined && aia.issuers.length + aia.ocsp.length > 0) {
    extensions.push(authorityInfo(aia))
  }
  if (Object.values(names).some(each => each.length > 0)) {
    const EMPTY_NAME_BYTES = 2
    extensions.push(subjectNames(names, subject.length === EMPTY_NAME_BYTES))
  }
  if (policies.length > 0) extensions.push(policiesExtension(policies))
  if (constraints !== undefined) extensions.push(nameConstraints(constraints))
  if (crl.length > 0) extensions.push(crlPoints(crl))
  if (deltaCrl.length > 0) extensions.push(crlPoints(deltaCrl, true))
  for (const each of extra) extensions.push(extensionDer(each))
  return extensions
}

/** The bits of the key, without what kind it is: what its id is a hash of. Throws DerError. */
export const keyBits = (spki: Buffer): Buffer => wholeBits(childOf(readDer(spki), 1, Tag.bitString))

/** RFC 5280, 4.2.1.2, method 1, as Go and OpenSSL do. Not a matter of security. */
export const sha1KeyId = (spki: Buffer): Buffer => hash('sha1', keyBits(spki), 'buffer')

/** RFC 7093, method 1: the first 160 bits of the SHA-256. */
export const sha256KeyId = (spki: Buffer): Buffer =>
  hash('sha256', keyBits(spki), 'buffer').subarray(0, 20)

/** A certificate that somebody sent, read whole. All buffers are parts of `der`. */
export interface ParsedCertificate extends KnownExtensions {
  readonly der: Buffer
  /** What is signed of it. */
  readonly body: Buffer
  /** Lower hex, two digits a byte. */
  readonly serial: string
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly issuerName: DistinguishedName
  readonly subjectName: DistinguishedName
  readonly notBefore: Date
  readonly notAfter: Date
  readonly spki: Buffer
  /** All its extensions, the known ones too. */
  readonly extensions: readonly RawExtension[]
  /** Undefined for one that is not known here, such as with SHA-1. */
  readonly signatureAlgorithm: Scheme | undefined
  /** Issuer and subject are the same name: it signed itself, or goes from one key to the next. */
  readonly isSelfIssued: boolean
  /** Its key. Throws DerError where OpenSSL takes it for none. */
  readonly publicKey: KeyObject
  readonly pem: string
  /** Whether this key signed it. */
  verify(issuerKey: KeyObject): boolean
}

/** Reads a certificate in DER. Throws DerError. */
export function readCertificate(der: Buffer): ParsedCertificate {
  const whole = counted(expected(readDer(der), Tag.sequence), 3)
  const body = childOf(whole, 0, Tag.sequence)
  const parts = [...body.children]
  const version = parts[0]?.tag === contextTag(0, true) ? versionOf(parts.shift()) : 1
  const [serial, algorithm, issuer, validity, subject, spki, ...rest] = parts
  if (
    serial === undefined ||
    algorithm === undefined ||
    issuer === undefined ||
    validity === undefined ||
    subject === undefined ||
    spki === undefined
  ) {
    throw new DerError('a part is missing')
  }
  const outer = childOf(whole, 1, Tag.sequence)
  if (!outer.whole.equals(expected(algorithm, Tag.sequence).whole)) {
    throw new DerError('two signature algorithms')
  }
  counted(expected(validity, Tag.sequence), 2)
  wholeBits(childOf(counted(expected(spki, Tag.sequence), 2), 1, Tag.bitString))
  algorithmName(childOf(spki, 0, Tag.sequence))
  const extensions = extensionsAmong(rest, version)
  const fields = {
    ...knownExtensions(extensions),
    ...{ der, body: body.whole, extensions },
    serial: hexOfInteger(serial),
    issuer: issuer.whole,
    subject: subject.whole,
    issuerName: readName(issuer),
    subjectName: readName(subject),
    notBefore: timeOf(childOf(validity, 0, undefined)),
    notAfter: timeOf(childOf(validity, 1, undefined)),
    spki: spki.whole,
    signatureAlgorithm: readScheme(outer),
  }
  return withKey(fields, wholeBits(childOf(whole, 2, Tag.bitString)))
}

function versionOf(node: DerNode | undefined): number {
  const version = node && smallInteger(childOf(counted(node, 1), 0, Tag.integer))
  if (version !== 1 && version !== 2) throw new DerError('another version')
  return version + 1
}

/** What may stand behind the key: two ids that nobody has used for decades, and the extensions. */
function extensionsAmong(rest: readonly DerNode[], version: number): RawExtension[] {
  const order = [contextTag(1, false), contextTag(2, false), contextTag(3, true)]
  let from = 0
  for (const { tag, content } of rest) {
    const at = order.indexOf(tag, from)
    if (at === -1 || version < (at === 2 ? 3 : 2)) throw new DerError('a part that is not known')
    // The ids are bit strings by another tag.
    if (at < 2) refuseForm(Tag.bitString, content)
    from = at + 1
  }
  const last = rest.at(-1)
  if (last === undefined || last.tag !== order[2]) return []
  const list = childOf(counted(last, 1), 0, Tag.sequence)
  if (list.children.length === 0) throw new DerError('an empty list of extensions')
  return readExtensions(list)
}

type Fields = Omit<ParsedCertificate, 'publicKey' | 'pem' | 'verify' | 'isSelfIssued'>

/** The key is made when it is asked for: many are read whose key nobody needs. */
function withKey(fields: Fields, signature: Buffer): ParsedCertificate {
  const { der, body, spki, issuer, subject, signatureAlgorithm } = fields
  let publicKey: KeyObject | undefined
  return {
    ...fields,
    isSelfIssued: issuer.equals(subject),
    get publicKey() {
      publicKey ??= publicKeyOf(spki)
      return publicKey
    },
    get pem() {
      return pemOf('CERTIFICATE', der)
    },
    verify: issuerKey => isSignedBy(signatureAlgorithm, body, issuerKey, signature),
  }
}

/**
 * The certificates of a PEM text, in order; blocks of other kinds are passed over. Throws DerError.
 */
export function readCertificates(pem: string): ParsedCertificate[] {
  return pemBlocks(pem)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der }) => readCertificate(der))
}
