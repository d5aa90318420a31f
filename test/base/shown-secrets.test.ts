/** A secret is hashed once on each connection, and no key is given for another secret. */
import fc from 'fast-check'
import t from 'tap'
import { ShownSecrets } from '../../src/base/shown-secrets.ts'

/** Hashes, and tells what was hashed. */
function counting(): { readonly shown: ShownSecrets; readonly hashed: string[] } {
  const hashed: string[] = []
  const shown = new ShownSecrets(secret => {
    hashed.push(secret)
    return `key of ${secret}`
  })
  return { shown, hashed }
}

t.test('the last secret of each connection is hashed once', async t => {
  const { shown, hashed } = counting()
  const [one, other] = [{}, {}]
  for (const connection of [one, one, other, other, one]) {
    t.equal(shown.keyOf('a', connection), 'key of a')
  }
  t.strictSame(hashed, ['a', 'a'], 'once for each')
  t.equal(shown.keyOf('b', one), 'key of b')
  t.equal(shown.keyOf('a', one), 'key of a')
  t.strictSame(hashed, ['a', 'a', 'b', 'a'], 'another one takes its place')
})

t.test('without a connection, or where it is long, nothing is kept', async t => {
  const { shown, hashed } = counting()
  shown.keyOf('a', undefined)
  shown.keyOf('a', undefined)
  t.equal(hashed.length, 2)
  const [long, connection] = ['x'.repeat(257), {}]
  t.equal(shown.keyOf(long, connection), `key of ${long}`)
  t.equal(shown.keyOf(long, connection), `key of ${long}`)
  t.equal(hashed.length, 4)
})

t.test('whatever is shown where, the key is that of what was shown', async () => {
  const connections = [{}, {}, undefined]
  const secret = fc.oneof(fc.constantFrom('a', 'b', 'ab', 'aB'), fc.string({ unit: 'binary' }))
  const shows = fc.array(fc.tuple(secret, fc.constantFrom(...connections)), { maxLength: 30 })
  fc.assert(
    fc.property(shows, all => {
      const { shown } = counting()
      return all.every(([one, connection]) => shown.keyOf(one, connection) === `key of ${one}`)
    }),
  )
})
