/**
 * The rules of configuration entries: put, delete, and the reads.
 *
 * Owns when an entry is written, and that none is written or deleted which would break another.
 * What a kind says is declared in config-entry/. Semantics follow Consul's config API. Pure.
 */

import { refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import type { Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Decision, del, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type ConfigEntryRow, configEntries } from '../store/tables/config-entry.ts'
import { ofKind, scope, underKind } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { graphProblem } from './config-entry/graph.ts'
import type { Entry } from './config-entry/kind.ts'
import {
  entryKinds,
  findKind,
  findReadKind,
  nameProblem,
  refuseEntry,
  rowOf,
} from './config-entry/mod.ts'

export interface EntryPut {
  readonly entry: Entry
  /** Writes only if the entry's ModifyIndex is this; 0: only if there is none. */
  readonly cas: number | undefined
  /** This server's datacenter, in which chains of resolvers begin. */
  readonly datacenter: string
}

/** Writes an entry; false where the condition does not hold. An equal entry changes nothing. */
export function putEntry(view: Reader, who: Who, request: EntryPut): Decision<boolean> | Refusal {
  const { entry, cas } = request
  const kind = findKind(entry.kind, 400)
  if (kind instanceof Refusal) return kind
  const refusal = refuse(who, kind.writeAccess(entry.name, entry.fields)) ?? refuseEntry(entry)
  return refusal ?? writeEntry(view, entry, cas, request.datacenter)
}

/** The same for an entry that was found right in itself and whose writer may write it. */
export function writeEntry(
  view: Reader,
  entry: Entry,
  cas: number | undefined,
  datacenter: string,
): Decision<boolean> | Refusal {
  const existing = view.get(configEntries, ofKind(entry.kind, entry.name))
  if (cas !== undefined && (existing?.modifyIndex ?? 0) !== cas) return { txn: [], answer: false }
  const row = rowOf(entry)
  if (existing !== undefined && same(existing.row, row)) return { txn: [], answer: true }
  const broken = graphProblem(view, entry, datacenter)
  if (broken !== undefined) return new Refusal(500, broken)
  return { txn: [put(configEntries, ofKind(entry.kind, entry.name), row)], answer: true }
}

/** Writes an entry of the configuration, unless there is one: what was written since stays. */
export function bootstrapEntry(
  view: Reader,
  entry: Entry,
  datacenter: string,
): Decision<boolean> | Refusal {
  const existing = view.get(configEntries, ofKind(entry.kind, entry.name))
  if (existing !== undefined) return { txn: [], answer: false }
  return writeEntry(view, entry, undefined, datacenter)
}

export interface EntryDeletion {
  readonly kind: string
  readonly name: string
  /** Deletes only at this ModifyIndex. */
  readonly cas: number | undefined
  readonly datacenter: string
}

/** Deletes an entry; false where the condition does not hold, true where there is none. */
export function deleteEntry(
  view: Reader,
  who: Who,
  request: EntryDeletion,
): Decision<boolean> | Refusal {
  const { kind: kindName, name, cas, datacenter } = request
  const kind = findKind(kindName, 400)
  if (kind instanceof Refusal) return kind
  const problem = nameProblem(kind, name)
  if (problem !== undefined) return new Refusal(500, problem)
  const lacking = refuse(who, kind.writeAccess(name, {}))
  if (lacking !== undefined) return lacking
  const existing = view.get(configEntries, ofKind(kindName, name))
  if (existing === undefined) return { txn: [], answer: true }
  if (cas !== undefined && existing.modifyIndex !== cas) return { txn: [], answer: false }
  return removeEntry(view, kindName, name, datacenter)
}

/** The same for an entry that is there and that may be deleted. */
export function removeEntry(
  view: Reader,
  kind: string,
  name: string,
  datacenter: string,
): Decision<boolean> | Refusal {
  const broken = graphProblem(view, { kind, name, fields: undefined }, datacenter)
  if (broken !== undefined) return new Refusal(500, broken)
  return { txn: [del(configEntries, ofKind(kind, name))], answer: true }
}

// --- reads

/** One entry, or undefined. An absent one has the whole table's index. */
export function configEntry(
  who: Who,
  kindName: string,
  name: string,
): Question<Cell<ConfigEntryRow> | undefined> | Refusal {
  const kind = findReadKind(kindName)
  if (kind instanceof Refusal) return kind
  const lacking = refuse(who, kind.readAccess(name))
  if (lacking !== undefined) return lacking
  const key = ofKind(kindName, name)
  return {
    key: `config ${key}`,
    target: { table: configEntries.name, key },
    newest: view => view.get(configEntries, key)?.modRevision ?? view.newest(configEntries),
    read: view => view.get(configEntries, key),
  }
}

/** The entries of a kind that the asker may see, by name; of all kinds for ''. */
export function configEntriesOf(
  who: Who,
  kindName: string,
): Question<Iterable<Cell<ConfigEntryRow>>> | Refusal {
  const kind = kindName === '' ? undefined : findReadKind(kindName)
  if (kind instanceof Refusal) return kind
  const readAccess = new Map(entryKinds.map(one => [one.kind, one.readAccess]))
  return {
    key: `config-list ${kindName}`,
    target: { scope: scope.configKind(kindName) },
    newest: (_view, scopes) => scopes.newest(scope.configKind(kindName)),
    *read(view) {
      const cells =
        kind === undefined
          ? view.entries(configEntries)
          : view.prefix(configEntries, underKind(kindName))
      for (const cell of cells) {
        const wanted = readAccess.get(cell.row.kind)?.(cell.row.name) ?? []
        if (wanted.every(one => who.may(one))) yield cell
      }
    },
  }
}
