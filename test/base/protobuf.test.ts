/** The wire forms, against bytes of the specification. */
import t from 'tap'
import { bytesField, numberField, textField } from '../../src/base/protobuf.ts'

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
