/**
 * Tokens for tests, made by hand with node:crypto, so that each part can be wrong in its own way.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Resolver } from '../../../src/base/io/dns2.ts'
import { type JwtConfig, readJwtConfig } from '../../../src/identity/auth-method/jwt.ts'

export interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
  readonly pem: string
}

const pairOf = (pair: { publicKey: KeyObject; privateKey: KeyObject }): Pair => ({
  ...pair,
  pem: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
})

export const rsa = pairOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
export const otherRsa = pairOf(generateKeyPairSync('rsa', { modulusLength: 2048 }))
export const p256 = pairOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }))
export const p384 = pairOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }))
export const ed25519 = pairOf(generateKeyPairSync('ed25519'))

/** A time in the middle of nowhere, in milliseconds, and the same in seconds. */
export const NOW_MS = 1_800_000_000_000
export const NOW = NOW_MS / 1_000

export const base64url = (value: string | Buffer): string =>
  Buffer.from(value).toString('base64url')

type Json = Readonly<Record<string, unknown>>

/** Header and claims as given; a text goes in as it stands. */
export const inputOf = (header: Json | string, claims: Json | string): string =>
  [header, claims]
    .map(part => base64url(typeof part === 'string' ? part : JSON.stringify(part)))
    .join('.')

/** The signature that an algorithm makes, or an HMAC with a text as its secret. */
export function signatureOf(input: string, algorithm: string, key: KeyObject | string): Buffer {
  const hash = `sha${algorithm.slice(-3)}`
  if (typeof key === 'string') return createHmac(hash, key).update(input).digest()
  if (algorithm === 'EdDSA') return sign(null, Buffer.from(input), key)
  if (algorithm.startsWith('ES')) {
    return sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  }
  return algorithm.startsWith('PS')
    ? sign(hash, Buffer.from(input), {
        key,
        padding: 6,
        saltLength: Number(algorithm.slice(-3)) / 8,
      })
    : sign(hash, Buffer.from(input), key)
}

/** A token that is signed rightly, whatever it says. */
export function tokenOf(
  claims: Json | string,
  header: Json | string = {},
  algorithm = 'RS256',
  key: KeyObject | string = rsa.privateKey,
): string {
  const whole = typeof header === 'string' ? header : { alg: algorithm, typ: 'JWT', ...header }
  const input = inputOf(whole, claims)
  return `${input}.${signatureOf(input, algorithm, key).toString('base64url')}`
}

/** Claims that hold. */
export const good = { sub: 'ann', iss: 'https://issuer', aud: 'gatehouse', exp: NOW + 60, iat: NOW }

/** A configuration that the good claims fit, with the first RSA key. */
export function configOf(more: Json = {}): JwtConfig {
  const config = readJwtConfig({
    BoundIssuer: 'https://issuer',
    BoundAudiences: ['gatehouse'],
    ClaimMappings: { sub: 'user' },
    ...(Object.hasOwn(more, 'JWKSURL') || Object.hasOwn(more, 'OIDCDiscoveryURL')
      ? {}
      : { JWTValidationPubKeys: [rsa.pem] }),
    ...more,
  })
  if (typeof config === 'string') throw new Error(config)
  return config
}

/** Keys of elsewhere, where there are none. */
export const noKeys = {
  keysOf: async (): Promise<string> => 'no keys were to be asked for',
}

/** A resolver that knows a few names, and counts how often it is asked. */
export const resolverOf = (
  answers: Readonly<Record<string, () => readonly string[]>>,
): Resolver & { asked: number } => ({
  asked: 0,
  async addressesOf(name) {
    this.asked++
    const found = answers[name]?.()
    if (found === undefined) throw new Error(`lookup ${name}: no such host`)
    return found
  },
})
