/**
 * Prepared queries: which instances of a service are asked for, kept under an id and a name.
 *
 * Owns row, codec, indexes and scope. A query is found by its name, a template by what names begin
 * with, both without case; those that are bound to a session are found by it.
 */
import { fromText } from '../../base/bytes.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { fold, scope } from './names.ts'

export interface QueryTarget {
  readonly peer: string
  readonly datacenter: string
}

export interface QueryService {
  readonly service: string
  readonly failover: {
    readonly nearestN: number
    readonly datacenters: readonly string[]
    readonly targets: readonly QueryTarget[]
  }
  readonly onlyPassing: boolean
  readonly ignoreCheckIds: readonly string[]
  /** A node, `_agent`, `_ip`, or '' for no order. */
  readonly near: string
  /** With a leading `!`: that it must not have. */
  readonly tags: readonly string[]
  readonly nodeMeta: Readonly<Record<string, string>>
  readonly serviceMeta: Readonly<Record<string, string>>
  readonly connect: boolean
}

export interface QueryRow {
  readonly id: string
  /** '' for a query that is asked for by its id alone, and for the template of all names. */
  readonly name: string
  /** The session that it ends with, '' for none. */
  readonly session: string
  /** The token that it is executed with, '' for that of whoever asks. */
  readonly token: string
  readonly template: {
    /** '' for a query that is none. */
    readonly type: string
    readonly regexp: string
    readonly removeEmptyTags: boolean
  }
  readonly service: QueryService
  /** As it was given ('10s'), '' for the domain's own. */
  readonly dnsTtl: string
}

export const isTemplate = ({ template }: QueryRow): boolean => template.type !== ''

/** The key is the id. */
export const queries = defineTable<QueryRow>({
  name: 'queries',
  prefix: 'registry/query/',
  codec: jsonCodec(),
  indexes: {
    /** Names that must differ: of all queries that have one, and of the template of all names. */
    name: {
      guarded: true,
      values: row => (row.name === '' && !isTemplate(row) ? [] : [fold(row.name)]),
    },
    template: { guarded: false, values: row => (isTemplate(row) ? [fold(row.name)] : []) },
    session: { guarded: true, values: row => (row.session === '' ? [] : [fromText(row.session)]) },
  },
  scopes: () => [scope.queries],
})
