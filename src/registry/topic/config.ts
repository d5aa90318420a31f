/**
 * The topic of configuration entries: those of one kind.
 *
 * Owns nothing but the declaration: an item is a row. Pure.
 */
import { fromText, toText } from '../../base/bytes.ts'
import { type Access, access } from '../../base/who.ts'
import type { Cell } from '../../store/table.ts'
import { type ConfigEntryRow, configEntries } from '../../store/tables/config-entry.ts'
import { fold, underKind } from '../../store/tables/names.ts'
import { defineTopic, type Item, type Topic, touchOfRow } from '../../store/topic.ts'
import { entryKinds, findReadKind } from '../config-entry/mod.ts'
import { configFields } from '../fields.ts'

type Entry = Cell<ConfigEntryRow>

/** Within its kind an entry is known by its name, without case. */
const itemOf = (cell: Entry): Item<Entry> => ({
  key: fold(cell.row.name),
  index: cell.modifyIndex,
  value: cell,
})

const accessByKind = new Map(entryKinds.map(one => [one.kind, one.readAccess]))
const reading = ({ row: { kind, name } }: Entry): readonly Access[] =>
  accessByKind.get(kind)?.(name) ?? []

export const configTopic: Topic<Entry> = defineTopic({
  name: 'config',
  subject: 'kind',
  summary: 'The configuration entries of a kind.',
  fields: configFields,
  access: () => [access('read', 'service'), access('read', 'intention')],
  normal(kind) {
    const found = findReadKind(toText(kind))
    return 'readAccess' in found ? kind : found
  },
  may: (who, { value }) => reading(value).every(one => who.may(one)),
  source: {
    tables: [configEntries.name],
    isEach: true,
    *items(view, kind) {
      for (const cell of view.prefix(configEntries, underKind(toText(kind)))) yield itemOf(cell)
    },
    *touches(event, subjects) {
      const cell = (event.after ?? event.before) as Entry | undefined
      // Of what is gone, and was not seen going, the key does not tell the kind's rights.
      if (cell === undefined) {
        for (const subject of subjects.all()) yield { subject, isUnknown: true }
        return
      }
      const subject = fromText(cell.row.kind)
      if (subjects.has(subject)) yield* touchOfRow(event, subject, itemOf, seenBy)
    },
  },
})

const seenBy = (cell: Entry | undefined): readonly Access[] | undefined =>
  cell === undefined ? undefined : reading(cell)
