/** Whatever is sent as a key is one of its type, or refused; nothing else ever comes of it. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import tap from 'tap'
import { drawNamed } from '../../../../../src/base/draw-key.ts'
import { Refusal } from '../../../../../src/base/errors.ts'
import { rsaKey, rsaNumbers } from '../../../../../src/secrets/engine/transit/key/numbers.ts'
import { readPrivate, readPublic } from '../../../../../src/secrets/engine/transit/key/parse.run.ts'
import { propertyRuns } from '../../../../run/budget.ts'
import { testPorts } from '../../../ports.ts'

const { arithmetic } = testPorts()
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey
const pairs: readonly (readonly [Parameters<typeof readPrivate>[1], KeyObject])[] = [
  [{ type: 'rsa-2048' }, rsa],
  [{ type: 'ecdsa-p256' }, generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey],
  [{ type: 'ecdsa-p521' }, generateKeyPairSync('ec', { namedCurve: 'secp521r1' }).privateKey],
  [{ type: 'ed25519' }, generateKeyPairSync('ed25519').privateKey],
  [{ type: 'ml-dsa', parameterSet: '44' }, drawNamed('ml-dsa-44')],
]
const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'spki' }).toString()

tap.test('a private key that was changed anywhere is refused, or is a pair', async () => {
  const change = fc.tuple(fc.nat(pairs.length - 1), fc.nat(), fc.nat(255), fc.boolean())
  await fc.assert(
    fc.asyncProperty(change, async ([which, at, byte, isCut]) => {
      const [type, pair] = pairs[which]!
      const der = pair.export({ format: 'der', type: 'pkcs8' })
      const place = at % der.length
      if (!isCut) der[place] = byte
      const read = await readPrivate(arithmetic, type, isCut ? der.subarray(0, place) : der)
      if (read instanceof Refusal) return assert.equal(read.status, 400)
      assert.ok('privateKey' in read)
      const { privateKey } = read
      const hash = /rsa|ec/.test(privateKey.asymmetricKeyType!) ? 'sha256' : null
      const signature = sign(hash, der, privateKey)
      assert.ok(verify(hash, der, createPublicKey(privateKey), signature))
    }),
    { numRuns: propertyRuns() * 3 },
  )
})

tap.test('a public key that was changed anywhere is refused, or is one', t => {
  const change = fc.tuple(fc.nat(pairs.length - 1), fc.nat(), fc.string({ maxLength: 3 }))
  fc.assert(
    fc.property(change, ([which, at, text]) => {
      const [type, pair] = pairs[which]!
      const whole = pem(createPublicKey(pair))
      const place = at % whole.length
      const read = readPublic(type, whole.slice(0, place) + text + whole.slice(place + 1))
      if (read instanceof Refusal) return assert.equal(read.status, 400)
      assert.ok('publicKey' in read && read.publicKey.type === 'public')
    }),
    { numRuns: propertyRuns() * 3 },
  )
  t.end()
})

tap.test('an RSA key that hides nothing is refused', t => {
  const { n } = rsaNumbers(rsa)
  for (const e of [1n, 2n, 65_536n]) {
    const read = readPublic({ type: 'rsa-2048' }, pem(rsaKey({ n, e, secret: undefined })))
    t.match(read, { status: 400, text: /the public exponent is even, or too small/ })
  }
  const usual = readPublic({ type: 'rsa-2048' }, pem(rsaKey({ n, e: 3n, secret: undefined })))
  t.notOk(usual instanceof Refusal)
  t.end()
})
