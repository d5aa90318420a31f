/** `vault:v<version>:…`, taken apart. */
import t from 'tap'
import { Fault } from '../../../../../src/secrets/engine/transit/key/fault.ts'
import {
  ciphertextWords,
  hmacWords,
  prefixOf,
  signatureWords,
  splitVersioned,
} from '../../../../../src/secrets/engine/transit/key/format.ts'

t.test('a version and what stands behind it', t => {
  t.strictSame(splitVersioned('vault:v1:AAAA', ciphertextWords), { version: 1, payload: 'AAAA' })
  t.strictSame(splitVersioned('vault:v0:', ciphertextWords), { version: 0, payload: '' })
  t.strictSame(splitVersioned('vault:v123456789:a:b', ciphertextWords), {
    ...{ version: 123_456_789, payload: 'a:b' },
  })
  t.equal(prefixOf(12), 'vault:v12:')
  t.end()
})

t.test('everything else is refused in the words for it', t => {
  const cases = {
    '': 'no prefix',
    'vault:1:AAAA': 'no prefix',
    'Vault:v1:AAAA': 'no prefix',
    ' vault:v1:AAAA': 'no prefix',
    'vault:v1': 'wrong number of fields',
    'vault:v:AAAA': 'version number could not be decoded',
    'vault:v-1:AAAA': 'version number could not be decoded',
    'vault:v+1:AAAA': 'version number could not be decoded',
    'vault:v1.0:AAAA': 'version number could not be decoded',
    'vault:v1e1:AAAA': 'version number could not be decoded',
    'vault:v1234567890:AAAA': 'version number could not be decoded',
    'vault:v٣:AAAA': 'version number could not be decoded',
  }
  for (const [text, what] of Object.entries(cases)) {
    for (const [words, name] of [
      [ciphertextWords, 'ciphertext'],
      [signatureWords, 'signature'],
    ] as const) {
      const split = splitVersioned(text, words)
      t.equal(split instanceof Fault && split.text, `invalid ${name}: ${what}`, text)
    }
  }
  const split = splitVersioned('x', hmacWords)
  t.equal(split instanceof Fault && split.text, 'invalid HMAC to verify: no prefix')
  t.end()
})
