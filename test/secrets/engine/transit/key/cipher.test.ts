/** Ciphers against the vectors of their papers, and against whoever changes a bit. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  convergentNonce,
  open as openParts,
  partsOf,
  sealedSizeMax,
  sealInto,
} from '../../../../../src/secrets/engine/transit/key/cipher.ts'
import { Fault } from '../../../../../src/secrets/engine/transit/key/fault.ts'
import { type KeyType, typeNamed } from '../../../../../src/secrets/engine/transit/key/type.ts'
import { propertyRuns } from '../../../../run/budget.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

/** Cuts and decrypts. */
function open(
  type: KeyType,
  key: Buffer,
  sealed: Buffer,
  associated: Uint8Array | undefined,
  nonce?: Buffer,
): Buffer | Fault {
  const parts = partsOf(type, sealed, nonce)
  return parts instanceof Fault ? parts : openParts(type, key, parts, associated)
}

interface Case {
  readonly source: string
  readonly type: string
  readonly key: Buffer
  readonly nonce: Buffer
  readonly plaintext: Buffer
  readonly associated?: Buffer
  readonly sealed: Buffer
}

const SUNSCREEN = Buffer.from(
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
)
const GCM_TEXT = hex(
  `d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
   1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`,
)

const cases: readonly Case[] = [
  {
    source: 'GCM, test case 4 (McGrew and Viega)',
    type: 'aes128-gcm96',
    key: hex('feffe9928665731c6d6a8f9467308308'),
    nonce: hex('cafebabefacedbaddecaf888'),
    plaintext: GCM_TEXT,
    associated: hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
    sealed: hex(
      `42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
       21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091
       5bc94fbc3221a5db94fae95ae7121a47`,
    ),
  },
  {
    source: 'GCM, test case 16 (McGrew and Viega)',
    type: 'aes256-gcm96',
    key: hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'),
    nonce: hex('cafebabefacedbaddecaf888'),
    plaintext: GCM_TEXT,
    associated: hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
    sealed: hex(
      `522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
       8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
       76fc6ece0f4e1768cddf8853bb2d551b`,
    ),
  },
  {
    source: 'GCM, test case 13: nothing at all',
    type: 'aes256-gcm96',
    ...{ key: Buffer.alloc(32), nonce: Buffer.alloc(12), plaintext: Buffer.alloc(0) },
    sealed: hex('530f8afbc74536b9a963b4f1c4cb738b'),
  },
  {
    source: 'RFC 8439, section 2.8.2',
    type: 'chacha20-poly1305',
    key: hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'),
    nonce: hex('070000004041424344454647'),
    plaintext: SUNSCREEN,
    associated: hex('50515253c0c1c2c3c4c5c6c7'),
    sealed: hex(
      `d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
       3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
       92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
       3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691`,
    ),
  },
  {
    source: 'draft-irtf-cfrg-xchacha-03, appendix A.3.1',
    type: 'xchacha20-poly1305',
    key: hex('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'),
    nonce: hex('404142434445464748494a4b4c4d4e4f5051525354555657'),
    plaintext: SUNSCREEN,
    associated: hex('50515253c0c1c2c3c4c5c6c7'),
    sealed: hex(
      `bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb
       731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452
       2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
       21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49`,
    ),
  },
  {
    source: 'SP 800-38A, F.2.1, first block, with its padding behind it',
    type: 'aes128-cbc',
    key: hex('2b7e151628aed2a6abf7158809cf4f3c'),
    nonce: hex('000102030405060708090a0b0c0d0e0f'),
    plaintext: hex('6bc1bee22e409f96e93d7e117393172a'),
    sealed: hex('7649abac8119b246cee98e9b12e9197d8964e0b149c10b7b682e6e39aaeb731c'),
  },
]

for (const { source, type: name, key, nonce, plaintext, associated, sealed } of cases) {
  t.test(source, t => {
    const type = typeNamed(name)!
    const target = Buffer.alloc(sealedSizeMax(type, plaintext.length))
    const sizeBytes = sealInto(target, type, key, nonce, plaintext, associated)
    const whole = Buffer.concat([nonce, sealed])
    t.equal(target.subarray(0, sizeBytes).toString('hex'), whole.toString('hex'))
    t.strictSame(open(type, key, whole, associated), plaintext)
    t.strictSame(open(type, key, sealed, associated, nonce), plaintext, 'without its nonce')
    t.end()
  })
}

const aeads = ['aes128-gcm96', 'aes256-gcm96', 'chacha20-poly1305', 'xchacha20-poly1305']

t.test('no bit can be changed, nothing cut off, and nothing else said beside it', t => {
  const property = fc.property(
    fc.constantFrom(...aeads),
    fc.uint8Array({ maxLength: 100 }),
    fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
    fc.nat(),
    (name, text, associated, at) => {
      const type = typeNamed(name)!
      const key = randomBytes(type.sizeBytes)
      const nonce = randomBytes(type.nonceSizeBytes)
      const target = Buffer.alloc(sealedSizeMax(type, text.length))
      const sealed = target.subarray(0, sealInto(target, type, key, nonce, text, associated))
      assert.deepEqual(open(type, key, sealed, associated), Buffer.from(text))
      const bit = at % (sealed.length * 8)
      const changed = Buffer.from(sealed)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      for (const wrong of [changed, sealed.subarray(0, at % sealed.length)]) {
        assert.ok(open(type, key, wrong, associated) instanceof Fault)
      }
      const other = Buffer.concat([associated ?? Buffer.alloc(0), Buffer.from([0])])
      assert.ok(open(type, key, sealed, other) instanceof Fault)
      assert.ok(open(type, randomBytes(type.sizeBytes), sealed, associated) instanceof Fault)
    },
  )
  fc.assert(property, { numRuns: 5 * propertyRuns() })
  t.end()
})

t.test('CBC comes back for every length, and is never told how its padding is wrong', t => {
  const type = typeNamed('aes256-cbc')!
  const key = randomBytes(32)
  const told = new Set<string>()
  for (let size = 0; size <= 48; size++) {
    const text = randomBytes(size)
    const target = Buffer.alloc(sealedSizeMax(type, size))
    const sealed = target.subarray(0, sealInto(target, type, key, randomBytes(16), text, undefined))
    t.strictSame(open(type, key, sealed, undefined), text)
    const changed = Buffer.from(sealed)
    changed[changed.length - 1]! ^= 1
    const opened = open(type, key, changed, undefined)
    if (opened instanceof Fault) told.add(opened.text)
  }
  t.strictSame([...told], ['cipher: message decryption failed'])
  t.end()
})

t.test('the same text has the same nonce, by its whole length', t => {
  for (const name of aeads) {
    const type = typeNamed(name)!
    const key = randomBytes(32)
    const nonce = convergentNonce(key, Buffer.from('text'), type)
    t.equal(nonce.length, type.nonceSizeBytes)
    t.strictSame(convergentNonce(key, Buffer.from('text'), type), nonce)
    t.notSame(convergentNonce(key, Buffer.from('texts'), type), nonce)
    t.notSame(convergentNonce(randomBytes(32), Buffer.from('text'), type), nonce)
  }
  t.end()
})
