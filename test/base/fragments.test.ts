/** Fragments: made once for a cell, and forgotten in a bounded way. */
import t from 'tap'
import { FragmentCache } from '../../src/base/fragments.ts'
import { limits } from '../../src/base/limits.ts'

t.test('a text is made once', async t => {
  let made = 0
  const cache = new FragmentCache<{ id: number }>(({ id }) => `${id}/${++made}`)
  const cells = [{ id: 1 }, { id: 2 }]
  for (let i = 0; i < 3; i++)
    t.strictSame(
      cells.map(cell => cache.of(cell)),
      ['1/1', '2/2'],
    )
  t.equal(cache.of({ id: 1 }), '1/3', 'another cell has another text')
})

t.test('what was asked for lately is kept, the rest goes', async t => {
  const SIZE = 1_000_000
  let made = 0
  const cache = new FragmentCache<{ id: number }>(({ id }) => {
    made++
    return String(id).padEnd(SIZE)
  })
  const often = { id: -1 }
  const others = Array.from({ length: (4 * limits.fragmentCacheChars) / SIZE }, (_, id) => ({ id }))
  for (const other of others) {
    cache.of(often)
    t.equal(cache.of(other).trim(), String(other.id))
  }
  t.equal(made, others.length + 1, 'the one that is used often was made once')
  cache.of(others[0]!)
  t.equal(made, others.length + 2, 'the first was forgotten')
})
