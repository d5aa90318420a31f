/** Signed requests of ACME: their form, their keys, and the example of RFC 7638. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import fc from 'fast-check'
import tap from 'tap'
import {
  bindingKeyId,
  isBound,
  isSignedBy,
  jwkOf,
  keyOfJwk,
  parseJws,
  thumbprintOf,
} from '../../../../../src/secrets/engine/pki/acme/jws.ts'
import { Problem } from '../../../../../src/secrets/engine/pki/acme/problem.ts'
import { untilBudget } from '../../../../run/budget.ts'

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const jwk = generateJwk()
function generateJwk() {
  const { crv = '', x = '', y = '', kty = '' } = privateKey.export({ format: 'jwk' })
  return { crv, kty, x, y }
}

/** A whole request with parts in place of its own. */
function request(header: object, more: object = {}): Buffer {
  const head = encode({ alg: 'ES256', nonce: 'n', url: 'u', ...header })
  const payload = encode({ a: 1 })
  const signature = sign('sha256', Buffer.from(`${head}.${payload}`), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  }).toString('base64url')
  return Buffer.from(JSON.stringify({ protected: head, payload, signature, ...more }))
}

tap.test('a thumbprint is that of RFC 7638, 3.1', t => {
  const n =
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
  const print = thumbprintOf({ kty: 'RSA', n, e: 'AQAB' })
  t.equal(print, 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  t.end()
})

tap.test('a request is parsed, and its signature holds for its key alone', t => {
  const signed = parseJws(request({ jwk }))
  if (signed instanceof Problem) return t.end()
  const key = keyOfJwk(signed.jwk!)
  t.notOk(key instanceof Problem)
  if (key instanceof Problem) return t.end()
  t.ok(isSignedBy(signed, key))
  const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey
  t.notOk(isSignedBy(signed, other))
  t.notOk(isSignedBy({ ...signed, signedText: `${signed.signedText}x` }, key))
  const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey
  t.notOk(isSignedBy(signed, p384), 'an algorithm goes with its curve')
  t.notOk(isSignedBy({ ...signed, algorithm: 'RS256' }, key), 'and with its kind of key')
  t.notOk(isSignedBy({ ...signed, signature: Buffer.alloc(3) }, key))
  t.end()
})

tap.test('what is no such request is told so', t => {
  const wrong: readonly (readonly [string, Buffer, string])[] = [
    ['no JSON', Buffer.from('{'), 'malformed'],
    ['a list', Buffer.from('[]'), 'malformed'],
    ['unprotected headers', request({ jwk }, { header: { kid: 'x' } }), 'malformed'],
    ['the general form', request({ jwk }, { signatures: [] }), 'malformed'],
    ['no base64url', request({ jwk }, { payload: 'a+b=' }), 'malformed'],
    ['a header that is a list', request({}, { protected: encode([]) }), 'malformed'],
    ['no algorithm', request({ jwk, alg: undefined }), 'badSignatureAlgorithm'],
    ['none', request({ jwk, alg: 'none' }), 'badSignatureAlgorithm'],
    ['a shared secret', request({ jwk, alg: 'HS256' }), 'badSignatureAlgorithm'],
    ['both keys', request({ jwk, kid: 'x' }), 'malformed'],
    ['neither key', request({}), 'malformed'],
    ['no url', request({ jwk, url: 1 }), 'malformed'],
    ['critical parts', request({ jwk, crit: ['b64'], b64: false }), 'malformed'],
    ['a key of no kind', request({ jwk: { kty: 'oct', k: 'AAAA' } }), 'badPublicKey'],
    ['a key without a part', request({ jwk: { ...jwk, x: undefined } }), 'badPublicKey'],
    ['a key of the object', request({ jwk: { kty: 'constructor' } }), 'badPublicKey'],
    ['too large', Buffer.alloc(65_537, 32), 'malformed'],
  ]
  for (const [name, body, kind] of wrong) t.match(parseJws(body), { kind }, name)
  t.end()
})

tap.test('a key has the members that it is made of alone', t => {
  t.strictSame(jwkOf({ ...jwk, d: 'secret', use: 'sig' }), jwk)
  t.match(keyOfJwk({ ...jwk, x: jwk.y! }), { kind: 'badPublicKey' }, 'a point off the curve')
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const small = jwkOf(publicKey.export({ format: 'jwk' }))
  t.match(keyOfJwk(small as never), { kind: 'badPublicKey' }, 'a key that is too small')
  t.end()
})

tap.test('an external account is bound by its secret, for one URL and one key', t => {
  const secret = Buffer.from('s'.repeat(32))
  const bound = (head: object, payload: unknown, with_ = secret) => {
    const [first, second] = [encode(head), encode(payload)]
    const signature = createHmac('sha256', with_).update(`${first}.${second}`).digest('base64url')
    return { protected: first, payload: second, signature }
  }
  const head = { alg: 'HS256', kid: 'k', url: 'u' }
  const right = bound(head, jwk)
  t.equal(bindingKeyId(right), 'k')
  t.ok(isBound(right, secret, 'u', jwk))
  t.notOk(isBound(right, secret, 'other', jwk))
  t.notOk(isBound(right, Buffer.from('other'), 'u', jwk))
  t.notOk(isBound(bound(head, { ...jwk, x: jwk.y }), secret, 'u', jwk))
  t.notOk(isBound(bound(head, 'text'), secret, 'u', jwk))
  for (const bad of [
    { ...head, alg: 'ES256' },
    { ...head, nonce: 'x' },
    { ...head, kid: 1 },
  ]) {
    t.match(bindingKeyId(bound(bad, jwk)), { kind: 'malformed' })
  }
  t.match(bindingKeyId(undefined), { kind: 'malformed' })
  t.end()
})

tap.test('whatever comes, a problem or a request comes of it', async t => {
  const part = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constant(encode({ alg: 'ES256', jwk, url: 'u' })),
  )
  const body = fc.record(
    { protected: part, payload: part, signature: part, header: part },
    { requiredKeys: [] },
  )
  let failed = 0
  const done = await untilBudget('bodies of ACME', 200_000, index => {
    const [sent] = fc.sample(fc.oneof(body, fc.jsonValue()), { numRuns: 1, seed: index })
    const outcome = parseJws(Buffer.from(JSON.stringify(sent)))
    if (!(outcome instanceof Problem) && typeof outcome.url !== 'string') failed++
  })
  t.ok(done > 0)
  t.equal(failed, 0)
})
