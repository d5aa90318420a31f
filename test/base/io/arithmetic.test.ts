/** Arithmetic with keys: what is slow is done in threads, and comes to the same. */
import { publicEncrypt, randomBytes, verify } from 'node:crypto'
import tap from 'tap'
import { isSlow, KeyThreads } from '../../../src/base/io/arithmetic.ts'
import { limits } from '../../../src/base/limits.ts'

tap.test('keys of all kinds are drawn and sign; RSA decrypts', async t => {
  const keys = new KeyThreads()
  t.teardown(() => keys.close())
  const kinds = [
    [{ type: 'rsa', bits: 2048 }, 'sha256', true],
    [{ type: 'ec', curve: 'prime256v1' }, 'sha256', false],
    [{ type: 'ed25519' }, null, false],
    [{ type: 'named', name: 'ml-dsa-65' }, null, false],
    [{ type: 'named', name: 'slh-dsa-sha2-128f' }, null, true],
  ] as const
  for (const [kind, hash, slow] of kinds) {
    const key = await keys.generateKey(kind)
    t.equal(key.type, 'private')
    t.equal(key.asymmetricKeyType, 'name' in kind ? kind.name : kind.type)
    t.equal(isSlow(key), slow)
    const data = randomBytes(32)
    const signature = await keys.sign({ hash, data, key })
    t.ok(verify(hash, data, key, signature))
    const long = randomBytes(limits.signedHereSizeBytes + 1)
    t.ok(verify(hash, long, key, await keys.sign({ hash, data: long, key })), 'by a thread')
    if (kind.type !== 'rsa') continue
    const sealed = publicEncrypt({ key, oaepHash: 'sha256' }, data)
    t.strictSame(await keys.decrypt({ key, data: sealed, oaepHash: 'sha256' }), data)
    sealed[7]! ^= 1
    await t.rejects(keys.decrypt({ key, data: sealed, oaepHash: 'sha256' }), /decoding error/)
  }
})

tap.test('nothing is begun once it closes', async t => {
  const keys = new KeyThreads()
  await keys.close()
  await t.rejects(keys.generateKey({ type: 'rsa', bits: 2048 }), { code: 'closed' })
})
