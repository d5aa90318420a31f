/**
 * Sources: the subjects that somebody follows, each with the log of what changed of it.
 *
 * Owns how a version's changes become entries of logs: all of a round at once, so that no reader
 * ever sees half of it; and how much all logs hold together. Pure.
 */
import { type Revision, revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import type { Access } from '../base/who.ts'
import type { View } from '../store/ask.ts'
import type { Change } from '../store/store.ts'
import {
  type AnyChange,
  type AnyOpenSource,
  type AnyRowSource,
  type AnyTopic,
  type AnyTouch,
  isOfRows,
  type Marks,
  type Subjects,
  type Versions,
} from '../store/topic.ts'
import type { Group } from './group.run.ts'
import { ChangeLog, type Entry } from './log.ts'

/** One subject of a topic. */
export class Source<R> {
  readonly topic: AnyTopic
  readonly subject: Bytes
  readonly log: ChangeLog
  /** What tells of it, where that is not the store. */
  own: AnyOpenSource | undefined
  /** The version with the newest change. */
  changedAt: Revision
  readonly #groups = new Map<string, Group<R>>()
  #ownAt = 1

  constructor(topic: AnyTopic, subject: Bytes, at: Revision) {
    this.topic = topic
    this.subject = subject
    this.log = new ChangeLog(isOfRows(topic.source) ? at : revision(0))
    this.changedAt = at
  }

  get groups(): Iterable<Group<R>> {
    return this.#groups.values()
  }

  get groupCount(): number {
    return this.#groups.size
  }

  readers(): R[] {
    return [...this.#groups.values()].flatMap(group => [...group.readers])
  }

  /** Where it stands when the logs stand at a version: a source of its own counts by itself. */
  at(version: Revision): Revision {
    return this.own === undefined ? version : revision(this.#ownAt)
  }

  /** The group of this key, made where there is none. */
  group(key: string, make: () => Group<R>): Group<R> {
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const made = make()
    this.#groups.set(key, made)
    return made
  }

  remove(group: Group<R>): void {
    for (const [key, one] of this.#groups) if (one === group) this.#groups.delete(key)
  }

  /** Takes in what its own source tells. */
  tell(changes: readonly AnyChange[], all: { count(entries: number): void }): void {
    const from = revision(this.#ownAt)
    this.#ownAt++
    const at = revision(this.#ownAt)
    const entries = changes.map(({ key, before, after }): Entry => {
      return {
        at,
        from,
        key,
        before,
        after,
        isBeforeUnknown: false,
        was: undefined,
        isQuiet: false,
      }
    })
    this.log.append(entries)
    all.count(entries.length)
  }
}

/** The marks of a view. */
export type MarksOf = (view: View) => Marks

/** The subjects of one topic that are followed. */
class Followed<R> implements Subjects {
  readonly sources = new Map<Bytes, Source<R>>()
  readonly #lengths = new Map<number, number>()

  has(subject: Bytes): boolean {
    return this.sources.has(subject)
  }

  all(): Iterable<Bytes> {
    return this.sources.keys()
  }

  get lengths(): Iterable<number> {
    return this.#lengths.keys()
  }

  add(source: Source<R>): void {
    const { length } = source.subject
    this.sources.set(source.subject, source)
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + 1)
  }

  delete({ subject }: Source<R>): void {
    if (!this.sources.delete(subject)) return
    const left = this.#lengths.get(subject.length)! - 1
    if (left > 0) this.#lengths.set(subject.length, left)
    else this.#lengths.delete(subject.length)
  }
}

export class SourceSet<R> {
  readonly #topics = new Map<string, Followed<R>>()
  #entries = 0

  /** All of them. */
  all(): Source<R>[] {
    return [...this.#topics.values()].flatMap(({ sources }) => [...sources.values()])
  }

  get size(): number {
    return this.all().length
  }

  get groups(): number {
    return this.all().reduce((total, { groupCount }) => total + groupCount, 0)
  }

  get entries(): number {
    return this.#entries
  }

  get(topic: string, subject: Bytes): Source<R> | undefined {
    return this.#topics.get(topic)?.sources.get(subject)
  }

  add(source: Source<R>): void {
    const { name } = source.topic
    const topic = this.#topics.get(name) ?? new Followed<R>()
    this.#topics.set(name, topic)
    topic.add(source)
  }

  /** A group is left by its last reader, and a source by its last group. */
  leave(source: Source<R>, group: Group<R>): void {
    source.remove(group)
    if (source.groupCount > 0) return
    const { name } = source.topic
    const topic = this.#topics.get(name)
    if (topic?.sources.get(source.subject) !== source) return
    topic.delete(source)
    if (topic.sources.size === 0) this.#topics.delete(name)
    this.#entries -= source.log.size
    source.own?.close()
  }

  count(entries: number): void {
    this.#entries += entries
  }

  restart(source: Source<R>, at: Revision): void {
    this.#entries -= source.log.restart(at)
    source.changedAt = at
  }

  /** Forgets old entries: readers who need them begin anew. */
  trim(newest: Revision): void {
    const oldest = revision(Math.max(0, newest - limits.feedBacklogChanges))
    if (this.#entries > limits.feedLogEntries) this.#forget(newest)
    else if (newest >= this.#trimmedAt + TRIMMED_CHANGES) {
      this.#trimmedAt = newest
      for (const source of this.all()) {
        if (source.own === undefined) this.#entries -= source.log.forget(oldest)
      }
    }
  }

  #trimmedAt = revision(0)

  /** Takes the older half of every log that is long. */
  #forget(newest: Revision): void {
    for (const { log } of this.all()) {
      if (log.size < LONG_ENTRIES) continue
      const middle = log.at(log.first + (log.size >> 1)).at
      this.#entries -= log.forget(revision(Math.min(middle, newest)))
    }
  }

  /** Begins a round. */
  gather(versions: Versions, marks: MarksOf): Gathered<R> {
    return new Gathered(this.#topics, versions, marks, entries => this.count(entries))
  }
}

const TRIMMED_CHANGES = 512
const LONG_ENTRIES = 64

/** What a round's changes come to. */
class Gathered<R> {
  /** Sources of which it cannot be told what changed. */
  readonly unknown = new Set<Source<R>>()
  readonly #topics: ReadonlyMap<string, Followed<R>>
  readonly #versions: Versions
  readonly #marks: MarksOf
  readonly #count: (entries: number) => void
  readonly #entries = new Map<Source<R>, Entry[]>()
  /** Keys that are looked up when all changes are in, with their newest and oldest revisions. */
  readonly #keys = new Map<Source<R>, Map<Bytes, Looked>>()

  constructor(
    topics: ReadonlyMap<string, Followed<R>>,
    versions: Versions,
    marks: MarksOf,
    count: (entries: number) => void,
  ) {
    this.#topics = topics
    this.#versions = versions
    this.#marks = marks
    this.#count = count
  }

  add({ revision: at, events }: Change): void {
    for (const event of events) {
      for (const followed of this.#topics.values()) {
        const [first] = followed.sources.values()
        const source = first!.topic.source
        if (!isOfRows(source) || !source.tables.includes(event.table.name)) continue
        for (const touch of source.touches(event, followed, this.#versions)) {
          this.#take(followed, touch, at)
        }
      }
    }
  }

  #take(followed: Followed<R>, touch: AnyTouch, at: Revision): void {
    const source = followed.sources.get(touch.subject)
    if (source === undefined) return
    if ('isUnknown' in touch) {
      this.unknown.add(source)
      return
    }
    const { key } = touch
    if (!('rows' in touch)) {
      const keys = this.#keys.get(source) ?? new Map<Bytes, Looked>()
      this.#keys.set(source, keys)
      const known = keys.get(key)
      const oldest = known?.oldest ?? at
      const was = known?.was ?? []
      if (touch.was !== undefined) was.push(touch.was)
      keys.set(key, { newest: at, oldest, was })
      return
    }
    const { before, after, was } = touch.rows
    if (before === undefined && after === undefined && was === undefined) return
    const from = revision(at - 1)
    const isBeforeUnknown = was !== undefined
    const seen = was === undefined ? undefined : [was]
    const entry = { at, from, key, before, after, was: seen, isBeforeUnknown, isQuiet: false }
    const entries = this.#entries.get(source)
    if (entries === undefined) this.#entries.set(source, [entry])
    else entries.push(entry)
  }

  /** Writes all into the logs; gives the sources that have something new. */
  commit(): Source<R>[] {
    const { before: earlier, after: later } = this.#versions
    const marksBefore = this.#marks(earlier)
    const marksAfter = this.#marks(later)
    for (const [source, keys] of this.#keys) {
      const { topic, subject } = source
      const of = topic.source as AnyRowSource
      const entries: Entry[] = []
      for (const [key, { newest: at, oldest, was }] of keys) {
        const before = of.item?.(earlier, subject, key, marksBefore)
        const after = of.item?.(later, subject, key, marksAfter)
        const isSame =
          before === undefined || after === undefined
            ? before === after
            : of.isSame?.(before, after) === true
        // In between it may have been another one, for who stands there.
        if (isSame && oldest === at) continue
        const { revision: from } = earlier
        const entry = { at, from, key, before, after, was, isBeforeUnknown: false }
        entries.push({ ...entry, isQuiet: isSame })
      }
      entries.sort((one, other) => one.at - other.at)
      if (entries.length > 0) this.#entries.set(source, entries)
    }
    const touched: Source<R>[] = []
    for (const [source, entries] of this.#entries) {
      if (this.unknown.has(source)) continue
      source.log.append(entries)
      source.changedAt = later.revision
      this.#count(entries.length)
      touched.push(source)
    }
    return touched
  }
}

interface Looked {
  readonly newest: Revision
  readonly oldest: Revision
  readonly was: (readonly Access[])[]
}
