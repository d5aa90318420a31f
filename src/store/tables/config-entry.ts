/**
 * Configuration entries: what operators say centrally of services, proxies and who may call whom.
 *
 * Owns row, codec, indexes and scopes. What a kind may say is the registry's (config-entry/): here
 * an entry is its kind, its name and the fields as they are answered.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { defineTable, jsonCodec } from '../table.ts'
import { fold, kindGuard, pair, scope } from './names.ts'

export interface ConfigEntryRow {
  readonly kind: string
  /** As it was written; the key is its folded form. */
  readonly name: string
  /** The entry's fields in their order, without kind, name, hash and indexes. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The other services that callers of this one may be sent to. */
  readonly leadsTo: readonly string[]
}

/** The kind whose entries hold intentions. */
export const INTENTIONS = 'service-intentions'

type Sources = readonly { readonly Name: string; readonly Precedence: number }[]

const HIGHEST_PRECEDENCE = 9

/** The value under which the intentions of a source stand: those of a higher precedence first. */
export const decides = (precedence: number, source: string): Bytes =>
  pair(String(HIGHEST_PRECEDENCE - precedence), fromText(source))

/** The key is `ofKind(kind, name)`: all of one kind lie together, by name. */
export const configEntries = defineTable<ConfigEntryRow>({
  name: 'config-entries',
  prefix: 'config/',
  codec: jsonCodec(),
  indexes: {
    /** The entries that send callers to a service. */
    leadsTo: { guarded: true, values: ({ leadsTo }) => [...new Set(leadsTo.map(fold))] },
    /** Intentions in the order in which they decide: by precedence, then by source. */
    intention: {
      guarded: false,
      values: ({ kind, fields }) =>
        kind === INTENTIONS
          ? [...new Set((fields.Sources as Sources).map(one => decides(one.Precedence, one.Name)))]
          : [],
    },
  },
  guard: kindGuard,
  scopes: row => [scope.configKind(row.kind), scope.configKind('')],
})
