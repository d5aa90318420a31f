/** Memory for texts: its views are those of the text that lies there, whatever lay there before. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { partsOf } from '../../../../../src/secrets/engine/transit/key/cipher.ts'
import { typeNamed } from '../../../../../src/secrets/engine/transit/key/type.ts'
import { Scratch, scratchOf } from '../../../../../src/secrets/engine/transit/operation/scratch.ts'

t.test('parts are those of the text that was written last', t => {
  const scratch = new Scratch(1_024)
  const types = ['aes256-gcm96', 'xchacha20-poly1305', 'aes256-cbc'].map(name => typeNamed(name)!)
  for (const sizeBytes of [64, 64, 100, 64, 3, 20, 1_024, 1_024, 0]) {
    for (const type of types) {
      const text = randomBytes(sizeBytes)
      text.copy(scratch.bytes)
      t.strictSame(scratch.first(sizeBytes), text)
      t.strictSame(scratch.parts(type, sizeBytes), partsOf(type, text), `${type.name} ${sizeBytes}`)
    }
  }
  t.end()
})

t.test('a text that is larger than what is shared has memory of its own', t => {
  const shared = new Scratch(16_384)
  t.equal(scratchOf(shared, 16_384), shared)
  const own = scratchOf(shared, 16_385)
  t.not(own, shared)
  t.equal(own.bytes.length, 16_385)
  t.end()
})
