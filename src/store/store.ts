/**
 * The store's port: one contract that every engine meets. Types only.
 *
 * The model and the words are etcd v3's: a flat keyspace of bytes, every write a transaction that
 * stands on what it read and gets one revision, a feed of all changes in revision order, leases.
 * The port offers nothing that etcd cannot do. test/conformance/store.ts is the contract in tests.
 */

import type { PublicIndex, Revision, WallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Random } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Eventually } from '../base/eventually.ts'
import type { ColdRows, Frozen } from './cold.ts'
import type { Journal, JournalEntry } from './journal.ts'
import type { AnyTable, Cell, Table } from './table.ts'
import type { Reader } from './view.ts'
import type { Scopes } from './wait.ts'

/** One operation of a transaction: put a row, or (with `row` undefined) delete a key. */
export interface Op {
  readonly table: AnyTable
  readonly key: Bytes
  readonly row: unknown
  readonly lease: string
}

/** Puts a row; it hangs on `lease` when one is given, and goes when the lease ends. */
export function put<R>(table: Table<R>, key: Bytes, row: R, lease = ''): Op {
  return { table, key, row, lease }
}

/** Deletes a key; deleting an absent one is no operation at all. */
export function del<R>(table: Table<R>, key: Bytes): Op {
  return { table, key, row: undefined, lease: '' }
}

/** Where a committed write stands. */
export interface Committed {
  readonly revision: Revision
  readonly index: PublicIndex
}

/**
 * What a decide gives. `answer` may be a function of where the write was committed, for answers
 * that carry the new index. No operations: a read-only or no-op result, which still is answered
 * only when the state that it stood on is durable (or, on etcd, confirmed).
 */
export interface Decision<A> {
  readonly txn: readonly Op[]
  readonly answer: A | ((at: Committed) => A)
}

/**
 * A rule applied to a view. Pure: the engine may run it again on a newer view with the same `now`
 * and the same seed of `random`, so it must not keep anything between runs.
 */
export type Decide<A> = (view: Reader, now: WallMs, random: Random) => Decision<A> | Refusal

export interface Written<A> extends Committed {
  readonly answer: A
}

/** Whether what a rule or a room gave is a refusal. */
export const isRefusal = (given: unknown): given is Refusal => given instanceof Refusal

/**
 * One key's change as the feed tells it. Of cold rows it tells nothing. Rows are shared with the
 * view and must not be changed.
 */
export interface Event {
  readonly table: AnyTable
  readonly key: Bytes
  /** The row before, where the engine still knows it (always while live, not from old history). */
  readonly before: Cell<unknown> | undefined
  /** The row after; undefined for a deletion. */
  readonly after: Cell<unknown> | undefined
}

/** All events of one revision. */
export interface Change {
  readonly revision: Revision
  readonly events: readonly Event[]
}

/** A place in the feed. `next` waits for the change after the last one given. */
export interface Cursor {
  /**
   * Gives the next change, at once where it is known already, or `resync` when the reader fell too
   * far behind or the store was restored: read the view again and open a new cursor. Undefined once
   * the signal aborts.
   */
  next(signal: AbortSignal): Eventually<Change | 'resync' | undefined>
  /** Whether all that the view shows now was given. */
  isAtEnd(): boolean
}

export interface Lease {
  readonly id: string
  readonly ttlMs: number
}

/** What an engine can do beyond the contract; tests and callers look here, never at methods. */
export interface Supports {
  /** Data is there after a restart. */
  readonly durable: boolean
  /** Several servers can open the same store. */
  readonly shared: boolean
  /** Operations of one transaction at most. */
  readonly transactionOps: number
}

export interface StoreStatus {
  readonly engine: string
  readonly clusterId: string
  readonly generation: number
  readonly revision: Revision
  /** Sum and number of all rows of the view at that revision: cold ones do not count. */
  readonly sum: number
  readonly rows: number
  /** The oldest revision from which a feed can still be resumed. */
  readonly compacted: Revision
  /** Why nothing can be written, or '' when all is well. */
  readonly fault: string
}

export interface Store {
  readonly supports: Supports
  /**
   * Applies a rule. Resolves when its transaction is durable and this server's view shows it.
   * Of writes called on one server, those that read or write the same rows are decided in the order
   * of their calls, the later one on what the earlier one did, refusals and no-ops included; others
   * need not wait for each other, and several may be committed as one revision. Who waits for an
   * answer before his next call sees all that he did.
   * With a `record` nothing is answered, a refusal or a no-op neither, before the record of what
   * came out is durable in this server's journal; where store and journal are one, it is durable
   * together with the rows.
   * Rejects with OperatingError (`stopped`, `busy`, `uncertain`, `unavailable`, `limit`, `closed`,
   * `unaudited`).
   */
  write<A>(decide: Decide<A>, record?: JournalEntry): Promise<Written<A> | Refusal>
  /** This server's own audit journal: other servers of a shared store have theirs. */
  readonly journal: Journal
  /** The durable view. Holds still: a later change makes another one. */
  view(): Reader & Version
  /** The rows of cold tables, which no view holds. */
  readonly cold: ColdRows
  /** The whole content as it is now, held still until it is let go: for archives. */
  freeze(): Promise<Frozen>
  /** Resolves with a revision that is linearizable now, once the view shows it. */
  readIndex(): Promise<Revision>
  /** The index that clients see for a revision. Never 0. */
  indexOf(at: Revision): PublicIndex
  /** The revision that a client's index stands for: its offset taken off; may be negative. */
  revisionOf(index: number): number
  readonly scopes: Scopes
  /** Opens the feed behind `after`. Throws OperatingError `compacted` when that is gone. */
  feed(after: Revision): Cursor
  /** Changes from outside of one transaction: forgets history up to a revision. */
  compact(upTo: Revision): Promise<void>
  /** Grants a lease of at least `ttlMs`; rows put with it are deleted when it ends. */
  grant(ttlMs: number): Promise<Lease>
  /** Starts the lease's time over. False when it has ended. */
  keepAlive(lease: string): Promise<boolean>
  revoke(lease: string): Promise<void>
  /** Replaces the whole content (see snapshot.ts). The old one stays until the new one is whole. */
  restore(content: RestoreContent): Promise<Committed>
  status(): StoreStatus
  /** Settles what is under way and lets go of disk and network. Safe to call twice. */
  close(): Promise<void>
}

/** The view with what status pages, archives and scopes need beyond a Reader. */
export interface Version {
  count<R>(table: Table<R>): number
  entries<R>(table: Table<R>): Iterable<Cell<R>>
  /** What `find` and `distinct` give, one after the other: for long reads in slices. */
  scan<R>(table: Table<R>, index: string, value: Bytes): Iterable<Cell<R>>
  values<R>(table: Table<R>, index: string, prefix?: Bytes): Iterable<Bytes>
  newest<R>(table: Table<R>): Revision
  floor<R>(table: Table<R>): Revision
  newestTombstone<R>(table: Table<R>, prefix: Bytes): Revision
  readonly sum: number
  readonly rows: number
  /** When its content became the store by a restore: no answer's index is below. */
  readonly origin?: Revision
}

/** Rows to fill a new generation with, and the index that it must not fall below. */
export interface RestoreContent {
  readonly rows: AsyncIterable<RestoredRow> | Iterable<RestoredRow>
  /** The public index of the archive: the restored store's index starts above it. */
  readonly index: number
  /**
   * Tables whose rows are taken over from the store as it is, and the revision at which they were
   * read, once all rows were: nothing is changed where they have changed since.
   */
  readonly staying?: { readonly tables: readonly AnyTable[]; readonly at: () => Revision }
  /** Called when all rows were read; throws if the archive proves damaged, and nothing changes. */
  readonly verify: () => void
}

/** A row of an archive: its full key, encoded, with the indexes that clients saw. */
export interface RestoredRow {
  readonly key: Bytes
  readonly body: Buffer
  readonly createIndex: number
  readonly modifyIndex: number
}
