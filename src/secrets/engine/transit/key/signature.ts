/**
 * Signatures of every type of key that signs.
 *
 * Owns how a request's words about hashing, padding and marshaling become what node:crypto does,
 * and what is malformed as against merely wrong. RSA signs where the port has it done; everything
 * else at once. Pure but for that port and the salts, which are handed in.
 */
import { constants, hash as digestOf, type KeyObject, sign, verify } from 'node:crypto'
import type { Random } from '../../../../base/clock.ts'
import type { Eventually } from '../../../../base/eventually.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { decode, decodeUrl } from './base64.ts'
import { fromAsn1, numberSizeBytes, signDigest, toAsn1, verifyDigest } from './ecdsa.ts'
import { Fault } from './fault.ts'
import type { Hash } from './hash.ts'
import {
  encodePkcs1,
  encodePss,
  type SaltLength,
  saltSizeMax,
  verifyPkcs1,
  verifyPss,
} from './rsa.ts'
import type { KeyType } from './type.ts'

/** How something is signed. */
export interface SignHow {
  /** Undefined for none: what is given is signed as it is. */
  readonly hash: Hash | undefined
  /** Whether what is given is a digest already. */
  readonly isPrehashed: boolean
  readonly padding: 'pss' | 'pkcs1v15'
  readonly marshaling: 'asn1' | 'jws'
  readonly saltLength: SaltLength
  /** What a signature of ML-DSA or SLH-DSA is for beside its text (FIPS 204, 205). */
  readonly context: Buffer | undefined
}

/** What of the server signing asks for. */
export interface SignPorts {
  readonly arithmetic: Arithmetic
  readonly random: Random
}

type SignType = Pick<KeyType, 'kind' | 'curve' | 'name'>

/** Signs; what takes long is given later. */
export function signWith(
  ports: SignPorts,
  type: SignType,
  key: KeyObject,
  how: SignHow,
  input: Buffer,
): Eventually<Buffer | Fault> {
  switch (type.kind) {
    case 'ecdsa':
      return signEcdsa(key, how, input)
    case 'rsa':
      return signRsa(ports, key, how, input)
    case 'slh-dsa':
      return ports.arithmetic.sign({ hash: null, data: input, key, ...contextOf(how) })
    default:
      return sign(null, input, { key, ...contextOf(how) })
  }
}

const contextOf = ({ context }: SignHow) => (context === undefined ? {} : { context })

function signEcdsa(key: KeyObject, how: SignHow, input: Buffer): Buffer | Fault {
  const isAsn1 = how.marshaling === 'asn1'
  if (!how.isPrehashed && how.hash !== undefined) {
    return sign(how.hash.name, input, { key, dsaEncoding: isAsn1 ? 'der' : 'ieee-p1363' })
  }
  const signature = signDigest(key, input)
  if (signature === undefined) return NO_DIGEST
  return isAsn1 ? toAsn1(signature) : signature
}

const NO_DIGEST = new Fault('the input is no digest: all of its bits are zero')
const WRONG_DIGEST = new Fault('the prehashed input has not the length of the hash algorithm')
const TOO_LONG = new Fault('the input is too long for the size of the RSA key')

function signRsa(
  { arithmetic, random }: SignPorts,
  key: KeyObject,
  how: SignHow,
  input: Buffer,
): Eventually<Buffer | Fault> {
  const { hash, padding } = how
  const fault = rsaFault(key, how, input)
  if (fault !== undefined) return fault
  if (hash !== undefined && !how.isPrehashed) {
    return arithmetic.sign({ hash: hash.name, data: input, key, ...paddingOf(key, how, hash) })
  }
  const encoded =
    padding === 'pss' && hash !== undefined
      ? encodePss(key, hash, input, random.bytes(saltSizeOf(key, how, hash)))
      : encodePkcs1(key, hash, input)
  if (encoded === undefined) return TOO_LONG
  return arithmetic.decrypt({ key, data: encoded, padding: constants.RSA_NO_PADDING })
}

/** What is wrong with how RSA is to sign something. */
function rsaFault(key: KeyObject, how: SignHow, input: Buffer): Fault | undefined {
  const { hash, saltLength, padding } = how
  if (hash === undefined) return undefined
  if (how.isPrehashed && input.length !== hash.sizeBytes) return WRONG_DIGEST
  if (padding !== 'pss') return undefined
  const saltSizeBytes = saltSizeOf(key, how, hash)
  return saltSizeBytes < 0 || saltSizeBytes > saltSizeMax(key, hash)
    ? new Fault(`requested salt length ${saltLength} is invalid`)
    : undefined
}

function saltSizeOf(key: KeyObject, { saltLength }: SignHow, hash: Hash): number {
  if (saltLength === 'auto') return saltSizeMax(key, hash)
  return saltLength === 'hash' ? hash.sizeBytes : saltLength
}

const paddingOf = (key: KeyObject, how: SignHow, hash: Hash) =>
  how.padding === 'pss'
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltSizeOf(key, how, hash) }
    : { padding: constants.RSA_PKCS1_PADDING }

/** The text of a signature, as its marshaling writes it. */
export const signatureText = ({ marshaling }: SignHow, signature: Buffer): string =>
  signature.toString(marshaling === 'jws' ? 'base64url' : 'base64')

const NO_BASE64 = new Fault('invalid base64 signature value')
const INVALID = new Fault('supplied signature is invalid')
const EXTRA = new Fault('supplied signature contains extra data')

/** Whether a text is a signature; a fault where it could be none of any key. */
export function verifyWith(
  type: SignType,
  key: KeyObject,
  how: SignHow,
  input: Buffer,
  text: string,
): boolean | Fault {
  const signature = how.marshaling === 'jws' ? decodeUrl(text) : decode(text)
  if (signature === undefined) return NO_BASE64
  switch (type.kind) {
    case 'ecdsa':
      return verifyEcdsa(type, key, how, input, signature)
    case 'rsa':
      return verifyRsa(key, how, input, signature)
    default:
      return verify(null, input, { key, ...contextOf(how) }, signature)
  }
}

function verifyEcdsa(
  { curve }: SignType,
  key: KeyObject,
  how: SignHow,
  input: Buffer,
  signature: Buffer,
): boolean | Fault {
  const numbers = how.marshaling === 'asn1' ? fromAsn1(curve, signature) : signature
  if (numbers === 'invalid') return INVALID
  if (numbers === 'extra') return EXTRA
  if (numbers === 'outside' || numbers.length !== 2 * numberSizeBytes(curve)) return false
  if (how.isPrehashed || how.hash === undefined) return verifyDigest(key, input, numbers)
  return verify(how.hash.name, input, { key, dsaEncoding: 'ieee-p1363' }, numbers)
}

function verifyRsa(
  key: KeyObject,
  how: SignHow,
  input: Buffer,
  signature: Buffer,
): boolean | Fault {
  const { hash, saltLength } = how
  const fault = rsaFault(key, how, input)
  if (fault !== undefined) return fault
  const digest =
    hash === undefined || how.isPrehashed ? input : digestOf(hash.name, input, 'buffer')
  return hash !== undefined && how.padding === 'pss'
    ? verifyPss(key, hash, digest, saltLength, signature)
    : verifyPkcs1(key, hash, digest, signature)
}
