/** CMAC and HMAC against the vectors of their papers. */
import { createSecretKey, randomBytes } from 'node:crypto'
import t from 'tap'
import { cmacOf, hmacOf, isSameCode } from '../../../../../src/secrets/engine/transit/key/mac.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const TEXT = hex(
  '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
    '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
)

/** RFC 4493, section 4, and SP 800-38B, appendix D: codes of 0, 16, 40 and 64 bytes. */
const cmacs: readonly (readonly [key: string, sizeBytes: number, code: string])[] = [
  ['2b7e151628aed2a6abf7158809cf4f3c', 0, 'bb1d6929e95937287fa37d129b756746'],
  ['2b7e151628aed2a6abf7158809cf4f3c', 16, '070a16b46b4d4144f79bdd9dd04a287c'],
  ['2b7e151628aed2a6abf7158809cf4f3c', 40, 'dfa66747de9ae63030ca32611497c827'],
  ['2b7e151628aed2a6abf7158809cf4f3c', 64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ['8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b', 0, 'd17ddf46adaacde531cac483de7a9367'],
  ['8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b', 16, '9e99a7bf31e710900662f65e617c5184'],
  ['8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b', 40, '8a1de5be2eb31aad089a82e6ee908b0e'],
  ['8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b', 64, 'a1d5df0eed790f794d77589659f39a11'],
  [
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    ...([0, '028962f61b7bf89efc6b551f4667d983'] as const),
  ],
  [
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    ...([16, '28a7023f452e8f82bd4bf28d8c37c35c'] as const),
  ],
  [
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    ...([40, 'aaf3d8f1de5640c232f5b169b9c911e6'] as const),
  ],
  [
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    ...([64, 'e1992190549f6ed5696a2c056c315410'] as const),
  ],
]

t.test('CMACs are those of RFC 4493 and SP 800-38B', t => {
  for (const [key, sizeBytes, code] of cmacs) {
    const made = cmacOf(createSecretKey(hex(key)), TEXT.subarray(0, sizeBytes))
    t.equal(made.toString('hex'), code, `${key.length * 4} bits, ${sizeBytes} bytes`)
  }
  t.end()
})

t.test('HMACs are those of RFC 4231, test case 2', t => {
  const code = hmacOf(
    'sha256',
    createSecretKey(Buffer.from('Jefe')),
    Buffer.from('what do ya want for nothing?'),
  )
  t.equal(code.toString('hex'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
  t.end()
})

t.test('codes are the same when all of them is', t => {
  const code = randomBytes(16)
  t.equal(isSameCode(code, Buffer.from(code)), true)
  t.equal(isSameCode(code, code.subarray(1)), false)
  t.equal(isSameCode(code, randomBytes(16)), false)
  t.equal(isSameCode(Buffer.alloc(0), code), false)
  t.end()
})
