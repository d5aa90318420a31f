/**
 * Signature algorithms of certificates, requests, lists and answers: which key signs by which,
 * their identifiers, and whether a signature holds.
 *
 * Owns the table of them. What is weak (SHA-1, MD5) is in it nowhere. RSA is never computed here
 * for what is signed: whoever signs takes a `ToSign` to where he wants it done.
 */
import { constants, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import {
  childOf,
  contextTag,
  counted,
  DerError,
  type DerNode,
  oidOf,
  smallInteger,
  Tag,
} from './der.ts'
import {
  bytesOf,
  ContentError,
  explicit,
  integer,
  joined,
  type Node,
  none,
  Outer,
  oid,
  sequence,
} from './encode.ts'

export type HashName = 'sha256' | 'sha384' | 'sha512'

/** How a key signs. */
export interface Scheme {
  /** As Go names it, such as `SHA256-RSA`. */
  readonly name: string
  readonly keyType: 'rsa' | 'ec' | 'ed25519'
  /** What node:crypto is told; null where the key has its own. */
  readonly hash: HashName | null
  readonly padding?: number
  readonly saltLength?: number
  /** The algorithm identifier in DER. */
  readonly identifier: Buffer
}

/** Something that is to be signed, wherever the key is used. */
export interface ToSign {
  /** The bytes under the signature. */
  readonly body: Buffer
  readonly hash: HashName | null
  readonly padding?: number | undefined
  readonly saltLength?: number | undefined
  /** The whole, in DER. */
  finish(signature: Buffer): Buffer
}

/** Signs elsewhere, such as in a thread; what `base/io/threads.ts` offers. */
export interface SigningPort {
  sign(spec: {
    readonly hash: string | null
    readonly data: Buffer
    readonly key: KeyObject
    readonly padding?: number | undefined
    readonly saltLength?: number | undefined
  }): Promise<Buffer>
}

const SALT_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const

const rsa = (hash: HashName, arc: number): Scheme => ({
  name: `SHA${hash.slice(3)}-RSA`,
  keyType: 'rsa',
  hash,
  padding: constants.RSA_PKCS1_PADDING,
  identifier: bytesOf(sequence([oid(`1.2.840.113549.1.1.${arc}`), none()])),
})
const pss = (hash: HashName, arc: number): Scheme => {
  const saltLength = SALT_BYTES[hash]
  const algorithm = (): Node => sequence([oid(`2.16.840.1.101.3.4.2.${arc}`), none()])
  const parameters = sequence([
    explicit(0, [algorithm()]),
    explicit(1, [sequence([oid(MGF1), algorithm()])]),
    explicit(2, [integer(Buffer.of(saltLength))]),
  ])
  return {
    name: `SHA${hash.slice(3)}-RSAPSS`,
    keyType: 'rsa',
    hash,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength,
    identifier: bytesOf(sequence([oid(PSS), parameters])),
  }
}
const ecdsa = (hash: HashName, arc: number): Scheme => ({
  name: `ECDSA-SHA${hash.slice(3)}`,
  keyType: 'ec',
  hash,
  identifier: bytesOf(sequence([oid(`1.2.840.10045.4.3.${arc}`)])),
})
const PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'

const schemes = {
  rsa: { sha256: rsa('sha256', 11), sha384: rsa('sha384', 12), sha512: rsa('sha512', 13) },
  pss: { sha256: pss('sha256', 1), sha384: pss('sha384', 2), sha512: pss('sha512', 3) },
  ec: { sha256: ecdsa('sha256', 2), sha384: ecdsa('sha384', 3), sha512: ecdsa('sha512', 4) },
}
const ed25519: Scheme = {
  name: 'Ed25519',
  keyType: 'ed25519',
  hash: null,
  identifier: bytesOf(sequence([oid('1.3.101.112')])),
}
const known: readonly Scheme[] = [
  ...Object.values(schemes.rsa),
  ...Object.values(schemes.pss),
  ...Object.values(schemes.ec),
  ed25519,
]

const HASHES_OF_CURVES = new Map<string, HashName>([
  ['secp384r1', 'sha384'],
  ['secp521r1', 'sha512'],
])

/** What a signer may choose; RSA is SHA-256 with PKCS #1 and curves have hashes of their size. */
export interface SchemeChoice {
  readonly hash?: HashName | undefined
  readonly usePss?: boolean | undefined
}

const usual = new WeakMap<KeyObject, Scheme>()

/** How this key signs. Throws ContentError for a kind of key that signs no certificates. */
export function schemeOf(key: KeyObject, { hash, usePss }: SchemeChoice = {}): Scheme {
  const isUsual = hash === undefined && usePss !== true
  const kept = isUsual ? usual.get(key) : undefined
  if (kept !== undefined) return kept
  const scheme = choose(key, hash, usePss === true)
  if (isUsual) usual.set(key, scheme)
  return scheme
}

function choose(key: KeyObject, hash: HashName | undefined, usePss: boolean): Scheme {
  switch (key.asymmetricKeyType) {
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve ?? ''
      return schemes.ec[hash ?? HASHES_OF_CURVES.get(curve) ?? 'sha256']
    }
    case 'rsa':
      return (usePss ? schemes.pss : schemes.rsa)[hash ?? 'sha256']
    case 'ed25519':
      return ed25519
    default:
      throw new ContentError('a key that signs must be of EC, RSA or Ed25519')
  }
}

/** No bits are left over in the last byte of a signature. */
const WHOLE = Buffer.of(0)

/** What makes a whole of a body: body, algorithm, signature. */
export function toSign(body: Buffer, scheme: Scheme): ToSign {
  const { hash, padding, saltLength, identifier } = scheme
  return {
    ...{ body, hash, padding, saltLength },
    finish: signature =>
      joined(Outer.sequence, [body, identifier, joined(Tag.bitString, [WHOLE, signature])]),
  }
}

/** Signs at once, on this thread: for keys of curves, and where nobody waits. */
export function signNow(
  { body, hash, padding, saltLength, finish }: ToSign,
  key: KeyObject,
): Buffer {
  const isRsa = padding !== undefined
  return finish(sign(hash, body, isRsa ? { key, padding, ...saltOf(saltLength) } : key))
}

/** Signs through a port, which puts RSA elsewhere. */
export async function signBy(port: SigningPort, work: ToSign, key: KeyObject): Promise<Buffer> {
  const { body: data, hash, padding, saltLength } = work
  return work.finish(await port.sign({ hash, data, key, padding, saltLength }))
}

const saltOf = (saltLength: number | undefined) => (saltLength === undefined ? {} : { saltLength })

/** The name in an algorithm identifier, which has at most parameters beside it. Throws DerError. */
export function algorithmName(node: DerNode): string {
  if (node.children.length > 2) throw new DerError('an algorithm of another form')
  return oidOf(childOf(node, 0, Tag.oid))
}

/**
 * The scheme that an identifier tells; undefined for one that is not in the table. Throws DerError
 * where it is no identifier at all.
 */
export function readScheme(node: DerNode): Scheme | undefined {
  const name = algorithmName(node)
  const same = known.find(({ identifier }) => identifier.equals(node.whole))
  return same ?? (name === PSS ? pssOf(node) : undefined)
}

/** PSS in other spellings: hashes with and without NULL, the trailer said or not. */
function pssOf(node: DerNode): Scheme | undefined {
  const parts = new Map(childOf(counted(node, 2), 1, Tag.sequence).children.map(n => [n.tag, n]))
  const inner = (at: number): DerNode | undefined => parts.get(contextTag(at, true))?.children[0]
  const [hash, mask, salt, trailer] = [inner(0), inner(1), inner(2), inner(3)]
  if (hash === undefined || mask === undefined || salt === undefined) return undefined
  const hashName = oidOf(childOf(hash, 0, Tag.oid))
  const isMgf1 = oidOf(childOf(mask, 0, Tag.oid)) === MGF1
  const maskHash = isMgf1 ? oidOf(childOf(childOf(mask, 1, Tag.sequence), 0, Tag.oid)) : ''
  if (hashName !== maskHash || (trailer !== undefined && smallInteger(trailer) !== 1)) {
    return undefined
  }
  const size = smallInteger(salt)
  return Object.values(schemes.pss).find(
    ({ saltLength, hash }) => saltLength === size && HASH_OIDS[hash ?? 'sha256'] === hashName,
  )
}

const HASH_OIDS = {
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const

/** Whether a signature over a body holds. A key of another kind signs nothing. */
export function isSignedBy(
  scheme: Scheme | undefined,
  body: Buffer,
  key: KeyObject,
  signature: Buffer,
): boolean {
  if (scheme === undefined || key.asymmetricKeyType !== scheme.keyType) return false
  const { hash, padding, saltLength } = scheme
  try {
    const how = padding === undefined ? key : { key, padding, ...saltOf(saltLength) }
    return verify(hash, body, how, signature)
  } catch {
    // A signature that has not even the form of one.
    return false
  }
}

/** A key of a SubjectPublicKeyInfo in DER. Throws DerError for what OpenSSL takes for none. */
export function publicKeyOf(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, type: 'spki', format: 'der' })
  } catch {
    throw new DerError('no public key')
  }
}
