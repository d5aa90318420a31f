/** Tokens: the same on every server, and nothing else is taken for one. */
import fc from 'fast-check'
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { differenceOf, readToken, stampOf, tokenOf } from '../../src/feed/token.ts'
import { propertyRuns } from '../run/budget.ts'

const stand = { store: 's 1', question: 'kv\na/', filter: '', rights: 'all' }

t.test('what is in it comes out', async t => {
  const property = fc.property(fc.nat({ max: 2 ** 48 - 1 }), fc.string(), (at, rights) => {
    const stamp = stampOf({ ...stand, rights })
    const read = readToken(tokenOf(stamp, revision(at)))
    return read?.at === at && read.stamp.equals(stamp)
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('it did')
})

t.test('it says what is another one', async t => {
  const stamp = stampOf(stand)
  t.equal(differenceOf(stamp, stampOf(stand)), undefined)
  for (const part of ['store', 'question', 'filter', 'rights'] as const) {
    t.equal(differenceOf(stamp, stampOf({ ...stand, [part]: 'other' })), part)
  }
})

t.test('anything else is none', async t => {
  const token = tokenOf(stampOf(stand), revision(7))
  t.ok(readToken(token))
  for (const bad of ['', 'x', `${token}A`, token.slice(1), ` ${token}`, `B${token.slice(1)}`]) {
    t.equal(readToken(bad), undefined, bad)
  }
  fc.assert(fc.property(fc.string(), text => text === token || readToken(text) === undefined))
})
