/**
 * The topic of intentions: which service may call which, pair by pair.
 *
 * Owns how a change of an entry, which holds all intentions for one service that is called, becomes
 * changes of pairs. Pure.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { access } from '../../base/who.ts'
import type { Event } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import { type ConfigEntryRow, configEntries, INTENTIONS } from '../../store/tables/config-entry.ts'
import { fold, underKind } from '../../store/tables/names.ts'
import { defineTopic, type Item, isNew, type Topic, type Touch } from '../../store/topic.ts'
import { intentionFields } from '../fields.ts'
import { type Intention, intentionsOf, maySeeIntention } from '../intention.ts'

type Entry = Cell<ConfigEntryRow>

const escaped = (name: string): string => name.replaceAll('%', '%25').replaceAll('/', '%2F')

/** `destination/source`, and the peer of a source that is one. */
function itemOf(intention: Intention): Item<Intention> {
  const { source, destination, entry } = intention
  const peer = source.Peer === undefined ? '' : `/${escaped(source.Peer)}`
  const from = `${escaped(source.Name)}${peer}`
  const key: Bytes = `${fold(escaped(destination))}/${fromText(from)}`
  return { key, index: entry.modifyIndex, value: intention }
}

const itemsOf = (entry: Entry | undefined): Item<Intention>[] =>
  entry === undefined ? [] : intentionsOf(entry).map(itemOf)

export const intentionsTopic: Topic<Intention> = defineTopic({
  name: 'intentions',
  subject: '',
  summary: 'All intentions: which service may call which.',
  fields: intentionFields,
  access: () => [access('read', 'intention')],
  normal: () => '',
  may: (who, { value }) => maySeeIntention(who, value),
  source: {
    tables: [configEntries.name],
    isEach: true,
    *items(view) {
      for (const entry of view.prefix(configEntries, underKind(INTENTIONS))) yield* itemsOf(entry)
    },
    touches,
  },
})

function* touches(event: Event): Iterable<Touch<Intention>> {
  const before = event.before as Entry | undefined
  const after = event.after as Entry | undefined
  const kind = (after ?? before)?.row.kind
  if (kind !== undefined && kind !== INTENTIONS) return
  // Which sources an entry had before, nothing else tells.
  if (before === undefined && !isNew(event)) {
    yield { subject: '', isUnknown: true }
    return
  }
  const was = new Map(itemsOf(before).map(item => [item.key, item]))
  for (const item of itemsOf(after)) {
    yield { subject: '', key: item.key, rows: { before: was.get(item.key), after: item } }
    was.delete(item.key)
  }
  for (const [key, item] of was)
    yield { subject: '', key, rows: { before: item, after: undefined } }
}
