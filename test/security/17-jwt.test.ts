/**
 * Tokens that take a verifier in (CVE-2024-5798, CVE-2021-41803, and the algorithm confusions of
 * the last ten years): attacks, near misses, and generated variants.
 */
import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { JwtConfig } from '../../src/identity/auth-method/jwt.ts'
import { keysOfSet, type PublicKey } from '../../src/identity/auth-method/key.ts'
import { loginByJwt } from '../../src/identity/auth-method/verify.run.ts'
import {
  base64url,
  configOf,
  ed25519,
  good,
  inputOf,
  NOW,
  NOW_MS,
  noKeys,
  otherRsa,
  p256,
  p384,
  rsa,
  signatureOf,
  tokenOf,
} from '../identity/auth-method/tokens.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'

/** What is wrong with a login, or who it is. */
async function login(
  token: string,
  config: JwtConfig = configOf(),
  keys: readonly PublicKey[] = [],
): Promise<string> {
  const source = keys.length === 0 ? noKeys : { keysOf: async () => ({ keys }) }
  const given = await loginByJwt(config, token, source, NOW_MS)
  if (!(given instanceof Refusal)) return `user ${given.values.user}`
  if (given.status !== 403) throw new Error(`${given.status} ${given.text}`)
  return given.text.replace('Permission denied: ', '')
}

type Case = readonly [name: string, token: string, config?: JwtConfig]

async function refused(t: Test, cases: readonly Case[]): Promise<void> {
  for (const [name, token, config] of cases) {
    t.notMatch(await login(token, config), /^user /, name)
  }
}

async function taken(t: Test, cases: readonly Case[]): Promise<void> {
  for (const [name, token, config] of cases) t.equal(await login(token, config), 'user ann', name)
}

const [header = '', claims = '', signature = ''] = tokenOf(good).split('.')
const jwkOf = (pair: typeof rsa): object => pair.publicKey.export({ format: 'jwk' })
const fake = { ...good, sub: 'root' }

t.test('attack: the algorithm', async t => {
  const none = (alg: string): string => `${inputOf({ alg }, fake)}.`
  const hmac = (alg: string, secret: string): string => tokenOf(fake, { alg }, alg, secret)
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('latin1')
  await refused(t, [
    ['none', none('none')],
    ['None', none('None')],
    ['NONE', none('NONE')],
    ['nOnE', none('nOnE')],
    ['none with a signature', `${inputOf({ alg: 'none' }, fake)}.${signature}`],
    ['none of two parts', inputOf({ alg: 'none' }, fake)],
    ['no algorithm', tokenOf(fake, '{}')],
    ['an empty algorithm', tokenOf(fake, { alg: '' })],
    ['an algorithm in a list', tokenOf(fake, { alg: ['RS256'] })],
    ['an algorithm that is a number', tokenOf(fake, { alg: 256 })],
    ['an algorithm in small letters', tokenOf(fake, { alg: 'rs256' })],
    ['HS256 with the PEM of the public key', hmac('HS256', rsa.pem)],
    ['HS256 with the PEM, trimmed', hmac('HS256', rsa.pem.trim())],
    ['HS256 with the DER', hmac('HS256', der)],
    ['HS384 with the PEM', hmac('HS384', rsa.pem)],
    ['HS512 with the PEM', hmac('HS512', rsa.pem)],
    ['HS256 with nothing', hmac('HS256', '')],
    ['HS256 signed, RS256 said', tokenOf(fake, { alg: 'RS256' }, 'HS256', rsa.pem)],
    ['PS256 signed, RS256 said', tokenOf(fake, { alg: 'RS256' }, 'PS256')],
    ['RS512 signed, RS256 said', tokenOf(fake, { alg: 'RS256' }, 'RS512')],
    [
      'one that is not allowed',
      tokenOf(good, {}, 'RS512'),
      configOf({ JWTSupportedAlgs: ['RS256'] }),
    ],
    ['ES256 for an RSA key', tokenOf(fake, {}, 'ES256', p256.privateKey)],
    ['EdDSA for an RSA key', tokenOf(fake, {}, 'EdDSA', ed25519.privateKey)],
    [
      'ES256 with a key of another curve',
      tokenOf(good, { alg: 'ES256' }, 'ES384', p384.privateKey),
      configOf({ JWTValidationPubKeys: [p384.pem] }),
    ],
    [
      'zeros for r and s (CVE-2022-21449)',
      `${inputOf({ alg: 'ES256' }, fake)}.${base64url(Buffer.alloc(64))}`,
      configOf({ JWTValidationPubKeys: [p256.pem] }),
    ],
  ])
})

t.test('attack: a key that the token brings or names', async t => {
  const brought = {
    jwk: jwkOf(otherRsa),
    x5c: [otherRsa.pem],
    jku: 'http://127.0.0.1:1/',
    x5u: 'http://127.0.0.1:1/',
  }
  const bring = (name: keyof typeof brought): string =>
    tokenOf(fake, { [name]: brought[name] }, 'RS256', otherRsa.privateKey)
  const kid = (value: unknown): string =>
    tokenOf(fake, { kid: value }, 'RS256', otherRsa.privateKey)
  await refused(t, [
    ['jwk', bring('jwk')],
    ['x5c', bring('x5c')],
    ['jku', bring('jku')],
    ['x5u', bring('x5u')],
    ['kid: a path', kid('../../../../dev/null')],
    ['kid: SQL', kid("x' UNION SELECT 'secret")],
    ['kid: a command', kid('|/bin/true')],
    ['kid: a name of every object', kid('__proto__')],
    ['kid: constructor', kid('constructor')],
    ['kid: empty', kid('')],
    ['kid: a list', kid(['a'])],
    ['kid: an object', kid({ a: 1 })],
    ['kid: long', kid('k'.repeat(limits.jwtKeyIdChars + 1))],
    ['signed by another', tokenOf(good, {}, 'RS256', otherRsa.privateKey)],
  ])
})

t.test('attack: the form', async t => {
  const sign = (input: string): string =>
    `${input}.${signatureOf(input, 'RS256', rsa.privateKey).toString('base64url')}`
  const deep = '['.repeat(limits.jsonDepth + 1) + ']'.repeat(limits.jsonDepth + 1)
  const long = { ...good, pad: 'x'.repeat(limits.jwtSizeBytes) }
  await refused(t, [
    ['nothing', ''],
    ['one part', claims],
    ['two parts', `${header}.${claims}`],
    ['no signature', `${header}.${claims}.`],
    ['four parts', `${header}.${claims}.${signature}.x`],
    ['five parts, as encrypted ones have', `${header}...${claims}.${signature}`],
    ['JSON instead of parts', JSON.stringify({ protected: header, payload: claims, signature })],
    ['padding', `${header}.${claims}.${signature}=`],
    ['base64 instead of base64url', `${header}.${claims}.${signature}`.replaceAll(/[-_]/g, '+')],
    ['a blank behind', `${header}.${claims}.${signature} `],
    ['a line end behind', `${header}.${claims}.${signature}\n`],
    ['bits that mean nothing', `${header}.${claims}.${signature.slice(0, -1)}${nextOf(signature)}`],
    ['claims of another token', `${header}.${tokenOf(fake).split('.')[1]}.${signature}`],
    [
      'the header of another',
      `${tokenOf(good, { kid: 'x' }).split('.')[0]}.${claims}.${signature}`,
    ],
    ['larger than the bound', tokenOf(long)],
    ['critical extensions', tokenOf(good, { crit: ['exp'], exp: 1 })],
    ['an empty list of them', tokenOf(good, { crit: [] })],
    ['a payload that is not encoded', tokenOf(good, { b64: false, crit: ['b64'] })],
    ['compressed', tokenOf(good, { zip: 'DEF' })],
    ['a token in a token', tokenOf(tokenOf(good), { cty: 'JWT' })],
    ['a token for claims', tokenOf(tokenOf(good))],
    ['a list for claims', tokenOf('[]')],
    ['null for claims', tokenOf('null')],
    ['claims that are nested deeply', tokenOf(`{"exp":${NOW + 60},"x":${deep}}`)],
    ['claims that are no JSON', tokenOf('{"exp":')],
    ['bytes that are no UTF-8', sign(`${header}.${base64url(Buffer.from([0x7b, 0xff, 0x7d]))}`)],
    ['a byte order mark', tokenOf(`\ufeff${JSON.stringify(good)}`)],
    ['an algorithm twice', tokenOf(good, '{"alg":"none","alg":"RS256"}')],
    ['a claim twice', tokenOf(`{"sub":"ann","sub":"root",${JSON.stringify(good).slice(1)}`)],
    [
      'a claim twice, once escaped',
      tokenOf(`{"s\\u0075b":"root",${JSON.stringify(good).slice(1)}`),
    ],
  ])
})

/** The next character of the alphabet: the same bytes where the last bits are not used. */
const nextOf = (text: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return alphabet[(alphabet.indexOf(text.at(-1)!) + 1) % alphabet.length]!
}

t.test('attack: the claims', async t => {
  const { exp: _exp, iat: _iat, ...timeless } = good
  const audience = (aud: unknown, config = configOf()): Case => [
    `audience ${JSON.stringify(aud)}`,
    tokenOf({ ...good, aud }),
    config,
  ]
  const issuer = (iss: unknown): Case => [`issuer ${iss}`, tokenOf({ ...good, iss })]
  const times = (more: object): Case => [JSON.stringify(more), tokenOf({ ...timeless, ...more })]
  await refused(t, [
    audience('other'),
    audience([]),
    audience(['other', 'another']),
    audience(''),
    audience(['']),
    audience(undefined),
    audience('gatehouse other'),
    audience('Gatehouse'),
    audience({ 0: 'gatehouse' }),
    audience([['gatehouse']]),
    audience(['gatehouse', 7]),
    audience(7),
    audience('gatehouse', configOf({ BoundAudiences: [] })),
    audience('', configOf({ BoundAudiences: [''] })),
    issuer('https://other'),
    issuer('https://issuer/'),
    issuer(['https://issuer']),
    issuer(undefined),
    times({}),
    times({ exp: NOW - 61 }),
    times({ exp: `${NOW + 60}` }),
    times({ exp: -1 }),
    times({ exp: 1e300 }),
    times({ exp: true }),
    times({ exp: NOW + 60, nbf: NOW + 61 }),
    times({ exp: NOW + 60, iat: NOW + 61 }),
    times({ exp: NOW + 60, nbf: 'now' }),
    times({ iat: NOW - 150 - 61 }),
    times({ nbf: NOW - 150 - 61 }),
    times({ exp: NOW + 150 + 61 }),
  ])
})

t.test('near miss', async t => {
  const times = (more: object): Case => {
    const { exp: _exp, iat: _iat, ...timeless } = good
    return [JSON.stringify(more), tokenOf({ ...timeless, ...more })]
  }
  const withKey = (pem: string, more: object = {}) =>
    configOf({ JWTValidationPubKeys: [pem], ...more })
  await taken(t, [
    ['as it should be', tokenOf(good)],
    ['without a type', tokenOf(good, '{"alg":"RS256"}')],
    ['with an id of its key', tokenOf(good, { kid: 'a' })],
    ['with a key that is not looked at', tokenOf(good, { jwk: jwkOf(otherRsa), jku: 'http://x/' })],
    ['with blanks in its JSON', tokenOf(JSON.stringify(good, null, 2))],
    ['equal names in different objects', tokenOf({ ...good, a: { x: 1 }, b: { x: 1, sub: 'x' } })],
    ['as large as may be', tokenOf({ ...good, pad: 'x'.repeat(limits.jwtSizeBytes / 2) })],
    ['PS256', tokenOf(good, {}, 'PS256')],
    ['RS512', tokenOf(good, {}, 'RS512')],
    ['ES256', tokenOf(good, {}, 'ES256', p256.privateKey), withKey(p256.pem)],
    ['ES384', tokenOf(good, {}, 'ES384', p384.privateKey), withKey(p384.pem)],
    ['EdDSA', tokenOf(good, {}, 'EdDSA', ed25519.privateKey), withKey(ed25519.pem)],
    [
      'the second of two keys',
      tokenOf(good),
      configOf({ JWTValidationPubKeys: [otherRsa.pem, rsa.pem] }),
    ],
    ['audiences in a list', tokenOf({ ...good, aud: ['x', 'gatehouse'] })],
    [
      'no audience where none is bound',
      tokenOf({ ...good, aud: undefined }),
      configOf({ BoundAudiences: [] }),
    ],
    [
      'any issuer where none is bound',
      tokenOf({ ...good, iss: undefined }),
      configOf({ BoundIssuer: '' }),
    ],
    times({ exp: NOW - 60 }),
    times({ exp: NOW + 60, nbf: NOW + 60, iat: NOW + 60 }),
    times({ iat: NOW - 150 - 60 }),
    times({ nbf: NOW - 150 - 60 }),
    times({ exp: NOW + 150 + 60 }),
    times({ exp: NOW + 0.5 }),
  ])
  t.match(
    await login(tokenOf({ ...good, exp: NOW - 1 }), configOf({ ClockSkewLeeway: '-1s' })),
    /expired/,
  )
  t.equal(
    await login(tokenOf({ ...good, exp: NOW }), configOf({ ClockSkewLeeway: '-1s' })),
    'user ann',
  )
})

t.test('key sets: what a key is for, and secrets that lie in them', async t => {
  const config = configOf({ JWKSURL: 'https://issuer/keys' })
  const ids = { kid: 'a', use: 'sig' }
  const secret = { kty: 'oct', k: base64url('secret'), kid: 'a', alg: 'HS256' }
  const whole = { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'a' }
  const set = (...keys: object[]): readonly PublicKey[] => {
    const read = keysOfSet(JSON.stringify({ keys }))
    if (typeof read === 'string') throw new Error(read)
    return read
  }
  const token = tokenOf(good, { kid: 'a' })
  const cases: [string, readonly PublicKey[], boolean][] = [
    ['the key', set({ ...jwkOf(rsa), ...ids }), true],
    ['without an id', set(jwkOf(rsa)), true],
    ['among others', set(secret, jwkOf(p256), { ...jwkOf(rsa), ...ids }, 7 as never), true],
    ['with another id', set({ ...jwkOf(rsa), kid: 'b' }), false],
    ['for encryption', set({ ...jwkOf(rsa), kid: 'a', use: 'enc' }), false],
    ['for another algorithm', set({ ...jwkOf(rsa), kid: 'a', alg: 'RS512' }), false],
    ['for other operations', set({ ...jwkOf(rsa), kid: 'a', key_ops: ['encrypt'] }), false],
    ['a private one', set(whole), false],
  ]
  for (const [name, keys, isTaken] of cases) {
    t.equal(
      (await login(token, config, keys.length === 0 ? [foreign] : keys)) === 'user ann',
      isTaken,
      name,
    )
  }
  t.match(
    await login(
      tokenOf(fake, { kid: 'a' }, 'HS256', 'secret'),
      config,
      set(secret, whole, jwkOf(rsa)),
    ),
    /not allowed/,
  )
})

const foreign: PublicKey = {
  key: createPublicKey(otherRsa.pem),
  id: undefined,
  algorithm: undefined,
}

t.test('generated: no change of a token is taken', async t => {
  const token = tokenOf(good)
  const ran = await untilBudget('changed tokens', 100_000, async index => {
    const [at = 0, kind, letter] = fc.sample(
      fc.tuple(
        fc.nat(token.length - 1),
        fc.constantFrom('put', 'cut', 'add', 'swap'),
        fc.constantFrom(...'ABab09-_.=+/ \n'),
      ),
      { numRuns: 1, seed: index },
    )[0]!
    const before = token.slice(0, at)
    const changed = {
      put: before + letter + token.slice(at + 1),
      cut: before + token.slice(at + 1),
      add: before + letter + token.slice(at),
      swap: before + (token[at + 1] ?? '') + token[at]! + token.slice(at + 2),
    }[kind]
    if (changed === token) return
    const given = await login(changed)
    if (given.startsWith('user ')) throw new Error(`seed ${index}: ${changed} gave ${given}`)
  })
  t.ok(ran > 0)
})

t.test('generated: no header makes claims of a stranger hold', async () => {
  const names = [
    'alg',
    'kid',
    'jwk',
    'jku',
    'x5u',
    'x5c',
    'x5t',
    'typ',
    'cty',
    'crit',
    'zip',
    'b64',
  ]
  const value = fc.oneof(
    fc.constantFrom<unknown>('none', 'HS256', 'RS256', 'ES256', '', null, true, 0, [], {}),
    fc.constant<unknown>(jwkOf(otherRsa)),
    fc.json().map(text => JSON.parse(text) as unknown),
  )
  const header = fc.dictionary(fc.constantFrom(...names), value)
  await fc.assert(
    fc.asyncProperty(header, async given => {
      for (const [algorithm, key] of [
        ['RS256', otherRsa.privateKey],
        ['HS256', rsa.pem],
      ] as const) {
        const said = await login(tokenOf(fake, JSON.stringify(given), algorithm, key))
        if (said.startsWith('user ')) throw new Error(JSON.stringify(given))
      }
    }),
    { numRuns: propertyRuns() },
  )
})
