/**
 * Signing requests of agents, who need very little: narrower than what a PKI takes (csr.ts).
 *
 * Owns that narrowness: each part of a request is one of few that are known, its signature holds,
 * and what it asks for is told; whether it is given is for who issues.
 */
import type { KeyObject } from 'node:crypto'
import { limits } from '../base/limits.ts'
import { isSignedBy, publicKeyOf, readScheme, type Scheme } from './algorithm.ts'
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
import { ExtensionOid } from './extension.ts'
import { addressOf } from './general-name.ts'

/** Names beside the subject. */
interface OwnNames {
  readonly dnsNames: readonly string[]
  readonly addresses: readonly string[]
  readonly uris: readonly string[]
}

/** A request that was read; its signature shows that who made it has the key. */
export interface SigningRequest extends OwnNames {
  readonly publicKey: KeyObject
  /** The common names of its subject, which has nothing else. */
  readonly commonNames: readonly string[]
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
  const publicKey = publicKeyOf(childOf(body, 2, Tag.sequence).whole)
  const names = namesOf(childOf(body, 3, contextTag(0, true)))
  const scheme = schemeOf(childOf(whole, 1, Tag.sequence), publicKey)
  if (!isSignedBy(scheme, body.whole, publicKey, wholeBits(childOf(whole, 2, Tag.bitString)))) {
    throw new DerError('not signed by its own key')
  }
  return { publicKey, commonNames, ...names }
}

const EXTENSIONS = '1.2.840.113549.1.9.14'
const COMMON_NAME = '2.5.4.3'
const STRING_TAGS: readonly number[] = [Tag.utf8String, Tag.printableString]

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

/** The extensions that are asked for: names, and nothing else. */
function namesOf(attributes: DerNode): OwnNames {
  if (attributes.children.length === 0) return { dnsNames: [], addresses: [], uris: [] }
  const attribute = childOf(counted(attributes, 1), 0, Tag.sequence)
  counted(attribute, 2)
  if (oidOf(childOf(attribute, 0, Tag.oid)) !== EXTENSIONS) {
    throw new DerError('an attribute that is not known')
  }
  const list = childOf(counted(childOf(attribute, 1, Tag.set), 1), 0, Tag.sequence)
  const extension = childOf(counted(list, 1), 0, Tag.sequence)
  if (oidOf(childOf(extension, 0, Tag.oid)) !== ExtensionOid.subjectNames) {
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

function sorted(names: readonly DerNode[]): OwnNames {
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

/** How it is signed: by few algorithms, each with the kind of key that it is for. */
function schemeOf(algorithm: DerNode, key: KeyObject): Scheme {
  const scheme = readScheme(algorithm)
  if (scheme === undefined || scheme.saltLength !== undefined) {
    throw new DerError('a signature algorithm that is not known')
  }
  if (key.asymmetricKeyType !== scheme.keyType) throw new DerError('signed by another kind of key')
  return scheme
}
