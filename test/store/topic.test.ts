/** Topics say where their items come from. */
import t from 'tap'
import { isOfRows, type OwnSource, type RowSource } from '../../src/store/topic.ts'

t.test('a source of rows is told from one of its own', async t => {
  const rows: RowSource<string> = {
    ...{ tables: ['kv'], isEach: true, items: () => [], item: () => undefined },
    touches: () => [],
  }
  const own: OwnSource<string> = { open: () => ({ items: () => [], close() {} }) }
  t.equal(isOfRows(rows), true)
  t.equal(isOfRows(own), false)
})
