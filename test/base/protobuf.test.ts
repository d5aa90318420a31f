/** The wire forms, against bytes of the specification. */
import t from 'tap'
import {
  bytesField,
  numberField,
  ProtoReader,
  ProtoWriter,
  textField,
} from '../../src/base/protobuf.ts'

t.test('numbers, texts, bytes', async t => {
  t.equal(numberField(1, 150).toString('hex'), '089601')
  t.equal(numberField(1, 0).length, 0)
  t.equal(numberField(2, 2 ** 53 - 1).toString('hex'), '10ffffffffffffff0f')
  t.equal(textField(2, 'testing').toString('hex'), '120774657374696e67')
  t.equal(textField(2, '').length, 0)
  t.equal(
    bytesField(3, [Buffer.from('08', 'hex'), Buffer.from('9601', 'hex')]).toString('hex'),
    '1a03089601',
  )
  t.equal(
    bytesField(1, [Buffer.alloc(300)])
      .subarray(0, 3)
      .toString('hex'),
    '0aac02',
  )
})

t.test('a message is written from its end on, however large it is', async t => {
  const writer = new ProtoWriter()
  const value = Buffer.alloc(300_000, 'v')
  for (let round = 0; round < 2; round++) {
    writer.digits(3, '18446744073709551615')
    writer.bytes(2, value)
    writer.message(4, 0)
    writer.number(1, 150)
    const reader = new ProtoReader(writer.finish())
    t.same([reader.number(), reader.number()], [8, 150])
    t.equal(reader.number(), 0x22)
    const end = reader.enter()
    t.equal(reader.number(), 0x12)
    t.equal(reader.bytes().equals(value), true)
    t.equal(reader.number(), 0x18)
    t.equal(reader.digits(), '18446744073709551615')
    t.equal(reader.at, end)
  }
})

t.test('numbers that are too long, and what ends too early', async t => {
  const read = (hex: string, how: (reader: ProtoReader) => unknown) => () =>
    how(new ProtoReader(Buffer.from(hex, 'hex')))
  t.throws(
    read('ffffffffffffffffffff01', reader => reader.number()),
    RangeError,
  )
  t.equal(read('ffffffffffffffffff01', reader => reader.digits())(), String(2n ** 64n - 1n))
  for (const hex of ['', '80', '02ff'])
    t.throws(
      read(hex, reader => reader.bytes()),
      RangeError,
    )
  t.equal(read('03e282ac', reader => reader.text())(), '€')
})
