/**
 * Certificate signing requests (PKCS #10, RFC 2986): made by node-forge, read by our own reader.
 *
 * Owns their form. Whoever reads one knows that its signature holds; what it asks for is told, and
 * whether it is given is for who issues. Attributes that nobody here knows are passed over.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { limits } from '../base/limits.ts'
import {
  isSignedBy,
  publicKeyOf,
  readScheme,
  type Scheme,
  type SchemeChoice,
  schemeOf,
  signNow,
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
  oidOf,
  readDer,
  smallInteger,
  Tag,
  wholeBits,
} from './der.ts'
import { joined, Outer, oidDer } from './encode.ts'
import {
  basicConstraints,
  extendedUsage,
  extensionDer,
  type KeyUsage,
  type KnownExtensions,
  keyUsage,
  knownExtensions,
  type RawExtension,
  readExtensions,
  subjectNames,
} from './extension.ts'
import type { GeneralNames } from './general-name.ts'
import { type DistinguishedName, nameDer, readName } from './name.ts'

/** What is asked for. */
export interface RequestContent {
  readonly subject: DistinguishedName
  readonly names?: Partial<GeneralNames> | undefined
  /** Says that it is to be an authority. */
  readonly isAuthority?: boolean | undefined
  readonly usages?: readonly KeyUsage[] | undefined
  readonly extendedUsages?: readonly string[] | undefined
  readonly extra?: readonly RawExtension[] | undefined
}

/** A request that was read; its signature shows that who made it has the key. */
export interface AnyRequest extends KnownExtensions {
  readonly publicKey: KeyObject
  /** The key as it stands there, to be put into a certificate as it is. */
  readonly spki: Buffer
  /** In DER, as it stands there. */
  readonly subject: Buffer
  readonly subjectName: DistinguishedName
  /** Everything that it asks for, the known ones too. */
  readonly extensions: readonly RawExtension[]
  readonly signatureAlgorithm: Scheme
}

/**
 * A request that lacks its signature alone. `spki` is the key's public half. Throws ContentError.
 */
export function requestBody(
  content: RequestContent,
  key: KeyObject,
  spki: Buffer,
  choice: SchemeChoice = {},
): ToSign {
  const scheme = schemeOf(key, choice)
  const extensions = extensionsOf(content)
  const wanted =
    extensions.length === 0
      ? []
      : [
          joined(Outer.sequence, [
            oidDer(EXTENSIONS),
            joined(Tag.set, [joined(Outer.sequence, extensions)]),
          ]),
        ]
  const body = joined(Outer.sequence, [
    VERSION,
    nameDer(content.subject),
    spki,
    joined(Outer.context0, wanted),
  ])
  return toSign(body, scheme)
}

/** A request in DER, signed at once by the key that a certificate is asked for. */
export function makeRequest(content: RequestContent, privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return signNow(requestBody(content, privateKey, spki), privateKey)
}

const VERSION = Buffer.from('020100', 'hex')
const EXTENSIONS = '1.2.840.113549.1.9.14'

function extensionsOf(content: RequestContent): Buffer[] {
  const { names = {}, isAuthority, usages = [], extendedUsages = [], extra = [] } = content
  const extensions: Buffer[] = []
  if (Object.values(names).some(each => each.length > 0)) {
    extensions.push(subjectNames(names, false))
  }
  if (isAuthority === true) extensions.push(basicConstraints(true, undefined, true))
  if (usages.length > 0) extensions.push(keyUsage(usages))
  if (extendedUsages.length > 0) extensions.push(extendedUsage(extendedUsages))
  for (const each of extra) extensions.push(extensionDer(each))
  return extensions
}

/**
 * Reads a request that somebody sent. Throws DerError where it is none, or not signed by its key,
 * or signed by an algorithm that proves nothing (SHA-1).
 */
export function readAnyRequest(der: Buffer): AnyRequest {
  const whole = counted(expected(readDer(der), Tag.sequence), 3)
  const body = childOf(whole, 0, Tag.sequence)
  if (smallInteger(childOf(body, 0, Tag.integer)) !== 0) throw new DerError('another version')
  const subject = childOf(body, 1, Tag.sequence)
  const spki = childOf(body, 2, Tag.sequence)
  const extensions = extensionsAsked(body)
  const publicKey = publicKeyOf(spki.whole)
  const signatureAlgorithm = readScheme(childOf(whole, 1, Tag.sequence))
  if (signatureAlgorithm === undefined) {
    throw new DerError('a signature algorithm that is not known')
  }
  const signature = wholeBits(childOf(whole, 2, Tag.bitString))
  if (!isSignedBy(signatureAlgorithm, body.whole, publicKey, signature)) {
    throw new DerError('not signed by its own key')
  }
  const known = knownExtensions(extensions)
  const { dnsNames, emails, addresses, uris, others, rest } = known.names
  const count = [dnsNames, emails, addresses, uris, others, rest].flat().length
  if (count > limits.requestNames) throw new DerError('too many names')
  return {
    ...known,
    ...{ publicKey, extensions, signatureAlgorithm },
    ...{ spki: spki.whole, subject: subject.whole, subjectName: readName(subject) },
  }
}

/** The one attribute that matters, wherever it stands; a request without any may leave them out. */
function extensionsAsked(body: DerNode): RawExtension[] {
  const [, , , attributes, ...more] = body.children
  if (attributes === undefined) return []
  if (more.length > 0) throw new DerError('another number of parts than expected')
  let asked: RawExtension[] | undefined
  for (const attribute of expected(attributes, contextTag(0, true)).children) {
    const kind = oidOf(childOf(counted(expected(attribute, Tag.sequence), 2), 0, Tag.oid))
    const values = childOf(attribute, 1, Tag.set)
    if (kind !== EXTENSIONS) continue
    if (asked !== undefined) throw new DerError('extensions that are asked for twice')
    asked = readExtensions(childOf(counted(values, 1), 0, Tag.sequence))
  }
  return asked ?? []
}
