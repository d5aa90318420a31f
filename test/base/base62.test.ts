/** Letters and digits by chance: as many as asked for, none favoured. */
import tap from 'tap'
import { BASE62, base62 } from '../../src/base/base62.ts'
import { systemRandom } from '../../src/base/clock.ts'

tap.test('each letter is as likely as the other', async t => {
  t.equal(new Set(BASE62).size, 62)
  for (const chars of [0, 1, 24, 100])
    t.match(base62(systemRandom, chars), RegExp(`^\\w{${chars}}$`))
  // Bytes that would favour some letters are passed over.
  const bytes = (sizeBytes: number) => Buffer.alloc(sizeBytes, 248).fill(61, sizeBytes - 1)
  t.equal(base62({ ...systemRandom, bytes }, 2), 'zz')
  const counts = new Map<string, number>()
  for (const letter of base62(systemRandom, 62_000)) {
    counts.set(letter, (counts.get(letter) ?? 0) + 1)
  }
  t.ok([...counts.values()].every(count => count > 700 && count < 1_300))
})
