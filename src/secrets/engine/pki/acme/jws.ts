/**
 * Signed requests of ACME: a flattened JWS (RFC 7515, 7.2.2; RFC 8555, 6.2) and its keys.
 *
 * Owns which algorithms and keys are taken: an algorithm goes with what a key is, never with what
 * a request says of it. Pure.
 */
import {
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { limits } from '../../../../base/limits.ts'
import { Problem } from './problem.ts'

/** A key as clients send it, with the members that it is made of and no others. */
export type Jwk = Readonly<Record<string, string>>

/** A request, parsed; its signature is not looked at yet. */
export interface SignedRequest {
  readonly algorithm: string
  /** '' where there is none. */
  readonly nonce: string
  readonly url: string
  /** One of the two: the key itself, or the URL of an account. */
  readonly jwk: Jwk | undefined
  readonly kid: string | undefined
  /** What is signed for. '' for a request that only reads. */
  readonly payload: Buffer
  readonly signedText: string
  readonly signature: Buffer
}

/** Hash, kind of key, and curve, by the name of the algorithm (RFC 7518, 3.1; RFC 8037). */
const ALGORITHMS = new Map<string, readonly [string | null, string, string?]>([
  ['RS256', ['sha256', 'rsa']],
  ['RS384', ['sha384', 'rsa']],
  ['RS512', ['sha512', 'rsa']],
  ['ES256', ['sha256', 'ec', 'prime256v1']],
  ['ES384', ['sha384', 'ec', 'secp384r1']],
  ['ES512', ['sha512', 'ec', 'secp521r1']],
  ['EdDSA', [null, 'ed25519']],
])

/** What a key is made of, by its type, in the order of RFC 7638. */
const MEMBERS = new Map<string, readonly string[]>([
  ['RSA', ['e', 'kty', 'n']],
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']],
])

/** Reads a request. Whoever sent it is not known yet. */
export function parseJws(body: Buffer): SignedRequest | Problem {
  if (body.length > limits.acmeBodySizeBytes) return malformed('the request is too large')
  const whole = objectIn(body.toString('utf8'))
  if (whole === undefined) return malformed('the body is no JSON object')
  const { protected: head, payload, signature } = whole
  if (whole.header !== undefined || whole.signatures !== undefined) {
    return malformed('only the flattened form without unprotected headers is taken')
  }
  const all = [head, payload, signature]
  if (!all.every(part => typeof part === 'string' && isBase64Url(part))) {
    return malformed('protected, payload and signature must be base64url')
  }
  const [headText, payloadText, signatureText] = all as [string, string, string]
  const header = objectIn(bytesOf(headText).toString('utf8'))
  if (header === undefined) return malformed('the protected header is no JSON object')
  return withHeader(header, {
    payload: bytesOf(payloadText),
    signedText: `${headText}.${payloadText}`,
    signature: bytesOf(signatureText),
  })
}

function withHeader(
  header: Readonly<Record<string, unknown>>,
  rest: Pick<SignedRequest, 'payload' | 'signedText' | 'signature'>,
): SignedRequest | Problem {
  const { alg, nonce, url, jwk, kid } = header
  if (header.crit !== undefined || header.b64 !== undefined) {
    return malformed('the protected header asks for what is not known')
  }
  if (typeof alg !== 'string' || !ALGORITHMS.has(alg)) {
    return new Problem('badSignatureAlgorithm', 'the algorithm is not taken', {
      algorithms: [...ALGORITHMS.keys()],
    })
  }
  if (typeof url !== 'string') return malformed('there is no url')
  if ((jwk === undefined) === (kid === undefined)) {
    return malformed('exactly one of jwk and kid must be there')
  }
  if (kid !== undefined && typeof kid !== 'string') return malformed('kid must be a text')
  const key = jwk === undefined ? undefined : jwkOf(jwk)
  if (key instanceof Problem) return key
  return {
    algorithm: alg,
    nonce: typeof nonce === 'string' ? nonce : '',
    url,
    jwk: key,
    kid,
    ...rest,
  }
}

/** A key as it was sent, without what does not belong to it. */
export function jwkOf(sent: unknown): Jwk | Problem {
  if (typeof sent !== 'object' || sent === null) return badKey()
  const given = sent as Readonly<Record<string, unknown>>
  const members = typeof given.kty === 'string' ? MEMBERS.get(given.kty) : undefined
  if (members === undefined) return badKey()
  const parts = members.map(name => [name, Object.hasOwn(given, name) ? given[name] : undefined])
  const isWhole = parts.every(([, value]) => typeof value === 'string' && /^[\w-]+$/.test(value))
  return isWhole ? (Object.fromEntries(parts) as Jwk) : badKey()
}

/** The key that a JWK is. */
export function keyOfJwk(jwk: Jwk): KeyObject | Problem {
  let key: KeyObject
  try {
    key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return badKey()
  }
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits === undefined) return key
  return bits >= limits.acmeRsaLeastBits && bits <= limits.acmeRsaMostBits
    ? key
    : new Problem('badPublicKey', `RSA keys must have ${limits.acmeRsaLeastBits} bits or more`)
}

/** The name of a key (RFC 7638), in base64url. */
export function thumbprintOf(jwk: Jwk): string {
  const members = MEMBERS.get(jwk.kty!)!
  const text = JSON.stringify(Object.fromEntries(members.map(name => [name, jwk[name]])))
  return createHash('sha256').update(text).digest('base64url')
}

/** Whether a request was signed by a key, with an algorithm that is that key's. */
export function isSignedBy(
  { algorithm, signedText, signature }: Omit<SignedRequest, 'jwk' | 'kid' | 'nonce' | 'url'>,
  key: KeyObject,
): boolean {
  const [hash, type, curve] = ALGORITHMS.get(algorithm)!
  if (key.asymmetricKeyType !== type) return false
  if (curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== curve) return false
  try {
    return verify(hash, Buffer.from(signedText), { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}

/**
 * Whether an external account's key was bound to this key of an account, for this URL (RFC 8555,
 * 7.3.4). Gives the id of the external account's key, or what is wrong.
 */
export function bindingKeyId(sent: unknown): string | Problem {
  const parsed = bindingOf(sent)
  return parsed instanceof Problem ? parsed : parsed.kid
}

/** Whether a binding, whose key id was told above, holds. */
export function isBound(sent: unknown, secret: Buffer, url: string, jwk: Jwk): boolean {
  const parsed = bindingOf(sent)
  if (parsed instanceof Problem || parsed.url !== url) return false
  const expected = createHmac(parsed.hash, secret).update(parsed.signedText).digest()
  const isRight =
    expected.length === parsed.signature.length && timingSafeEqual(expected, parsed.signature)
  const inner = objectIn(parsed.payload.toString('utf8'))
  const bound = inner === undefined ? undefined : jwkOf(inner)
  if (!isRight || bound === undefined || bound instanceof Problem) return false
  return thumbprintOf(bound) === thumbprintOf(jwk)
}

const HMACS: Readonly<Record<string, string>> = {
  HS256: 'sha256',
  HS384: 'sha384',
  HS512: 'sha512',
}

function bindingOf(sent: unknown) {
  const bad = malformed('the binding of the external account is malformed')
  if (typeof sent !== 'object' || sent === null) return bad
  const { protected: head, payload, signature } = sent as Readonly<Record<string, unknown>>
  const all = [head, payload, signature]
  if (!all.every(part => typeof part === 'string' && isBase64Url(part))) return bad
  const [headText, payloadText, signatureText] = all as [string, string, string]
  const header = objectIn(bytesOf(headText).toString('utf8'))
  const { alg, kid, url } = header ?? {}
  if (typeof alg !== 'string' || typeof kid !== 'string' || typeof url !== 'string') return bad
  if (!Object.hasOwn(HMACS, alg) || header!.nonce !== undefined) return bad
  return {
    ...{ kid, url, hash: HMACS[alg]! },
    payload: bytesOf(payloadText),
    signature: bytesOf(signatureText),
    signedText: `${headText}.${payloadText}`,
  }
}

const malformed = (text: string): Problem => new Problem('malformed', text)
const badKey = (): Problem => new Problem('badPublicKey', 'the key is none that is taken')

const isBase64Url = (text: string): boolean => /^[\w-]*$/.test(text)
const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')

/** The object that a text is; undefined for anything else. */
export function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return Object.assign(Object.create(null) as Record<string, unknown>, value)
  } catch {
    return undefined
  }
}
