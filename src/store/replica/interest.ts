/**
 * Interests: what a replica may follow of a store, and of which rows each consists.
 *
 * Owns the declaration of a kind of interest. An interest (the service `web`) consists of parts (a
 * node that has instances of it), and a part of rows; a part is always sent whole, so that neither
 * side remembers what the other has. Pure: everything follows from a view.
 */
import { publicIndex, type Revision } from '../../base/brand.ts'
import type { Bytes } from '../../base/bytes.ts'
import type { Who } from '../../base/who.ts'
import type { Event, Version } from '../store.ts'
import type { AnyTable, Cell, Table } from '../table.ts'
import type { Reader } from '../view.ts'
import type { Scopes } from '../wait.ts'

export type View = Reader & Version

/** What a question stands on. Equal kinds and names are one interest. */
export interface Interest {
  readonly kind: string
  /** As the kind wants it: folded where names are compared without case. */
  readonly name: Bytes
}

/** A row that belongs to a part. */
export interface PartRow {
  readonly table: AnyTable
  readonly cell: Cell<unknown>
}

/** What a scope's newest change is, as the store's own questions would tell it. */
export type ScopeMark = readonly [scope: string, newest: Revision]

/** A part that a change may have touched. */
export interface TouchedPart {
  readonly name: Bytes
  readonly part: Bytes
}

/** A kind of interest. What it says must follow from the view alone. */
export interface InterestKind {
  readonly kind: string
  /** The keys of all its parts, each once. */
  parts(view: View, name: Bytes): Iterable<Bytes>
  /** The rows of a part; none where there is no such part. */
  rows(view: View, name: Bytes, part: Bytes): readonly PartRow[]
  /**
   * The parts of any interests of this kind that an event may have changed; `view` is after it,
   * `followed` gives the names of those that anybody follows.
   */
  touched(event: Event, view: View, followed: () => Iterable<Bytes>): Iterable<TouchedPart>
  /** The newest revision that may have changed a row of it. */
  changedAt(view: View, scopes: Scopes, name: Bytes): Revision
  /** The scopes that questions on it wait on, with their newest changes. */
  marks(view: View, scopes: Scopes, name: Bytes): readonly ScopeMark[]
  /** Scopes of other questions that are woken by each change of it. */
  readonly wakes: readonly string[]
  /** Whether what is seen of it differs between askers of equal rights. */
  readonly isPersonal: boolean
  /** Whether somebody may see whatever rows the interest has or will have. */
  seesAll(who: Who, name: Bytes): boolean
  /** Those rows of a part that somebody may see. */
  seen(who: Who, name: Bytes, part: Bytes, rows: readonly PartRow[]): readonly PartRow[]
}

/** One text for one interest. */
export const interestKey = ({ kind, name }: Interest): string => `${kind} ${name}`

/** A row that is made from others. It changes with them: its revision is that of the view. */
export function derived<R>(table: Table<R>, key: Bytes, value: R, at: Revision): PartRow {
  const cell: Cell<R> = {
    ...{ key, row: value, createRevision: at, modRevision: at, version: 1, lease: '' },
    ...{ createIndex: publicIndex(0), modifyIndex: publicIndex(0) },
    sum: 0,
  }
  return { table, cell }
}
