/** Keyed hashes are HMAC-SHA-256 (RFC 4231), however long the text, and end with their key. */
import { createHmac } from 'node:crypto'
import tap from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { HashKey } from '../../src/base/hash-key.ts'

tap.test('it is HMAC', async t => {
  const key = systemRandom.bytes(32)
  const hashKey = new HashKey(key)
  for (const text of [
    '',
    'a',
    'é'.repeat(100),
    'x'.repeat(341),
    'x'.repeat(342),
    'y'.repeat(5_000),
  ]) {
    t.equal(hashKey.hash(text), createHmac('sha256', key).update(text).digest('hex'))
  }
  hashKey.wipe()
  t.not(hashKey.hash('a'), createHmac('sha256', key).update('a').digest('hex'))
})
