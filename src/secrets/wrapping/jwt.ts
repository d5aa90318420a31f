/**
 * Wrapping tokens as JWT (RFC 7519), signed by a key of the cluster (ES512, RFC 7518 section 3.4):
 * whoever is handed one can tell that it came from here before he shows it to anybody.
 *
 * Owns the key, which is made when it is first needed and stays, and the text. The token itself is
 * the claim `jti`: whoever has the JWT has the token. Pure but for the signature, which draws a
 * number of its own.
 */
import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import type { Random } from '../../base/clock.ts'
import { SECOND_MS } from '../../base/duration.ts'
import { limits } from '../../base/limits.ts'
import { ROOT } from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'

/** The private key, as a JWK. */
interface KeyRow {
  readonly kty: string
  readonly crv: string
  readonly d: string
  readonly x: string
  readonly y: string
}

const KEY = 'wrapping-key'
const rowsOf = (draft: Draft): Storage => draft.area(ROOT.id, 'settings')

const CURVE = 'secp521r1'
const NUMBER_SIZE_BYTES = 66
/** The first byte of a number of 521 bits has one. */
const FIRST_BYTE_MASK = 1

function newKey(random: Random): KeyRow {
  const curve = createECDH(CURVE)
  for (;;) {
    const number = random.bytes(NUMBER_SIZE_BYTES)
    number[0]! &= FIRST_BYTE_MASK
    try {
      curve.setPrivateKey(number)
    } catch {
      // Next to none are beyond the order of the curve.
      continue
    }
    const point = curve.getPublicKey()
    const d = number.toString('base64url')
    number.fill(0)
    return {
      ...{ kty: 'EC', crv: 'P-521', d },
      x: point.subarray(1, 1 + NUMBER_SIZE_BYTES).toString('base64url'),
      y: point.subarray(1 + NUMBER_SIZE_BYTES).toString('base64url'),
    }
  }
}

/** The key's row, which is made here where there is none yet. */
function keyRow(draft: Draft): KeyRow {
  const rows = rowsOf(draft)
  const known = rows.kept<KeyRow>(KEY)
  if (known !== undefined) return known
  const made = newKey(draft.random)
  rows.put(KEY, made)
  return made
}

const publicKeys = new WeakMap<object, KeyObject>()

/** The key that signatures are tried with; undefined where nothing was ever signed. */
const publicKey = (draft: Draft): KeyObject | undefined =>
  rowsOf(draft).made<KeyRow, KeyObject>(KEY, publicKeys, ({ kty, crv, x, y }) =>
    createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' }),
  )

/** The public key as Vault shows it: the numbers of its point in decimal digits. */
export function shownKey(draft: Draft): Record<'jwt_x' | 'jwt_y' | 'jwt_curve', string> {
  const { x, y } = keyRow(draft)
  const digits = (part: string): string =>
    BigInt(`0x${Buffer.from(part, 'base64url').toString('hex')}`).toString()
  return { jwt_x: digits(x), jwt_y: digits(y), jwt_curve: 'p521' }
}

/** What a JWT says of a wrapping. */
export interface WrappingClaims {
  readonly token: string
  /** Of the token that was wrapped; '' for none. */
  readonly accessor: string
  /** Where to unwrap it, as a URL; '' where nobody knows. */
  readonly address: string
  readonly ttlMs: number
}

/** It counts from a little before it was made: clocks differ. */
const LEEWAY_S = 5
const HEADER = { alg: 'ES512', typ: 'JWT' }

const partOf = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** The JWT of a wrapping token. */
export function signWrapping(
  draft: Draft,
  { token, accessor, address, ttlMs }: WrappingClaims,
): string {
  const issuedAtS = Math.floor(draft.now / SECOND_MS)
  const claims = {
    ...{ accessor, addr: address, exp: issuedAtS + Math.floor(ttlMs / SECOND_MS) },
    ...{ iat: issuedAtS, jti: token, nbf: issuedAtS - LEEWAY_S, type: 'wrapping' },
  }
  const text = `${partOf(HEADER)}.${partOf(claims)}`
  const key = createPrivateKey({ key: { ...keyRow(draft) }, format: 'jwk' })
  const signature = sign('sha512', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/** A JWT's header is an object: this is how its base64 begins. */
const JWT = /^(eyJ[\w-]+)\.(eyJ[\w-]+)\.([\w-]+)$/

/**
 * The token that a JWT of ours stands for; undefined where a text is no JWT, or none that was
 * signed here.
 */
export function tokenInJwt(draft: Draft, text: string): string | undefined {
  if (!text.startsWith('eyJ') || text.length > limits.wrappingJwtChars) return undefined
  const [, header, claims, signature] = JWT.exec(text) ?? []
  if (header === undefined || claims === undefined || signature === undefined) return undefined
  if (jsonOf(header)?.alg !== HEADER.alg) return undefined
  const key = publicKey(draft)
  if (key === undefined) return undefined
  const isOurs = verify(
    'sha512',
    Buffer.from(`${header}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  const { jti, type } = (isOurs ? jsonOf(claims) : undefined) ?? {}
  return type === 'wrapping' && typeof jti === 'string' ? jti : undefined
}

function jsonOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return undefined
  }
}
