/**
 * Topics: what a feed tells of, such as the health of one service. Declared by rooms, served by the
 * feed room, rendered by faces.
 *
 * Owns the types alone. A topic of the registry is read from views and their events; one whose rows
 * no view has brings a source of its own. Everything a topic does is pure, but for that source.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Refusal } from '../base/errors.ts'
import type { Access, Authority, Who } from '../base/who.ts'
import type { Fields } from '../filter/fields.ts'
import type { View } from './ask.ts'
import type { Event } from './store.ts'
import type { Cell } from './table.ts'

/** One thing that a topic tells of. Items are never changed in place. */
export interface Item<V> {
  /** What it is known by within its subject, as bytes of UTF-8 where it is text. */
  readonly key: Bytes
  /** The index of its newest change, as clients see indexes. */
  readonly index: number
  readonly value: V
}

/** What an event does to an item. */
export type Touch<V> =
  /**
   * The item has to be looked up in the views before and after. `was` says which rights show what
   * was there, where that may have gone.
   */
  | { readonly subject: Bytes; readonly key: Bytes; readonly was?: readonly Access[] }
  /** The event itself tells all. */
  | { readonly subject: Bytes; readonly key: Bytes; readonly rows: Rows<V> }
  /** It cannot be told, since the event is too old to say what was there before. */
  | { readonly subject: Bytes; readonly isUnknown: true }

/** An item on both sides of a change; undefined where it was or is not there. */
export interface Rows<V> {
  readonly before: Item<V> | undefined
  readonly after: Item<V> | undefined
  /** Of old history: what was before is not known, but who might have seen it. */
  readonly was?: readonly Access[]
}

/** The subjects of a topic that somebody follows. */
export interface Subjects {
  has(subject: Bytes): boolean
  all(): Iterable<Bytes>
  /** The lengths that they have, each once: for subjects that are prefixes. */
  readonly lengths: Iterable<number>
}

/** The index, as clients see it, of the newest change of a scope that a view shows. */
export type Marks = (scope: string) => number

/** The two versions between which an event lies. */
export interface Versions {
  readonly before: View
  readonly after: View
}

// biome-ignore lint/suspicious/noExplicitAny: topics of different items stand in one list
type Any = any
export type AnyTopic = Topic<Any>
export type AnyItem = Item<Any>
export type AnyTouch = Touch<Any>
export type AnyChange = OwnChange<Any>
export type AnyRowSource = RowSource<Any>
export type AnyOpenSource = OpenSource<Any>

export interface Topic<V> {
  /** As it is asked for: `health`. */
  readonly name: string
  /** What is followed of it, such as `service`; '' for a topic that is one whole. */
  readonly subject: string
  /** One sentence for whoever chooses among topics. */
  readonly summary: string
  /** What filters may select of an item's value. */
  readonly fields: Fields<V>
  /** Who knows its readers by their tokens; the registry's authority unless given. */
  readonly authority?: Pick<Authority, 'authenticate' | 'watch'>
  /** The rights that are asked for, as far as the subject tells; for documentation. */
  access(subject: string): readonly Access[]
  /**
   * The form in which equal subjects are equal (names are compared without case); a refusal of one
   * that cannot be.
   */
  normal(subject: Bytes): Bytes | Refusal
  /** Why somebody may not follow it at all; what he may not see of it is left out otherwise. */
  refuse?(who: Who, subject: Bytes): Refusal | undefined
  /** Whether somebody may see an item. */
  may(who: Who, item: Item<V>): boolean
  readonly source: RowSource<V> | OwnSource<V>
}

/** A topic that follows from the store's views. */
export interface RowSource<V> {
  /** The tables whose events touch it, by name. */
  readonly tables: readonly string[]
  /** Whether each revision is told by itself; else what one published batch did is told as one. */
  readonly isEach: boolean
  /**
   * All items of a subject, in the order of their keys; lazily. `undefined` stands for something
   * that was looked at and is none.
   */
  items(view: View, subject: Bytes, marks: Marks): Iterable<Item<V> | undefined>
  /** One item, undefined where there is none; needed where events do not tell all. */
  item?(view: View, subject: Bytes, key: Bytes, marks: Marks): Item<V> | undefined
  /** What an event touches of subjects that are followed; more is no harm. */
  touches(event: Event, subjects: Subjects, versions: Versions): Iterable<Touch<V>>
  /** Whether nothing of an item changed that anybody is told. */
  isSame?(before: Item<V>, after: Item<V>): boolean
}

/** What a topic's own source tells of, from when it is opened. */
export interface SourceEars<V> {
  /**
   * Items changed, and this is what they are now (undefined: gone) and were before, where that is
   * known. They must be readable by then. Told in order; `index` never goes back.
   */
  changed(changes: readonly OwnChange<V>[]): void
  /** All must be read anew. */
  reset(): void
  /** It cannot go on: whoever follows is told so, and may come again. */
  failed(refusal: Refusal): void
}

export interface OwnChange<V> {
  readonly key: Bytes
  readonly before: Item<V> | undefined
  readonly after: Item<V> | undefined
}

/** A topic whose rows no view has. */
export interface OwnSource<V> {
  /** Begins to listen to a subject. */
  open(subject: Bytes, ears: SourceEars<V>): OpenSource<V> | Refusal
}

export interface OpenSource<V> {
  /**
   * All items, read while things change: what changes meanwhile is told to the ears as well. Where
   * it cannot be read it throws a Refusal or an OperatingError.
   */
  items(): AsyncIterable<Item<V> | undefined> | Iterable<Item<V> | undefined>
  close(): void
}

/** Whether a topic follows from views. */
export const isOfRows = <V>(source: RowSource<V> | OwnSource<V>): source is RowSource<V> =>
  'tables' in source

/** Whether there was surely nothing before. */
export const isNew = ({ before, after }: Event): boolean =>
  before === undefined && after?.version === 1

/**
 * What an event does to an item that follows from one row. `was` gives the rights to see an item
 * by a row, or by its key where there is none any more; undefined where the key does not tell.
 */
export function* touchOfRow<R, V>(
  event: Event,
  subject: Bytes,
  itemOf: (cell: Cell<R>) => Item<V> | undefined,
  was: (cell: Cell<R> | undefined, key: Bytes) => readonly Access[] | undefined,
): Iterable<Touch<V>> {
  const before = event.before === undefined ? undefined : itemOf(event.before as Cell<R>)
  const after = event.after === undefined ? undefined : itemOf(event.after as Cell<R>)
  const { key } = before ?? after ?? event
  if (event.before !== undefined || isNew(event)) {
    yield { subject, key, rows: { before, after } }
    return
  }
  const seen = was(event.after as Cell<R> | undefined, event.key)
  if (seen === undefined) yield { subject, isUnknown: true }
  else yield { subject, key, rows: { before, after, was: seen } }
}

/** Declares a topic. */
export const defineTopic = <V>(topic: Topic<V>): Topic<V> => topic
