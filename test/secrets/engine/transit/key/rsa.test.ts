/** RSA signatures of given digests, against node's own of texts. */
import assert from 'node:assert/strict'
import {
  constants,
  hash as digestOf,
  generateKeyPairSync,
  privateDecrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { hashNamed } from '../../../../../src/secrets/engine/transit/key/hash.ts'
import {
  encodePkcs1,
  encodePss,
  type SaltLength,
  saltSizeMax,
  verifyPkcs1,
  verifyPss,
} from '../../../../../src/secrets/engine/transit/key/rsa.ts'
import { propertyRuns } from '../../../../run/budget.ts'

// A modulus whose last byte of bits is not whole has another form of PSS.
const pairs = [1_024, 1_025, 1_031, 2_048].map(bits =>
  generateKeyPairSync('rsa', { modulusLength: bits }),
)
const names = [
  'sha1',
  ...['sha2', 'sha3'].flatMap(kind => ['224', '256', '384'].map(size => `${kind}-${size}`)),
]
const raw = (key: (typeof pairs)[0]['privateKey'], encoded: Buffer) =>
  privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, encoded)

t.test('PSS and PKCS #1 v1.5 of digests are those of texts, both ways', t => {
  const property = fc.property(
    fc.constantFrom(...pairs),
    fc.constantFrom(...names),
    fc.uint8Array({ maxLength: 40 }),
    fc.nat({ max: 60 }),
    ({ privateKey, publicKey }, name, text, wanted) => {
      const hash = hashNamed(name)!
      const digest = digestOf(hash.name, text, 'buffer')
      const other = Buffer.from(digest)
      other[0]! ^= 1
      const saltLength = Math.min(wanted, saltSizeMax(publicKey, hash))

      const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
      const theirs = sign(hash.name, text, { key: privateKey, ...pss })
      for (const salt of [saltLength, 'auto'] as SaltLength[]) {
        assert.ok(verifyPss(publicKey, hash, digest, salt, theirs))
        assert.equal(verifyPss(publicKey, hash, other, salt, theirs), false)
      }
      assert.equal(verifyPss(publicKey, hash, digest, saltLength + 1, theirs), false)
      const isHash = saltLength === hash.sizeBytes
      assert.equal(verifyPss(publicKey, hash, digest, 'hash', theirs), isHash)
      const made = raw(privateKey, encodePss(privateKey, hash, digest, randomBytes(saltLength)))
      assert.ok(verify(hash.name, text, { key: publicKey, ...pss }, made))

      const pkcs1 = { padding: constants.RSA_PKCS1_PADDING }
      const old = sign(hash.name, text, { key: privateKey, ...pkcs1 })
      assert.deepEqual(raw(privateKey, encodePkcs1(privateKey, hash, digest)!), old)
      assert.ok(verifyPkcs1(publicKey, hash, digest, old))
      assert.equal(verifyPkcs1(publicKey, hash, other, old), false)
      assert.equal(verifyPkcs1(publicKey, hash, digest, theirs), false)
      assert.equal(verifyPss(publicKey, hash, digest, 'auto', old), false)
    },
  )
  fc.assert(property, { numRuns: propertyRuns() })
  t.end()
})

t.test('what is forged under the bare operation is refused', t => {
  const { privateKey, publicKey } = pairs[3]!
  const hash = hashNamed('sha2-256')!
  const digest = digestOf('sha256', 'text', 'buffer')
  const good = encodePss(privateKey, hash, digest, randomBytes(20))
  t.equal(verifyPss(publicKey, hash, digest, 'auto', raw(privateKey, good)), true)
  const forge = (change: (bytes: Buffer) => void): Buffer => {
    const encoded = Buffer.from(good)
    change(encoded)
    return raw(privateKey, encoded)
  }
  const forged = [
    forge(bytes => bytes.writeUInt8(0xcc, bytes.length - 1)),
    forge(bytes => bytes.writeUInt8(bytes[bytes.length - 2]! ^ 1, bytes.length - 2)),
    forge(bytes => bytes.writeUInt8(bytes[0]! ^ 0x40, 0)),
    forge(bytes => bytes.writeUInt8(bytes[100]! ^ 1, 100)),
  ]
  for (const signature of forged) {
    t.equal(verifyPss(publicKey, hash, digest, 'auto', signature), false)
  }

  const info = Buffer.concat([hash.digestInfo, digest])
  const filled = (size: number, byte = 0xff) => Buffer.alloc(size, byte)
  const encoded = (...parts: Buffer[]) => raw(privateKey, Buffer.concat(parts))
  const [head, zero] = [Buffer.from([0, 1]), Buffer.from([0])]
  const room = 256 - info.length - 3
  t.equal(verifyPkcs1(publicKey, hash, digest, encoded(head, filled(room), zero, info)), true)
  const wrong = {
    'something behind the digest': encoded(head, filled(8), zero, info, filled(room - 8, 0)),
    'something before it': encoded(head, filled(room - 4), zero, filled(4, 0), info),
    'another filling': encoded(head, filled(room, 0xfe), zero, info),
    'another type': encoded(Buffer.from([0, 2]), filled(room), zero, info),
    'no null behind the hash': encoded(
      ...([head, filled(room + 2), zero] as const),
      Buffer.concat([
        Buffer.from([0x30, 47, 0x30, 11]),
        hash.digestInfo.subarray(4, 15),
        Buffer.from([4, 32]),
        digest,
      ]),
    ),
  }
  for (const [what, signature] of Object.entries(wrong)) {
    t.equal(verifyPkcs1(publicKey, hash, digest, signature), false, what)
  }
  for (const size of [0, 1, 255, 257]) {
    t.equal(verifyPkcs1(publicKey, hash, digest, randomBytes(size)), false)
    t.equal(verifyPss(publicKey, hash, digest, 'auto', randomBytes(size)), false)
  }
  t.equal(verifyPkcs1(publicKey, hash, digest, filled(256)), false, 'larger than the modulus')
  t.end()
})

t.test('what has no room is not signed', t => {
  const { privateKey } = pairs[3]!
  t.equal(encodePkcs1(privateKey, undefined, Buffer.alloc(246)), undefined)
  t.equal(encodePkcs1(privateKey, undefined, Buffer.alloc(245))?.length, 256)
  t.equal(saltSizeMax(privateKey, hashNamed('sha2-256')!), 222)
  t.end()
})
