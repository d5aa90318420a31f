/**
 * The topic of keys: all entries under a prefix.
 *
 * Owns which prefixes a key lies under. Pure.
 */
import { type Bytes, toText } from '../../base/bytes.ts'
import { access } from '../../base/who.ts'
import type { Cell } from '../../store/table.ts'
import { type KvRow, kv } from '../../store/tables/kv.ts'
import { defineTopic, type Item, type Topic, touchOfRow } from '../../store/topic.ts'
import { kvFields } from '../fields.ts'
import { refuseKeyList } from '../kv.ts'

const itemOf = (cell: Cell<KvRow>): Item<Cell<KvRow>> => ({
  key: cell.key,
  index: cell.modifyIndex,
  value: cell,
})

const reading = (key: Bytes) => access('read', 'key', toText(key))

export const kvTopic: Topic<Cell<KvRow>> = defineTopic({
  name: 'kv',
  subject: 'prefix',
  summary: 'All entries whose keys begin with a prefix.',
  fields: kvFields,
  access: prefix => [access('read', 'key', prefix), access('list', 'key', prefix)],
  normal: prefix => prefix,
  refuse: refuseKeyList,
  may: (who, { key }) => who.may(reading(key)),
  source: {
    tables: [kv.name],
    isEach: true,
    *items(view, prefix) {
      for (const cell of view.prefix(kv, prefix)) yield itemOf(cell)
    },
    *touches(event, subjects) {
      for (const length of subjects.lengths) {
        const prefix = event.key.slice(0, length)
        if (prefix.length < length || !subjects.has(prefix)) continue
        yield* touchOfRow(event, prefix, itemOf, (_cell, key) => [reading(key)])
      }
    },
  },
})
