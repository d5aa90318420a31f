/**
 * Certificate signing requests (PKCS #10, RFC 2986): made by node-forge, read by our own reader.
 *
 * Owns their form: of a request that others sent, each part is one of few that are known, its
 * signature holds, and what it asks for is told; whether it is given is for who issues.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { limits } from '../base/limits.ts'
import {
  childOf,
  contextTag,
  DerError,
  type DerNode,
  expected,
  oidOf,
  readDer,
  smallInteger,
  Tag,
  wholeBits,
} from './der.ts'
import {
  type AlternativeNames,
  alternativeNames,
  bitString,
  bytesOf,
  type DistinguishedName,
  explicit,
  integer,
  nameOf,
  oid,
  parsed,
  sequence,
  set,
  signatureOf,
} from './encode.ts'

/** What is asked for. */
export interface RequestContent extends AlternativeNames {
  readonly subject: DistinguishedName
}

/** A request that was read; its signature shows that who made it has the key. */
export interface SigningRequest extends AlternativeNames {
  readonly publicKey: KeyObject
  /** The common names of its subject, which has nothing else. */
  readonly commonNames: readonly string[]
}

/** A request in DER, signed by the key that a certificate is asked for. */
export function makeRequest(content: RequestContent, privateKey: KeyObject): Buffer {
  const { hash, identifier } = signatureOf(privateKey)
  const names = alternativeNames(content)
  const wanted = names.length === 0 ? [] : [sequence([oid(EXTENSIONS), set([sequence(names)])])]
  const body = sequence([
    integer(Buffer.of(0)),
    nameOf(content.subject),
    parsed(createPublicKey(privateKey).export({ type: 'spki', format: 'der' })),
    explicit(0, wanted),
  ])
  const signature = sign(hash, bytesOf(body), privateKey)
  return bytesOf(sequence([body, identifier, bitString(signature)]))
}

/**
 * Reads a request that somebody sent. Throws DerError where it is none, or not signed by its key.
 */
export function readRequest(der: Buffer): SigningRequest {
  const whole = expected(readDer(der), Tag.sequence)
  counted(whole, 3)
  const body = counted(childOf(whole, 0, Tag.sequence), 4)
  if (smallInteger(childOf(body, 0, Tag.integer)) !== 0) throw new DerError('another version')
  const commonNames = commonNamesOf(childOf(body, 1, Tag.sequence))
  const publicKey = publicKeyOf(childOf(body, 2, Tag.sequence))
  const names = namesOf(childOf(body, 3, contextTag(0, true)))
  const hash = hashOf(childOf(whole, 1, Tag.sequence), publicKey)
  if (!isSigned(hash, body.whole, publicKey, wholeBits(childOf(whole, 2, Tag.bitString)))) {
    throw new DerError('not signed by its own key')
  }
  return { publicKey, commonNames, ...names }
}

const EXTENSIONS = '1.2.840.113549.1.9.14'
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17'
const COMMON_NAME = '2.5.4.3'
const STRING_TAGS: readonly number[] = [Tag.utf8String, 0x13]

function counted(node: DerNode, count: number): DerNode {
  if (node.children.length !== count) throw new DerError('another number of parts than expected')
  return node
}

function commonNamesOf(subject: DerNode): string[] {
  return subject.children.map(part => {
    const pair = childOf(counted(expected(part, Tag.set), 1), 0, Tag.sequence)
    counted(pair, 2)
    const [name, value] = pair.children
    if (name === undefined || value === undefined || oidOf(name) !== COMMON_NAME) {
      throw new DerError('a subject of more than a common name')
    }
    if (!STRING_TAGS.includes(value.tag)) throw new DerError('a name that is no text')
    return plainText(value.content)
  })
}

/** ASCII that is printed; others are never needed in names of machines. */
function plainText(content: Buffer): string {
  const text = content.toString('latin1')
  if (!/^[\x21-\x7e]{1,1024}$/.test(text)) throw new DerError('a name with other characters')
  return text
}

/** Curves and sizes are for who issues to judge; what OpenSSL does not take is no key. */
function publicKeyOf(info: DerNode): KeyObject {
  try {
    return createPublicKey({ key: info.whole, type: 'spki', format: 'der' })
  } catch {
    throw new DerError('no public key')
  }
}

/** The extensions that are asked for: names, and nothing else. */
function namesOf(attributes: DerNode): AlternativeNames {
  if (attributes.children.length === 0) return { dnsNames: [], addresses: [], uris: [] }
  const attribute = childOf(counted(attributes, 1), 0, Tag.sequence)
  counted(attribute, 2)
  if (oidOf(childOf(attribute, 0, Tag.oid)) !== EXTENSIONS) {
    throw new DerError('an attribute that is not known')
  }
  const list = childOf(counted(childOf(attribute, 1, Tag.set), 1), 0, Tag.sequence)
  const extension = childOf(counted(list, 1), 0, Tag.sequence)
  if (oidOf(childOf(extension, 0, Tag.oid)) !== SUBJECT_ALTERNATIVE_NAME) {
    throw new DerError('an extension that is not known')
  }
  const value = extension.children.at(-1)
  const isCritical = extension.children.length === 3
  if (isCritical) childOf(extension, 1, Tag.boolean)
  else counted(extension, 2)
  const names = expected(
    readDer(expected(value ?? extension, Tag.octetString).content),
    Tag.sequence,
  )
  if (names.children.length > limits.csrNames) throw new DerError('too many names')
  return sorted(names.children)
}

function sorted(names: readonly DerNode[]): AlternativeNames {
  const dnsNames: string[] = []
  const addresses: string[] = []
  const uris: string[] = []
  for (const { tag, content } of names) {
    if (tag === contextTag(2, false)) dnsNames.push(plainText(content))
    else if (tag === contextTag(6, false)) uris.push(plainText(content))
    else if (tag === contextTag(7, false)) addresses.push(addressOf(content))
    else throw new DerError('a kind of name that is not known')
  }
  return { dnsNames, addresses, uris }
}

/** As node writes addresses: IPv6 in its shortest form. */
function addressOf(content: Buffer): string {
  const IPV4_BYTES = 4
  const IPV6_BYTES = 16
  if (content.length === IPV4_BYTES) return [...content].join('.')
  if (content.length !== IPV6_BYTES) throw new DerError('an address of another length')
  const words = Array.from({ length: 8 }, (_, at) => content.readUInt16BE(at * 2).toString(16))
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)
}

/** The hash of a signature algorithm, which must fit the key; null where the key has its own. */
function hashOf(algorithm: DerNode, key: KeyObject): string | null {
  const name = oidOf(childOf(algorithm, 0, Tag.oid))
  const known = ALGORITHMS.get(name)
  if (known === undefined) throw new DerError('a signature algorithm that is not known')
  const [type, hash, hasNull] = known
  if (key.asymmetricKeyType !== type) throw new DerError('signed by another kind of key')
  counted(algorithm, hasNull ? 2 : 1)
  if (hasNull) counted(childOf(algorithm, 1, Tag.null), 0)
  return hash
}

const ALGORITHMS = new Map<string, readonly [string, string | null, boolean]>([
  ['1.2.840.10045.4.3.2', ['ec', 'sha256', false]],
  ['1.2.840.10045.4.3.3', ['ec', 'sha384', false]],
  ['1.2.840.10045.4.3.4', ['ec', 'sha512', false]],
  ['1.2.840.113549.1.1.11', ['rsa', 'sha256', true]],
  ['1.2.840.113549.1.1.12', ['rsa', 'sha384', true]],
  ['1.2.840.113549.1.1.13', ['rsa', 'sha512', true]],
  ['1.3.101.112', ['ed25519', null, false]],
])

function isSigned(hash: string | null, body: Buffer, key: KeyObject, signature: Buffer): boolean {
  try {
    return verify(hash, body, key, signature)
  } catch {
    // A signature that has not even the form of one.
    return false
  }
}
