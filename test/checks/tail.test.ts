import fc from 'fast-check'
import t from 'tap'
import { Tail } from '../../src/checks/tail.ts'

t.test('a short text is kept whole', async t => {
  const tail = new Tail(100)
  tail.push(Buffer.from('grüß '))
  tail.push(Buffer.from('dich'))
  t.equal(tail.text(), 'grüß dich')
})

t.test('of a long one the end is kept, whatever its pieces', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50 })),
        fc.integer({ min: 1, max: 64 }),
        (chunks, keptBytes) => {
          const tail = new Tail(keptBytes)
          for (const chunk of chunks) tail.push(chunk.map(byte => 0x20 + (byte % 0x5f)))
          const whole = Buffer.concat(
            chunks.map(c => c.map(byte => 0x20 + (byte % 0x5f))),
          ).toString()
          return tail.text() === whole.slice(-keptBytes) && tail.seenBytes === whole.length
        },
      ),
    ),
  )
})

t.test('a character that the cut goes through is left out', async t => {
  const tail = new Tail(4)
  tail.push(Buffer.from('xxé€'))
  t.equal(tail.text(), '€')
  const all = new Tail(3)
  all.push(Buffer.from('€'))
  t.equal(all.text(), '€')
})
