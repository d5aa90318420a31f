/** What is sealed for a place opens there, by its key, as it was, and nowhere else. */
import fc from 'fast-check'
import t from 'tap'
import { deriveKey, NONCE_SIZE_BYTES, openFor, sealFor } from '../../src/base/aead.ts'
import { propertyRuns } from '../run/budget.ts'

const key = Buffer.alloc(32, 1)
const nonce = Buffer.alloc(NONCE_SIZE_BYTES, 2)

t.test('any bytes, any place', async t => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.string(), fc.string(), (bytes, place, other) => {
      const sealed = sealFor(place, bytes, key, nonce)
      if (!openFor(place, sealed, key)?.equals(bytes)) return false
      return other === place || openFor(other, sealed, key) === undefined
    }),
    { numRuns: propertyRuns() },
  )
  t.pass('opened')
})

t.test('another key, a changed byte, a piece of it', async t => {
  const sealed = sealFor('here', Buffer.from('a secret'), key, nonce)
  t.equal(openFor('here', sealed, Buffer.alloc(32, 9)), undefined)
  const bytes = Buffer.from(sealed, 'base64')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at]! ^= 1
    t.equal(openFor('here', changed.toString('base64'), key), undefined, `byte ${at}`)
    t.equal(openFor('here', bytes.subarray(0, at).toString('base64'), key), undefined)
  }
})

t.test('a key for each purpose', async t => {
  t.equal(deriveKey(key, 'one').length, 32)
  t.notSame(deriveKey(key, 'one'), deriveKey(key, 'other'))
  t.same(deriveKey(key, 'one'), deriveKey(key, 'one'))
})
