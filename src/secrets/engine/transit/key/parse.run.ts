/**
 * Keys that others made: read, and held against the type that they are to be of.
 *
 * Owns what is taken: symmetric keys as bytes, private keys as PKCS #8, public ones as PEM of a
 * SubjectPublicKeyInfo. A pair whose parts do not belong together is refused before it is kept.
 */
import { createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { OperatingError, Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { DerError, readDer, Tag } from '../../../../x509/der.ts'
import { pemBlocks } from '../../../../x509/pem.ts'
import type { KeyRow } from '../rows.ts'
import { fits, type Ingredients, isHmacKeySize, isOdd } from './make.ts'
import { isSymmetric, parameterSetsOf, typeOf } from './type.ts'

type TypedKey = Pick<KeyRow, 'type' | 'parameterSet'>

const bad = (text: string): Refusal => new Refusal(400, `error importing key: ${text}`)

/** The ingredients of a version of which the private part, or the whole of it, was sent. */
export async function readPrivate(
  arithmetic: Arithmetic,
  key: TypedKey,
  bytes: Buffer,
): Promise<Ingredients | Refusal> {
  const type = typeOf(key)
  if (isSymmetric(type)) {
    const isRight =
      type.kind === 'hmac' ? isHmacKeySize(bytes.length) : bytes.length === type.sizeBytes
    return isRight
      ? { bytes }
      : bad(`invalid key size ${bytes.length} bytes for key type ${type.name}`)
  }
  const privateKey = pairIn(bytes)
  if (privateKey instanceof Refusal) return privateKey
  return (
    refuseUnfit(key, privateKey) ??
    ((await belongsTogether(arithmetic, privateKey))
      ? { privateKey }
      : bad('the parts of the private key do not belong together'))
  )
}

/** The ingredients of a version of which the public part alone was sent, as PEM. */
export function readPublic(key: TypedKey, pem: string): Ingredients | Refusal {
  const publicKey = publicIn(pem)
  if (publicKey instanceof Refusal) return publicKey
  return refuseUnfit(key, publicKey) ?? { publicKey }
}

const UNREADABLE = bad('error parsing asymmetric key: it is no PKCS #8')

function pairIn(bytes: Buffer): KeyObject | Refusal {
  try {
    const key = createPrivateKey({ key: plain(bytes), format: 'der', type: 'pkcs8' })
    return key.type === 'private' ? key : UNREADABLE
  } catch {
    return UNREADABLE
  }
}

const RSA_PSS = Buffer.from('06092a864886f70d01010a', 'hex')
/** Version 0, and the algorithm `rsaEncryption`. */
const RSA = Buffer.from('020100300d06092a864886f70d0101010500', 'hex')

/**
 * The one PKCS #8 that bytes are; of a key that is bound to RSA-PSS, that of the same key without
 * the bond, as it is kept. Throws DerError.
 */
function plain(bytes: Buffer): Buffer {
  const [, algorithm, key] = readDer(bytes).children
  if (algorithm?.children[0]?.whole.equals(RSA_PSS) !== true) return bytes
  const content = Buffer.concat([RSA, key!.whole])
  const length = Buffer.from([Tag.sequence, 0x82, content.length >> 8, content.length & 0xff])
  if (content.length < 256 || content.length > 0xffff) throw new DerError('not an RSA key')
  return Buffer.concat([length, content])
}

function publicIn(pem: string): KeyObject | Refusal {
  try {
    const [block] = pemBlocks(pem)
    if (block === undefined) return bad('error parsing public key: not in PEM format')
    if (block.label !== 'PUBLIC KEY') return NOT_PUBLIC
    return createPublicKey({ key: readDer(block.der).whole, format: 'der', type: 'spki' })
  } catch {
    return NOT_PUBLIC
  }
}

const NOT_PUBLIC = bad('error parsing public key: it is no SubjectPublicKeyInfo')

/** The refusal of a pair that a key of its type cannot have; undefined where it can. */
function refuseUnfit(key: TypedKey, pair: KeyObject): Refusal | undefined {
  if (fits(key, pair)) return undefined
  const type = typeOf(key)
  const { modulusLength = 0, namedCurve = 'none that has a name' } = pair.asymmetricKeyDetails ?? {}
  const found = pair.asymmetricKeyType ?? ''
  if (type.kind === 'rsa' && found === 'rsa') {
    if (!isOdd(pair)) return bad('the public exponent is even, or too small')
    return bad(`invalid key size: expected ${type.bits / 8} bytes, got ${modulusLength / 8} bytes`)
  }
  if (type.kind === 'ecdsa' && found === 'ec') {
    return bad(`invalid curve: expected ${type.curve}, got ${namedCurve}`)
  }
  const wanted = parameterSetsOf(type).get(key.parameterSet ?? '') ?? type.name
  return bad(`invalid key type: expected ${wanted}, got ${found}`)
}

/** Whether what the private part signs is verified by the public one. */
export async function belongsTogether(arithmetic: Arithmetic, key: KeyObject): Promise<boolean> {
  const hash = key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ec' ? 'sha256' : null
  try {
    const signature = await arithmetic.sign({ hash, data: PROBE, key })
    return verify(hash, PROBE, createPublicKey(key), signature)
  } catch (error) {
    if (error instanceof OperatingError) throw error
    return false
  }
}

const PROBE = Buffer.from('does it sign what it verifies?')
