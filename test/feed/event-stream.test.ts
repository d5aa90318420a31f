/** Server-sent events, however their bytes are cut. */
import fc from 'fast-check'
import t from 'tap'
import { EventStream, type ServerEvent } from '../../src/feed/event-stream.ts'
import { propertyRuns } from '../run/budget.ts'

const read = (...pieces: readonly (string | Uint8Array)[]): ServerEvent[] => {
  const stream = new EventStream(1_000)
  return pieces.flatMap(piece => stream.push(Buffer.from(piece as string)))
}

t.test('the grammar', async t => {
  const cases: readonly [text: string, ...events: ServerEvent[]][] = [
    ['data: a\n\n', { event: 'message', data: 'a', id: undefined }],
    ['event: delta\nid: 7\ndata: {"a":1}\n\n', { event: 'delta', data: '{"a":1}', id: '7' }],
    ['data: a\ndata:b\ndata\n\n', { event: 'message', data: 'a\nb\n', id: undefined }],
    ['event: x\r\ndata: a\r\n\r\n', { event: 'x', data: 'a', id: undefined }],
    [': alive\n\nretry: 10\n\nevent: none\n\n'],
    ['data: cut'],
  ]
  for (const [text, ...events] of cases) t.same(read(text), events, text)
  const after = 'id: 1\ndata: a\n\ndata: b\n\n'
  t.same(
    read(after).map(({ id }) => id),
    ['1', undefined],
    'an id is of its own event alone',
  )
})

t.test('property: how bytes are cut is not seen', async t => {
  const text = 'event: ä\nid: 1\ndata: {"k":"žluťoučký 🐎"}\n\n: c\n\ndata: b\r\ndata: c\r\n\r\n'
  const bytes = Buffer.from(text)
  const whole = read(text)
  const cuts = fc.array(fc.nat(bytes.length), { maxLength: 12 })
  const property = fc.property(cuts, places => {
    const sorted = [0, ...places.sort((a, b) => a - b), bytes.length]
    const pieces = sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end))
    return JSON.stringify(read(...pieces)) === JSON.stringify(whole)
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.equal(whole.length, 2)
})

t.test('an event that is too large is an error', async t => {
  t.throws(() => read(`data: ${'x'.repeat(600)}`, 'x'.repeat(600)), /too large/)
  const many = `data: ${'x'.repeat(600)}\n\n`
  t.equal(read(many, many, many).length, 3)
})
