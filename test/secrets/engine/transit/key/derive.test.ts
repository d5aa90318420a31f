/** Derived keys, against the vectors of RFC 5869 and node's own HKDF. */
import assert from 'node:assert/strict'
import {
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  agreedBytes,
  deriveBytes,
  deriveEd25519,
} from '../../../../../src/secrets/engine/transit/key/derive.ts'
import { propertyRuns } from '../../../../run/budget.ts'

/** A version that keeps what is drawn from it, as a material does. */
function versionOf(bytes: Uint8Array) {
  const secret = createSecretKey(bytes)
  let root: KeyObject | undefined
  return { secret, root: (draw: (key: KeyObject) => KeyObject) => (root ??= draw(secret)) }
}

const HKDF = { kdf: 'hkdf_sha256' } as const

t.test('RFC 5869, test case 3', t => {
  const derived = deriveBytes(HKDF, versionOf(Buffer.alloc(22, 0x0b)), Buffer.alloc(0), 42)
  t.equal(
    derived.toString('hex'),
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  )
  t.end()
})

t.test('all sizes and contexts are as HKDF has them', t => {
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 64 }),
    fc.uint8Array({ maxLength: 1_024 }),
    fc.integer({ min: 1, max: 100 }),
    (key, context, sizeBytes) => {
      const expected = Buffer.from(hkdfSync('sha256', key, '', context, sizeBytes))
      assert.deepEqual(deriveBytes(HKDF, versionOf(key), context, sizeBytes), expected)
    },
  )
  fc.assert(property, { numRuns: propertyRuns() })
  const long = deriveBytes(HKDF, versionOf(Buffer.alloc(32)), Buffer.alloc(100_000), 32)
  t.equal(long.length, 32, 'longer contexts than node takes')
  t.end()
})

t.test('counter mode is one block of HMAC over counter, context and length', t => {
  const key = Buffer.alloc(32, 7)
  const input = Buffer.concat([Buffer.alloc(4), Buffer.from('context'), Buffer.from([0, 0, 1, 0])])
  const expected = createHmac('sha256', key).update(input).digest()
  const derived = deriveBytes(
    { kdf: 'hmac-sha256-counter' },
    ...([versionOf(key), Buffer.from('context'), 32] as const),
  )
  t.strictSame(derived, expected)
  t.end()
})

t.test('a context has an Ed25519 key of its own, always the same', t => {
  const key = deriveEd25519(HKDF, versionOf(Buffer.alloc(64, 1)), Buffer.from('a'))
  const again = deriveEd25519(HKDF, versionOf(Buffer.alloc(64, 1)), Buffer.from('a'))
  const other = deriveEd25519(HKDF, versionOf(Buffer.alloc(64, 1)), Buffer.from('b'))
  const signature = sign(null, Buffer.from('text'), key)
  t.equal(verify(null, Buffer.from('text'), createPublicKey(again), signature), true)
  t.equal(verify(null, Buffer.from('text'), createPublicKey(other), signature), false)
  t.end()
})

t.test('two sides agree', t => {
  for (const namedCurve of ['prime256v1', 'secp384r1', 'secp521r1']) {
    const [one, other] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve }))
    t.strictSame(
      agreedBytes(one!.privateKey, other!.publicKey, 32),
      agreedBytes(other!.privateKey, one!.publicKey, 32),
    )
  }
  t.end()
})
