/** Shares as text, and the collecting of them. */
import fc from 'fast-check'
import t from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import {
  countsProblem,
  readShare,
  ShareSet,
  sharesOf,
} from '../../../src/secrets/barrier/shares.ts'
import { propertyRuns } from '../../run/budget.ts'

t.test(
  'a share is read from hexadecimal and from base64, in every length that it can have',
  async t => {
    for (let size = 16; size <= 33; size++) {
      const share = systemRandom.bytes(size)
      for (const text of [share.toString('hex'), share.toString('base64')]) {
        t.strictSame(readShare(text), share, `${size} ${text.length}`)
      }
      t.strictSame(readShare(share.toString('hex').toUpperCase()), share)
    }
  },
)

t.test('base64 that happens to be hexadecimal is base64', async t => {
  // 44 bytes of hexadecimal are too many for a share, and so are 66 of base64.
  t.match(readShare('ab'.repeat(44)), { text: /longer than maximum 33 bytes/ })
  const odd = 'abcdabcdabcdabcdabcdabcd'
  t.strictSame(readShare(odd), Buffer.from(odd, 'base64'), '12 bytes of hexadecimal are no share')
})

t.test('whatever is sent is a share or a refusal, and is not told back', async () => {
  const any = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.base64String({ maxLength: 80 }),
    fc.stringMatching(/^[0-9a-f]{0,80}$/),
  )
  fc.assert(
    fc.property(any, text => {
      const share = readShare(text)
      if (!(share instanceof Refusal)) return share.length >= 16 && share.length <= 33
      return share.status === 400 && (text.length < 8 || !share.text.includes(text))
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('shares of every number give the key back, and a set is empty after it', async t => {
  for (const counts of [
    { shares: 1, threshold: 1 },
    { shares: 2, threshold: 2 },
    { shares: 7, threshold: 4 },
  ]) {
    const key = systemRandom.bytes(32)
    const set = new ShareSet()
    const shares = sharesOf(key, counts, systemRandom)
    for (const share of shares.slice(0, counts.threshold)) {
      t.ok(set.add(Buffer.from(share)))
      const again = Buffer.from(share)
      t.notOk(set.add(again), 'once')
      t.ok(again.equals(Buffer.alloc(again.length)), 'what is not kept is wiped')
    }
    t.strictSame(set.take(counts), key)
    t.equal(set.progress, 0)
  }
  const set = new ShareSet()
  set.add(systemRandom.bytes(16))
  t.equal(set.take({ threshold: 1 }), undefined, 'a key has 32 bytes')
})

t.test('numbers of shares that are none', async () => {
  const number = fc.integer({ min: -3, max: 300 })
  fc.assert(
    fc.property(number, number, (shares, threshold) => {
      const isRight =
        threshold >= 1 && threshold <= shares && shares <= 255 && (shares === 1 || threshold >= 2)
      return (countsProblem({ shares, threshold }) === undefined) === isRight
    }),
    { numRuns: propertyRuns() },
  )
})
