/** Hashes of passwords. */
import { argon2Sync } from 'node:crypto'
import tap from 'tap'
import { hashPasswordNow, isPasswordNow, NOBODYS_HASH } from '../../src/base/password-hash.ts'

const salt = Buffer.alloc(16, 7)

tap.test('a hash is that of its password alone', t => {
  const hash = hashPasswordNow('right', salt)
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
  t.equal(isPasswordNow('right', hash), true)
  t.equal(isPasswordNow('Right', hash), false)
  t.equal(isPasswordNow('', hash), false)
  t.not(hashPasswordNow('right', Buffer.alloc(16, 8)), hash)
  t.end()
})

tap.test('it is argon2id as others compute it', t => {
  const parameters = { parallelism: 1, tagLength: 32, memory: 19_456, passes: 2 }
  const tag = argon2Sync('argon2id', { message: 'right', nonce: salt, ...parameters })
  t.equal(hashPasswordNow('right', salt).split('$')[5], tag.toString('base64').replace(/=+$/, ''))
  t.end()
})

tap.test('what is no hash is nobody’s, and so is the hash of nobody', t => {
  for (const hash of ['', '$2b$10$abc', NOBODYS_HASH, '$argon2id$v=19$m=1,t=1,p=1$AA$AA']) {
    t.equal(isPasswordNow('right', hash), false)
  }
  t.end()
})
