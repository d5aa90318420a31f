/**
 * Service instances: what runs on which node.
 *
 * Owns row, codec, indexes and scopes. All instances of a node lie together by key; those of a
 * service are found by name, and names with their tags by a skip scan of the tag index.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { internList, internRecord, internText } from '../../base/intern.ts'
import { defineTable, jsonCodec, type ScopeReader } from '../table.ts'
import { addressValues, fold, nodeGuard, pair, scope } from './names.ts'

export interface ServiceAddress {
  readonly address: string
  readonly port: number
}

export interface ServicePort {
  readonly name: string
  readonly port: number
  readonly isDefault: boolean
}

export interface ServiceRow {
  readonly node: string
  readonly id: string
  readonly name: string
  /** '' for a typical service; 'connect-proxy' and the gateways otherwise. */
  readonly kind: string
  readonly tags: readonly string[]
  readonly address: string
  readonly taggedAddresses: Readonly<Record<string, ServiceAddress>>
  readonly meta: Readonly<Record<string, string>>
  readonly port: number
  readonly ports: readonly ServicePort[]
  readonly socketPath: string
  readonly weights: { readonly passing: number; readonly warning: number }
  readonly enableTagOverride: boolean
  /** Whether the instance speaks the mesh's TLS itself. */
  readonly connectNative: boolean
  /** Whether the node's own agent registered it (and keeps it in step). */
  readonly agentOwned: boolean
}

/** The key is `onNode(node, id)`: all of one node lie together, by id. */
export const services = defineTable<ServiceRow>({
  name: 'services',
  prefix: 'registry/service/',
  codec: jsonCodec(),
  indexes: {
    name: { guarded: false, fields: ['name'], values: row => [fold(row.name)] },
    /** Its own address, for who asks what lies there. */
    address: {
      guarded: false,
      fields: ['address'],
      values: row => addressValues(row.address),
    },
    /** Name and tag, for the list of names with their tags; '' stands for 'no tag'. */
    tag: {
      guarded: false,
      fields: ['name', 'tags'],
      values: ({ name, tags }) =>
        tags.length === 0
          ? [pair(fromText(name), '')]
          : [...new Set(tags)].map(tag => pair(fromText(name), fromText(tag))),
    },
  },
  guard: nodeGuard,
  intern: (row, before) => ({
    ...row,
    node: internText(row.node, before?.node),
    name: internText(row.name, before?.name),
    address: internText(row.address, before?.address),
    tags: internList(row.tags, before?.tags),
    taggedAddresses: internRecord(row.taggedAddresses, before?.taggedAddresses),
    meta: internRecord(row.meta, before?.meta),
    ports: internList(row.ports, before?.ports),
    weights: internRecord(row.weights, before?.weights),
  }),
  scopeFields: ['node', 'name'],
  scopes: (row, key, reader) => [
    scope.catalog,
    scope.services,
    scope.service(row.name),
    scope.health(row.name),
    scope.node(row.node),
    ...extinction(row.name, key, reader),
  ],
})

/** After the change: without any instance the service is extinct. Most often this one is there. */
const extinction = (name: string, key: Bytes, reader: ScopeReader): string[] =>
  reader.get(services, key)?.row.name === name ||
  reader.find(services, 'name', fold(name), 1).length > 0
    ? []
    : [scope.extinction]

/** A name and tag out of the `tag` index's value. */
export function splitTag(value: string): { name: string; tag: string } {
  const end = value.indexOf('\u0000\u0000')
  return {
    name: toText(value.slice(0, end).replaceAll('\u0000\u00ff', '\u0000')),
    tag: toText(value.slice(end + 2)),
  }
}
