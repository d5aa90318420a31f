/** The caches' bounds, and who is forgotten. */
import fc from 'fast-check'
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { AnswerCache, type Kept } from '../../src/dns/cache.ts'
import { buildTemplate } from '../../src/wire/dns/mod.ts'
import { propertyRuns } from '../run/budget.ts'

const template = buildTemplate('\0\0\x01\0\x01', {
  rcode: 0,
  authoritative: true,
  compress: true,
  answers: [],
  authorities: [],
})
const keptOf = (sizeBytes = 1): Kept => ({
  template,
  scope: undefined,
  revision: revision(0),
  second: 0,
  wantedAnswers: 0,
  hosts: [],
  isOrdered: false,
  sizeBytes,
  isUsed: false,
  denial: undefined,
})

t.test('at the bound, and one past it', async t => {
  const cache = new AnswerCache<Kept>(3, limits.dnsCacheSizeBytes)
  for (const key of ['a', 'b', 'c']) cache.set(key, keptOf())
  t.equal(cache.size, 3)
  cache.set('d', keptOf())
  t.equal(cache.size, 3)
  t.equal(cache.get('a'), undefined, 'the oldest that was not used goes')
  t.ok(cache.get('d'))
})

t.test('what is used stays, however many others pass by', async t => {
  const cache = new AnswerCache<Kept>(100, limits.dnsCacheSizeBytes)
  cache.set('honest', keptOf())
  for (let i = 0; i < 10_000; i++) {
    cache.set(`name ${i}`, keptOf())
    if (i % 50 === 0) t.ok(cache.get('honest'), `after ${i}`)
  }
  t.equal(cache.size, 100)
})

t.test('large answers push out others; one too large for the whole is kept alone', async t => {
  const cache = new AnswerCache<Kept>(1_000, limits.dnsCacheSizeBytes)
  for (let i = 0; i < 8; i++) cache.set(`${i}`, keptOf(limits.dnsCacheSizeBytes / 4))
  t.equal(cache.size, 4)
  t.equal(cache.sizeBytes, limits.dnsCacheSizeBytes)
  cache.set('huge', keptOf(limits.dnsCacheSizeBytes + 1))
  t.equal(cache.size, 1)
  cache.set('small', keptOf())
  t.equal(cache.size, 1)
  t.equal(cache.sizeBytes, 1)
})

t.test('property: never beyond its bounds, sizes add up, the last one set is there', async () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 20 }).map(String),
    what: fc.constantFrom('set', 'get', 'delete'),
    sizeBytes: fc.integer({ min: 0, max: limits.dnsCacheSizeBytes / 2 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const cache = new AnswerCache<Kept>(8, limits.dnsCacheSizeBytes)
      const known = new Map<string, Kept>()
      for (const { key, what, sizeBytes } of steps) {
        if (what === 'get') cache.get(key)
        else if (what === 'delete') cache.delete(key)
        else {
          const kept = keptOf(sizeBytes)
          known.set(key, kept)
          cache.set(key, kept)
          if (cache.get(key) !== kept) return false
        }
        if (cache.size > 8 || cache.sizeBytes > limits.dnsCacheSizeBytes) return false
      }
      let sizeBytes = 0
      for (const [key, kept] of known) if (cache.get(key) === kept) sizeBytes += kept.sizeBytes
      return sizeBytes === cache.sizeBytes
    }),
    { numRuns: propertyRuns() },
  )
})
