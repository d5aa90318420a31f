/** The table of hashes, against OpenSSL's. */
import { constants, hash as digestOf, generateKeyPairSync, publicDecrypt, sign } from 'node:crypto'
import t from 'tap'
import { DEFAULT_HASH, hashNamed } from '../../../../../src/secrets/engine/transit/key/hash.ts'

t.test('each has its size, and the prefix that OpenSSL puts before it', t => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  const sizes = ['224', '256', '384', '512']
  const names = ['sha1', ...['sha2', 'sha3'].flatMap(kind => sizes.map(size => `${kind}-${size}`))]
  for (const name of names) {
    const hash = hashNamed(name)!
    const digest = digestOf(hash.name, 'text', 'buffer')
    t.equal(digest.length, hash.sizeBytes, name)
    const signature = sign(hash.name, Buffer.from('text'), privateKey)
    const info = publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature)
    t.strictSame(Buffer.concat([hash.digestInfo, digest]), info, name)
  }
  t.ok(hashNamed(DEFAULT_HASH))
  for (const name of ['none', '', 'sha2', 'constructor']) t.equal(hashNamed(name), undefined)
  t.end()
})
