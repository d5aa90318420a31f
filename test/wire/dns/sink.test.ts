/** The sink: compression and bounds. */
import t from 'tap'
import { Sink } from '../../../src/wire/dns/sink.ts'
import { reasonOf } from './arbitraries.ts'

const learning = () => ({ suffixes: new Map<string, number>(), learns: true })
const textOf = (sink: Sink) => sink.take().toString('latin1')

t.test('a name ends in a pointer where its rest was written before', async t => {
  const sink = new Sink(learning(), 1_000)
  t.equal(sink.name('web.Service.consul.', true), 20)
  t.equal(sink.name('db.service.CONSUL.', true), 5)
  t.equal(sink.name('web.service.consul', true), 2)
  t.equal(sink.name('.', true), 1)
  t.equal(sink.name('consul.', false), 8, 'not where it may not point')
  t.equal(textOf(sink), '\x03web\x07Service\x06consul\0\x02db\xc0\x04\xc0\0\0\x06consul\0')
})

t.test('without compression every name is whole', async t => {
  const sink = new Sink(undefined, 100)
  sink.name('a.', true)
  sink.name('a.', true)
  t.equal(textOf(sink), '\x01a\0\x01a\0')
})

t.test('a sink that does not learn points only where it was told', async t => {
  const sink = new Sink({ suffixes: new Map([['\x01a\0', 12]]), learns: false }, 100)
  sink.name('b.A.', true)
  sink.name('b.a.', true)
  t.equal(textOf(sink), '\x01b\xc0\x0c\x01b\xc0\x0c')
})

t.test('RFC 1035 4.1.4: a pointer has 14 bits', async t => {
  const sink = new Sink(learning(), 65_535)
  sink.bytes('x'.repeat(0x3fff))
  sink.name('far.', true)
  t.equal(sink.name('far.', true), 2, 'reached by the last offset')
  sink.name('too.far.', true)
  t.equal(sink.name('too.far.', true), 6, 'one that stands beyond is no target')
})

t.test('its bound, and one byte past it', async t => {
  const sink = new Sink(undefined, 600)
  sink.bytes('x'.repeat(599))
  sink.u8(1)
  t.equal(sink.offset, 600)
  t.equal(
    reasonOf(() => sink.u8(1)),
    'the message is too long',
  )
})

t.test('numbers out of range, names that are none', async t => {
  const sink = new Sink(undefined, 600)
  for (const value of [-1, 256, 1.5, Number.NaN])
    t.equal(
      reasonOf(() => sink.u8(value)),
      'a number is out of range',
    )
  t.equal(
    reasonOf(() => sink.u16(65_536)),
    'a number is out of range',
  )
  t.equal(
    reasonOf(() => sink.u32(2 ** 32)),
    'a number is out of range',
  )
  t.equal(
    reasonOf(() => sink.name('a..b', true)),
    'a name cannot be written',
  )
  t.equal(sink.offset, 0)
})

t.test('what was written can be taken back', async t => {
  const sink = new Sink(undefined, 600)
  sink.bytes('keep')
  sink.bytes('forget')
  t.equal(sink.bytesFrom(4), 'forget')
  sink.rewind(4)
  t.equal(textOf(sink), 'keep')
})
