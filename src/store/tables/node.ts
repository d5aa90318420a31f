/**
 * Nodes: the machines that services run on.
 *
 * Owns row, codec, indexes and scopes. A node's own change touches all services on it, since their
 * answers show it; what is on a node is told by the keys of services and checks.
 */
import { fromText } from '../../base/bytes.ts'
import { defineTable, jsonCodec, type ScopeReader } from '../table.ts'
import type { Ending } from './ending.ts'
import { addressValues, scope, underNode } from './names.ts'
import { services } from './service.ts'

export interface NodeRow {
  /** The name as it was registered; the key is its folded form. */
  readonly node: string
  /** A UUID in lower case, or '' for a node registered without one. */
  readonly id: string
  readonly address: string
  readonly taggedAddresses: Readonly<Record<string, string>>
  readonly meta: Readonly<Record<string, string>>
  /** It was deregistered, and what is on it is on its way: nothing can be put onto it. */
  readonly ending?: Ending
}

/** The key is the folded name. */
export const nodes = defineTable<NodeRow>({
  name: 'nodes',
  prefix: 'registry/node/',
  codec: jsonCodec(),
  need: ({ ending }) => (ending === undefined ? 'data' : 'upkeep'),
  indexes: {
    id: { guarded: true, values: row => (row.id === '' ? [] : [fromText(row.id)]) },
    address: { guarded: false, values: row => addressValues(row.address) },
  },
  scopes: (row, _key, reader) => [
    scope.catalog,
    scope.nodes,
    scope.node(row.node),
    ...servicesOn(row.node, reader).flatMap(name => [scope.service(name), scope.health(name)]),
  ],
})

/** The names of all services on a node, each once. */
export function servicesOn(node: string, reader: ScopeReader): string[] {
  return [...new Set(reader.prefix(services, underNode(node)).map(({ row }) => row.name))]
}
