/** Arithmetic with keys: what is slow is done in threads, and comes to the same. */
import { publicEncrypt, randomBytes, verify } from 'node:crypto'
import tap from 'tap'
import { isSlow, KeyThreads } from '../../../src/base/io/arithmetic.ts'
import { limits } from '../../../src/base/limits.ts'
import { longestSlice, resetLongestSlice, useLoop } from '../../../src/base/slices.ts'

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
    t.ok(verify(hash, long, key, await keys.sign({ hash, data: long, key })), 'a long one')
    if (kind.type !== 'rsa') continue
    const sealed = publicEncrypt({ key, oaepHash: 'sha256' }, data)
    t.strictSame(await keys.decrypt({ key, data: sealed, oaepHash: 'sha256' }), data)
    sealed[7]! ^= 1
    await t.rejects(keys.decrypt({ key, data: sealed, oaepHash: 'sha256' }), /decoding error/)
  }
})

tap.test('what is long is signed piece by piece by a curve, without a thread', async t => {
  const keys = new KeyThreads()
  const [key, named] = [
    await keys.generateKey({ type: 'ec', curve: 'prime256v1' }),
    await keys.generateKey({ type: 'ed25519' }),
  ]
  await keys.close()
  const data = randomBytes(10 * limits.signedHereSizeBytes + 1)
  // Each look at the clock finds the slice over: then the loop is given back.
  let [looks, turns] = [0, 0]
  const restore = useLoop({
    now: () => limits.sliceMs * looks++,
    afterPoll: run =>
      setImmediate(() => {
        turns++
        run()
      }),
  })
  t.teardown(restore)
  resetLongestSlice()
  for (const dsaEncoding of ['der', 'ieee-p1363'] as const) {
    const signature = await keys.sign({ hash: 'sha256', data, key, dsaEncoding })
    t.ok(verify('sha256', data, { key, dsaEncoding }, signature), dsaEncoding)
  }
  t.equal(turns, 2 * 41, 'one piece of 64 KiB a turn')
  t.equal(longestSlice(), limits.sliceMs)
  const elsewhere = keys.sign({ hash: null, data, key: named })
  await t.rejects(elsewhere, { code: 'closed' }, 'one that cannot be cut is for a thread')
})

tap.test('nothing is begun once it closes', async t => {
  const keys = new KeyThreads()
  await keys.close()
  await t.rejects(keys.generateKey({ type: 'rsa', bits: 2048 }), { code: 'closed' })
})
