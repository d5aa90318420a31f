/**
 * Finding a row's table, and making its cell.
 */
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { defineTable, jsonCodec, rawCodec, seal } from '../../src/store/table.ts'
import { TableSet, toCell } from '../../src/store/tables.ts'

const one = defineTable<Buffer>({ name: 'one', prefix: 'a/one/', codec: rawCodec })
const two = defineTable<{ n: number }>({ name: 'two', prefix: 'a/two/', codec: jsonCodec() })

t.test('a key belongs to one table', async t => {
  const tables = new TableSet([one, two])
  t.equal(tables.of('a/one/x'), one)
  t.equal(tables.of('a/one/'), one)
  t.equal(tables.of('a/two/x'), two)
  t.equal(tables.of('a/one/x'), one)
  t.equal(tables.byName('two'), two)
  t.equal(tables.byName('three'), undefined)
  for (const key of ['', 'a', 'a/one', 'b/one/x']) {
    t.throws(() => tables.of(key), {
      code: 'damaged',
      message: /a table that this version does not/,
    })
  }
  const inside = defineTable<Buffer>({ name: 'in', prefix: 'a/one/in/', codec: rawCodec })
  t.throws(() => new TableSet([one, inside]), /tables one and in overlap/)
})

t.test('a cell has the indexes that clients know', async t => {
  const header = { createRevision: revision(5), modRevision: revision(7), version: 3, lease: 'l' }
  const own = seal(Buffer.from('{"n":1}'), { createIndex: 0, modifyIndex: 0 })
  t.match(toCell(two, 'a/two/k', own, header, 100), {
    ...header,
    key: 'k',
    row: { n: 1 },
    createIndex: 105,
    modifyIndex: 107,
  })
  const kept = seal(Buffer.from('{"n":1}'), { createIndex: 11, modifyIndex: 0 })
  t.match(toCell(two, 'a/two/k', kept, header, 100), { createIndex: 11, modifyIndex: 107 })
})

t.test('a row that cannot be decoded is damage, and its body is not told', async t => {
  const header = { createRevision: revision(5), modRevision: revision(7), version: 3, lease: '' }
  for (const value of [
    Buffer.from([9]),
    Buffer.concat([Buffer.from([1]), Buffer.from('{canary')]),
  ]) {
    try {
      toCell(two, 'a/two/k', value, header, 0)
      t.fail('no error')
    } catch (error) {
      t.match(error, {
        code: 'damaged',
        outcome: 'none',
        message: 'a row under a/two/ cannot be read',
      })
      t.notMatch((error as Error).message, /canary/)
    }
  }
})
