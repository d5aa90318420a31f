/**
 * Tokens that somebody elsewhere believes (RFC 7519, OpenID Connect Core 1.0, section 2).
 *
 * Owns their text: what it says, what is signed of it, and whether a text is one of ours. The
 * signature itself is made by threads (sign.run.ts).
 */
import { createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { parseBounded } from '../../base/bounded-json.ts'
import { Refusal } from '../../base/errors.ts'
import { stringifyExact } from '../../base/exact-json.ts'
import type { SignInput } from '../../base/io/threads.ts'
import { limits } from '../../base/limits.ts'
import { toSeconds } from '../field.ts'
import { howToSign, isAlgorithm } from './algorithm.ts'
import type { Jwk, KeyRow } from './rows.ts'
import type { Claims } from './template.ts'

/** What every token says. */
export interface Core {
  readonly issuer: string
  /** The id of the namespace that it was issued in. */
  readonly namespaceId: string
  readonly subject: string
  /** The id of the client that it is for. */
  readonly audience: string
  readonly nowMs: number
  readonly ttlMs: number
}

/** The claims of a token; `more` says nothing that `core` or `own` does. */
export const claimsOf = (core: Core, own: Claims = {}, more: Claims = {}): Claims => ({
  ...more,
  ...own,
  iss: core.issuer,
  namespace: core.namespaceId,
  sub: core.subject,
  aud: core.audience,
  iat: toSeconds(core.nowMs),
  exp: toSeconds(core.nowMs + core.ttlMs),
})

const base64url = (value: object): string =>
  Buffer.from(stringifyExact(value)).toString('base64url')

/** By the key's row: opened once as long as it stands. */
const privateKeys = new WeakMap<KeyRow, KeyObject>()

function privateKeyOf(row: KeyRow): KeyObject {
  const known = privateKeys.get(row)
  if (known !== undefined) return known
  const key = createPrivateKey({
    ...{ key: Buffer.from(row.signing.privateKey, 'base64'), format: 'der', type: 'pkcs8' },
  })
  privateKeys.set(row, key)
  return key
}

/** A token that is to be signed. */
export interface Unsigned {
  readonly text: string
  readonly input: SignInput
}

/** What is to be signed, and with what; refused where it would be too long to be sent. */
export function unsigned(row: KeyRow, claims: Claims): Unsigned | Refusal {
  const { algorithm, signing } = row
  const text = `${base64url({ alg: algorithm, kid: signing.id })}.${base64url(claims)}`
  if (text.length > limits.oidcClaimsChars) {
    return new Refusal(400, `the token would exceed ${limits.oidcClaimsChars} characters`)
  }
  const input = { ...howToSign(algorithm), data: Buffer.from(text), key: privateKeyOf(row) }
  return { text, input }
}

/** The token with its signature. */
export const signed = ({ text }: Unsigned, signature: Buffer): string =>
  `${text}.${signature.toString('base64url')}`

const JWS = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

/** The claims of a token that one of the keys has signed; what is wrong with it otherwise. */
export function verified(token: string, keys: readonly Jwk[]): Claims | string {
  const [, head = '', body = '', signature = ''] = JWS.exec(token) ?? []
  const header = jsonOf(head)
  if (token.length > limits.oidcClaimsChars * 2 || header === undefined) {
    return 'error parsing token: it is no JWS in compact form'
  }
  const { alg, kid } = header
  if (typeof alg !== 'string' || !isAlgorithm(alg)) {
    return 'error parsing token: unexpected signature algorithm'
  }
  const jwk = keys.find(one => one.kid === kid && one.alg === alg)
  const claims = jwk && isSigned(jwk) ? jsonOf(body) : undefined
  return claims ?? 'unable to validate the token signature'

  function isSigned(publicKey: Jwk): boolean {
    const { hash, dsaEncoding } = howToSign(alg as never)
    const key = createPublicKey({ key: { ...publicKey }, format: 'jwk' })
    const data = Buffer.from(`${head}.${body}`)
    return verify(hash, data, { key, dsaEncoding }, Buffer.from(signature, 'base64url'))
  }
}

function jsonOf(part: string): Claims | undefined {
  const parsed = parseBounded(Buffer.from(part, 'base64url'))
  if ('fault' in parsed) return undefined
  const { value } = parsed
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Claims)
    : undefined
}
