/** What a thread for arithmetic answers. */
import { constants, publicEncrypt, randomBytes, verify } from 'node:crypto'
import tap from 'tap'
import { doJob } from '../../../src/base/io/thread.ts'

tap.test('a password is hashed, or held against a hash', t => {
  const salt = new Uint8Array(16)
  const hash = doJob({ kind: 'hashPassword', given: { password: 'right', salt } })
  t.match(hash, /^\$argon2id\$/)
  t.equal(doJob({ kind: 'isPassword', given: { password: 'right', hash: String(hash) } }), true)
  t.equal(doJob({ kind: 'isPassword', given: { password: 'wrong', hash: String(hash) } }), false)
  // Vectors of crypt_blowfish.
  const brought = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
  t.equal(doJob({ kind: 'isPassword', given: { password: 'U*U', hash: brought } }), true)
  t.equal(doJob({ kind: 'isPassword', given: { password: 'U*U*', hash: brought } }), false)
  t.end()
})

tap.test('an RSA key is drawn, signs and decrypts', t => {
  const key = doJob<'generateRsa'>({ kind: 'generateRsa', given: { bits: 2048 } })
  t.equal(key.asymmetricKeyDetails?.modulusLength, 2048)
  const data = randomBytes(20)
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const signed = doJob<'sign'>({ kind: 'sign', given: { hash: 'sha256', data, key, padding } })
  t.ok(verify('sha256', data, { key, padding }, signed))
  const sealed = publicEncrypt({ key, oaepHash: 'sha256' }, data)
  const opened = doJob<'decrypt'>({
    kind: 'decrypt',
    given: { key, data: sealed, oaepHash: 'sha256' },
  })
  t.strictSame(Buffer.from(opened), data)
  t.end()
})
