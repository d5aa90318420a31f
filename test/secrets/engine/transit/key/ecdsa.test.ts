/** ECDSA of given digests, against node's own ECDSA of texts. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, hash, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  fromAsn1,
  numberSizeBytes,
  signDigest,
  toAsn1,
  verifyDigest,
} from '../../../../../src/secrets/engine/transit/key/ecdsa.ts'
import { propertyRuns } from '../../../../run/budget.ts'

const pairs = ['prime256v1', 'secp384r1', 'secp521r1'].map(curve => ({
  curve,
  ...generateKeyPairSync('ec', { namedCurve: curve }),
}))
const hex = (...parts: string[]): bigint => BigInt(`0x${parts.join('')}`)
const F = 'f'.repeat(32)
const orders: Readonly<Record<string, bigint>> = {
  prime256v1: hex('ffffffff00000000', 'f'.repeat(16), 'bce6faada7179e84f3b9cac2fc632551'),
  secp384r1: hex(F, 'f'.repeat(16), 'c7634d81f4372ddf', '581a0db248b0a77aecec196accc52973'),
  secp521r1: hex(
    ...['1', F, F, 'fa51868783bf2f966b7fcc0148f709a5'],
    'd03bb5c9b8899c47aebb6fb71e91386409',
  ),
}
const bytesOf = (number: bigint, size: number): Buffer =>
  Buffer.from(number.toString(16).padStart(2 * size, '0'), 'hex')
const P1363 = { dsaEncoding: 'ieee-p1363' } as const

t.test('a signed digest is a signed text to everybody else, and the other way round', t => {
  const property = fc.property(
    fc.constantFrom(...pairs),
    fc.constantFrom('sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha3-256'),
    fc.uint8Array({ maxLength: 50 }),
    ({ curve, privateKey, publicKey }, name, text) => {
      const digest = hash(name, text, 'buffer')
      const made = signDigest(privateKey, digest)!
      assert.equal(made.length, 2 * numberSizeBytes(curve))
      assert.ok(verify(name, text, { key: publicKey, ...P1363 }, made))
      const theirs = sign(name, text, { key: privateKey, ...P1363 })
      assert.ok(verifyDigest(publicKey, digest, theirs))
      const other = hash(name, Buffer.concat([text, Buffer.from([1])]), 'buffer')
      assert.equal(verifyDigest(publicKey, other, theirs), false)
      const changed = Buffer.from(theirs)
      changed[changed.length - 1]! ^= 1
      assert.equal(verifyDigest(publicKey, digest, changed), false)
    },
  )
  fc.assert(property, { numRuns: Math.ceil(propertyRuns() / 3) })
  t.end()
})

t.test('RFC 6979, A.2.5: a signature of P-256 and SHA-256', t => {
  const [x, y, r, s] = [
    '60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6',
    '7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299',
    'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716',
    'F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
  ].map(text => Buffer.from(text, 'hex')) as [Buffer, Buffer, Buffer, Buffer]
  const jwk = {
    ...{ kty: 'EC', crv: 'P-256' },
    ...{ x: x.toString('base64url'), y: y.toString('base64url') },
  }
  const key = createPublicKey({ format: 'jwk', key: jwk })
  const digest = hash('sha256', Buffer.from('sample'), 'buffer')
  t.equal(verifyDigest(key, digest, Buffer.concat([r, s])), true)
  t.equal(verifyDigest(key, digest, Buffer.concat([s, r])), false)
  t.end()
})

t.test('the sign of a point is not lost: the opposite digest is another one', t => {
  for (const { curve, privateKey, publicKey } of pairs) {
    const order = orders[curve]!
    const size = numberSizeBytes(curve)
    for (let at = 1n; at < 6n; at++) {
      const digest = bytesOf(at, Math.min(size, 32))
      const made = signDigest(privateKey, digest)!
      t.equal(verifyDigest(publicKey, digest, made), true)
      const excess = curve === 'secp521r1' ? 7n : 0n
      const opposite = bytesOf((order - at) << excess, size)
      t.equal(verifyDigest(publicKey, opposite, made), false, `${curve} ${at}`)
      const [r, s] = [made.subarray(0, size), made.subarray(size)]
      const mirrored = bytesOf(order - BigInt(`0x${s.toString('hex')}`), size)
      t.equal(verifyDigest(publicKey, digest, Buffer.concat([r, mirrored])), true, 'as ECDSA is')
    }
  }
  t.end()
})

t.test('digests that are too long are cut, those of zeros are none', t => {
  for (const { curve, privateKey, publicKey } of pairs) {
    const size = numberSizeBytes(curve)
    const digest = Buffer.alloc(size + 20, 0x5a)
    const made = signDigest(privateKey, digest)!
    const bits = curve === 'secp521r1' ? 66 : size
    const same = Buffer.concat([digest.subarray(0, bits), Buffer.alloc(5, 1)])
    t.equal(verifyDigest(publicKey, same, made), true, 'what is cut off says nothing')
    for (const none of [Buffer.alloc(0), Buffer.alloc(32), bytesOf(0n, size)]) {
      t.equal(signDigest(privateKey, none), undefined)
      t.equal(verifyDigest(publicKey, none, made), false)
    }
  }
  t.end()
})

t.test('numbers that no signature has are wrong', t => {
  for (const { curve, publicKey, privateKey } of pairs) {
    const order = orders[curve]!
    const size = numberSizeBytes(curve)
    const digest = Buffer.alloc(32, 1)
    const made = signDigest(privateKey, digest)!
    const [r, s] = [made.subarray(0, size), made.subarray(size)]
    const number = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`)
    const wrong = [
      [bytesOf(0n, size), s],
      [r, bytesOf(0n, size)],
      [bytesOf(0n, size), bytesOf(0n, size)],
      [bytesOf(order, size), s],
      [r, bytesOf(order, size)],
      [bytesOf(1n, size), bytesOf(1n, size)],
      [bytesOf(order - 1n, size), bytesOf(order - 1n, size)],
    ]
    if (number(s) + order < 1n << BigInt(8 * size))
      wrong.push([r, bytesOf(number(s) + order, size)])
    for (const parts of wrong) {
      t.equal(verifyDigest(publicKey, digest, Buffer.concat(parts)), false)
    }
    for (const cut of [Buffer.alloc(0), made.subarray(1), Buffer.concat([made, made])]) {
      t.equal(verifyDigest(publicKey, digest, cut), false)
    }
  }
  t.end()
})

t.test('ASN.1 is read back, and taken strictly', t => {
  for (const { curve, privateKey } of pairs) {
    const size = numberSizeBytes(curve)
    for (let at = 0; at < 10; at++) {
      const der = sign('sha256', Buffer.from([at]), privateKey)
      const numbers = fromAsn1(curve, der)
      t.ok(Buffer.isBuffer(numbers) && numbers.length === 2 * size)
      t.strictSame(toAsn1(numbers as Buffer), der)
    }
    const small = Buffer.concat([bytesOf(1n, size), bytesOf(0x80n, size)])
    t.strictSame(toAsn1(small).toString('hex'), '300702010102020080')
    t.strictSame(fromAsn1(curve, toAsn1(small)), small)
  }
  const malformed: Readonly<Record<string, string>> = {
    '': 'invalid',
    '30': 'invalid',
    '3000': 'invalid',
    '3006020101020101': 'fine',
    '300602010102010100': 'extra',
    '3106020101020101': 'invalid',
    '3006030101020101': 'invalid',
    '3006020101030101': 'invalid',
    '300702020001020101': 'invalid',
    '30070201010202ff80': 'invalid',
    '30050201010200': 'invalid',
    '3003020101': 'invalid',
    '3009020101020101020101': 'invalid',
    '308106020101020101': 'invalid',
    '30800201010201010000': 'invalid',
    '3007020101020101': 'invalid',
    '30060201ff020101': 'outside',
    '3006020101020181': 'outside',
    [`3046022101${'00'.repeat(32)}022100${'ff'.repeat(32)}`]: 'outside',
    [`3045022100${'ff'.repeat(32)}0220${'7f'.repeat(32)}`]: 'fine',
  }
  for (const [text, what] of Object.entries(malformed)) {
    const read = fromAsn1('prime256v1', Buffer.from(text, 'hex'))
    t.equal(Buffer.isBuffer(read) ? 'fine' : read, what, text)
  }
  t.end()
})
