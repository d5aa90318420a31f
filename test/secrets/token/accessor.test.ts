/** Accessors: the hash of a token in a disguise. */
import fc from 'fast-check'
import tap from 'tap'
import { accessorOf, placeOfAccessor } from '../../../src/secrets/token/accessor.ts'
import { hashIn } from '../../../src/secrets/token/token.ts'
import { newKeyring } from '../harness.ts'

tap.test('an accessor leads to its token, and only by the barrier that gave it', async t => {
  const [ours, theirs] = [newKeyring(), newKeyring()]
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('root', 'aB3xY9'), (secret, namespaceId) => {
      const place = { hash: hashIn(ours, secret), namespaceId }
      const accessor = accessorOf(ours, place)
      t.match(accessor, namespaceId === 'root' ? /^\w{24}$/ : /^\w{24}\.aB3xY9$/)
      t.strictSame(placeOfAccessor(ours, accessor), place)
      t.notMatch(placeOfAccessor(theirs, accessor), place)
    }),
    { numRuns: 50 },
  )
})

tap.test('what is no accessor leads nowhere', async t => {
  const barrier = newKeyring()
  const accessor = accessorOf(barrier, { hash: hashIn(barrier, 's'), namespaceId: 'root' })
  const last = accessor.at(-1) === 'a' ? 'b' : 'a'
  for (const text of ['', 'x', 'z'.repeat(24), `${accessor.slice(0, -1)}!`, `${accessor}0`]) {
    t.equal(placeOfAccessor(barrier, text), undefined, text)
  }
  t.not(placeOfAccessor(barrier, accessor.slice(0, -1) + last)?.hash, hashIn(barrier, 's'))
})
