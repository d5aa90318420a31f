/**
 * The topic of nodes: all of them, by name.
 *
 * Owns nothing but the declaration: an item is a row. Pure.
 */
import { access, accessToAll } from '../../base/who.ts'
import type { Cell } from '../../store/table.ts'
import { type NodeRow, nodes } from '../../store/tables/node.ts'
import { defineTopic, type Item, type Topic, touchOfRow } from '../../store/topic.ts'
import type { RegistryFields } from '../fields.ts'

const itemOf = (cell: Cell<NodeRow>): Item<Cell<NodeRow>> => ({
  key: cell.key,
  index: cell.modifyIndex,
  value: cell,
})

export const nodesTopic = (fields: RegistryFields): Topic<Cell<NodeRow>> =>
  defineTopic<Cell<NodeRow>>({
    name: 'nodes',
    subject: '',
    summary: 'All nodes.',
    fields: fields.node,
    access: () => [access('read', 'node')],
    normal: () => '',
    may: (who, { value }) => who.may(access('read', 'node', value.row.node)),
    source: {
      tables: [nodes.name],
      isEach: true,
      *items(view) {
        for (const cell of view.entries(nodes)) yield itemOf(cell)
      },
      touches: event =>
        touchOfRow(event, '', itemOf, cell => [
          cell === undefined ? accessToAll('read', 'node') : access('read', 'node', cell.row.node),
        ]),
    },
  })
