/** The registry key: what it seals opens by it alone, and in its place alone. */
import { createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { RegistryKey, sealerFor } from '../../src/identity/registry-key.ts'

const bytes = Buffer.alloc(32, 9)
const key = new RegistryKey(bytes)
const other = new RegistryKey(Buffer.alloc(32, 8))

t.test('a secret is hashed as HMAC-SHA-256 does it', async () => {
  const derived = Buffer.from(
    hkdfSync('sha256', bytes, Buffer.alloc(0), 'gatehouse registry tokens', 32),
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), secret => {
      const wanted = createHmac('sha256', derived).update(secret).digest('hex')
      return key.hashOf(secret) === wanted && other.hashOf(secret) !== wanted
    }),
  )
})

t.test('what is sealed opens in its place, and is alike for the same text', async t => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (text, place) => {
      const sealed = key.seal(text, place)
      return (
        key.open(sealed, place) === text.toWellFormed() &&
        key.seal(text, place) === sealed &&
        !sealed.includes(text.length > 3 ? text : '\u0000') &&
        key.open(sealed, `${place}x`) === undefined &&
        other.open(sealed, place) === undefined
      )
    }),
  )
  t.equal(key.seal('', 'p'), '')
  t.equal(key.open('', 'p'), '')
})

t.test('a byte that changed, or is missing, opens nothing', async t => {
  const sealed = Buffer.from(key.seal('a token', 'p'), 'base64')
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed)
    changed[i] = changed[i]! ^ 1
    t.equal(key.open(changed.toString('base64'), 'p'), undefined, `byte ${i}`)
    t.equal(key.open(sealed.subarray(0, i).toString('base64'), 'p'), i === 0 ? '' : undefined)
  }
})

t.test('a sealer has one place', async t => {
  const sealer = sealerFor(key, 'p')
  t.equal(sealer.open(sealer.seal('a')), 'a')
  t.equal(sealerFor(key, 'q').open(sealer.seal('a')), '', 'which is nobody’s token')
})
