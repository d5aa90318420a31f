/**
 * Configuration entries: what operators say centrally of services, proxies and who may call whom.
 *
 * Owns row, codec, indexes and scopes. What a kind may say is the registry's (config-entry/): here
 * an entry is its kind, its name and the fields as they are answered.
 */
import { defineTable, jsonCodec } from '../table.ts'
import { kindGuard, scope } from './names.ts'

export interface ConfigEntryRow {
  readonly kind: string
  /** As it was written; the key is its folded form. */
  readonly name: string
  /** The entry's fields in their order, without kind, name, hash and indexes. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** The key is `ofKind(kind, name)`: all of one kind lie together, by name. */
export const configEntries = defineTable<ConfigEntryRow>({
  name: 'config-entries',
  prefix: 'config/',
  codec: jsonCodec(),
  guard: kindGuard,
  scopes: row => [scope.configKind(row.kind), scope.configKind('')],
})
