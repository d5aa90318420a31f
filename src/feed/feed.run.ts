/**
 * The feed room: who follows which topic, and who is told what when.
 *
 * Owns the one reading of the store's changes for all readers, their groups, and their places.
 * Works in rounds: a round takes one version of the store and notes what changed of every subject
 * that is followed; then each reader that is ready is brought on. Nothing queues for a slow reader:
 * he keeps the place he has been told up to, and what changed meanwhile is made one when he is
 * ready again. Must never show anybody what he may not see, nor half of a revision as a whole.
 */
import { type Revision, revision } from '../base/brand.ts'
import { type Bytes, toText } from '../base/bytes.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { refuse } from '../base/denied.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { afterPoll, inSlices, loopMs } from '../base/slices.ts'
import {
  type Access,
  type Authority,
  isAnonymous,
  nothingUnmet,
  type RequestFacts,
  type Who,
} from '../base/who.ts'
import { type Filter, filterOf } from '../filter/filter.ts'
import type { View } from '../store/ask.ts'
import type { Change, Cursor, Store } from '../store/store.ts'
import { type AnyItem, type AnyTopic, isOfRows, type Marks } from '../store/topic.ts'
import type { Form, ResyncReason } from './form.ts'
import { Group, type LeftOut, type Walk } from './group.run.ts'
import type { Step } from './log.ts'
import { Pending } from './pending.ts'
import { Source, SourceSet } from './source.ts'
import { differenceOf, readToken, stampOf } from './token.ts'

export interface FeedPorts {
  readonly store: Store
  readonly topics: readonly AnyTopic[]
  readonly clock: Clock
  readonly log: Log
  readonly authority: Pick<Authority, 'authenticate' | 'watch' | 'note'>
  /** Whether this server's view is too old to vouch for it. */
  readonly age: { readonly isDegraded: boolean }
  /** Tells one process from another. */
  readonly processId: string
  /** What may wait for slow readers; as `limits` has it unless given. */
  readonly pendingSizeBytes?: number
}

/** What somebody wants to follow. */
export interface FeedRequest {
  readonly topic: string
  /** As it was given: bytes of UTF-8 where it is text. */
  readonly subject: Bytes
  /** A filter expression, '' for all. */
  readonly filter: string
  /** Where he stands, '' for nowhere. */
  readonly resume: string
  /** How often he hears something at least; 0 for the usual. */
  readonly heartbeatMs: number
  /** Whether it may begin with what this server knows, however old. */
  readonly isStale: boolean
  /**
   * Whether who lacks the rights on the subject as a whole is refused, instead of being told of
   * what little he may see: for those who act by what is not there.
   */
  readonly isStrict?: boolean
}

/** Who follows. */
export interface FeedCaller {
  readonly who: Who
  /** A secret, '' for none: looked at again when rights change. */
  readonly token: string
  /** For the explanation of what is left out; undefined where nobody asks for one. */
  readonly request: RequestFacts | undefined
}

/** Where a reader's frames go. */
export interface Outlet {
  /** Sends a frame, whole. False: nothing more until `drained` is called. */
  send(frame: Buffer): boolean
  /** Whether a frame that waits is a copy of its own, and not the one that others wait for. */
  readonly isCopying?: boolean
  /** The feed is over for this reader: why. Called once, and not after `close`. */
  end(refusal: Refusal): void
}

/** A reader's own end. */
export interface Following {
  /** All that was sent is on its way. */
  drained(): void
  /** The reader has left. */
  close(): void
}

/** What goes on now. */
export interface FeedStats {
  readonly readers: number
  readonly sources: number
  readonly groups: number
  /** Entries of all logs. */
  readonly entries: number
  /** Readers who have not taken what was sent, and the bytes that wait for them. */
  readonly slow: number
  readonly pendingSizeBytes: number
}

const STOPPING = new Refusal(503, 'the server stops')
const TOO_SLOW = new Refusal(429, 'too much waits for readers: this one was the slowest')

export class Feeds {
  readonly #ports: FeedPorts
  readonly #sources: SourceSet<Reader>
  readonly #readers = new Set<Reader>()
  readonly #pending: Pending<Reader>
  readonly #abort = new AbortController()
  #cursor: Cursor | undefined
  /** The version at which all logs stand. */
  #view: View
  #changes: Change[] = []
  #generation: string
  #isScheduled = false
  #isRunning = false
  /** Who waits for a version that shows what was acknowledged before he came. */
  #waiting: { readonly reader: Reader; readonly at: Revision }[] = []
  /** Groups whose readers have something to be told, and how far it went. */
  readonly #fans = new Map<Group<Reader>, { turn: Iterator<Reader>; isAgain: boolean }>()
  /** Readers who have more to be told than one frame. */
  readonly #busy = new Set<Reader>()
  #isPumping = false
  #tick: Timer | undefined

  constructor(ports: FeedPorts) {
    this.#ports = ports
    this.#view = ports.store.view() as View
    this.#generation = this.#storeId()
    this.#sources = new SourceSet<Reader>()
    this.#pending = new Pending(ports.pendingSizeBytes ?? limits.feedPendingSizeBytes)
  }

  /** The topics that there are. */
  get topics(): readonly AnyTopic[] {
    return this.#ports.topics
  }

  get stats(): FeedStats {
    return {
      readers: this.#readers.size,
      sources: this.#sources.size,
      groups: this.#sources.groups,
      entries: this.#sources.entries,
      slow: this.#pending.readers,
      pendingSizeBytes: this.#pending.sizeBytes,
    }
  }

  /**
   * Begins to tell a reader, who is told nothing before this returns. A refusal where he may not
   * follow that, or what he asks is wrong.
   */
  follow(request: FeedRequest, by: FeedCaller, form: Form, outlet: Outlet): Following | Refusal {
    if (this.#abort.signal.aborted) return STOPPING
    const topic = this.#ports.topics.find(({ name }) => name === request.topic)
    if (topic === undefined) return new Refusal(404, `there is no topic ${quoted(request.topic)}`)
    const subject = topic.normal(request.subject)
    if (subject instanceof Refusal) return subject
    const who = this.#whoFollows(topic, by)
    const isStrict = request.isStrict ?? false
    const refusal = who instanceof Refusal ? who : refusalOf(topic, who, subject, isStrict)
    if (who instanceof Refusal || refusal !== undefined) return refusal ?? (who as Refusal)
    const caller = { ...by, who }
    const filter = filterOf(request.filter, topic.fields)
    if (filter instanceof Refusal) return filter
    const shown = request.resume === '' ? undefined : readToken(request.resume)
    if (request.resume !== '' && shown === undefined) return NO_TOKEN
    const reader = new Reader(topic, subject, filter, caller, form, outlet)
    reader.isStrict = isStrict
    if (shown !== undefined) {
      if (differenceOf(shown.stamp, this.#stampOf(reader)) === 'question') return OTHER_QUESTION
      reader.shown = shown
    }
    if (this.#readers.size >= limits.feedReaders) {
      return new Refusal(429, 'too many readers follow feeds of this server')
    }
    const opened = this.#attach(reader)
    if (opened instanceof Refusal) return opened
    reader.heartbeatMs = request.heartbeatMs || limits.feedHeartbeatMs
    this.#readers.add(reader)
    this.#watch(reader)
    if (this.#cursor === undefined) void this.#follow()
    this.#tick ??= this.#ports.clock.after(limits.feedTickMs, () => this.#look())
    this.#confirm(reader, request.isStale)
    return {
      drained: () => this.#drained(reader),
      close: () => this.#drop(reader),
    }
  }

  /** Ends all that goes on. */
  close(): void {
    this.#abort.abort()
    this.#tick?.clear()
    for (const reader of [...this.#readers]) this.#end(reader, STOPPING)
  }

  /** A scope may have been touched by a later version than the view. */
  #marks(view: View): Marks {
    const { store } = this.#ports
    return name => store.indexOf(revision(Math.min(store.scopes.newest(name), view.revision)))
  }

  #storeId(): string {
    const { clusterId, generation } = this.#ports.store.status()
    return `${clusterId} ${generation}`
  }

  #stampOf({ topic, subject, filter, caller }: Reader): Buffer {
    // What stands on no revision of the store means nothing to another process.
    const own = 'tables' in topic.source ? '' : ` ${this.#ports.processId}`
    return stampOf({
      store: this.#generation + own,
      question: `${topic.name}\n${subject}`,
      filter: filter?.text ?? '',
      rights: caller.who.rights,
    })
  }

  // --- who begins where

  /** Puts a reader into the group of those who see the same. */
  #attach(reader: Reader): Refusal | undefined {
    const { topic, subject, filter, caller, form } = reader
    const source = this.#sourceOf(topic, subject)
    if (source instanceof Refusal) return source
    const tellsFiltered = !isAnonymous(caller.who)
    const key = `${form.name}\n${tellsFiltered}\n${caller.who.rights}\n${filter?.text ?? ''}`
    const group = source.group(key, () => {
      const { store } = this.#ports
      const isOwn = !('tables' in topic.source)
      return new Group<Reader>({
        ...{ topic, form, filter, tellsFiltered, log: source.log, who: caller.who },
        stamp: this.#stampOf(reader),
        indexOf: at => store.indexOf(isOwn ? store.view().revision : at),
      })
    })
    reader.source = source
    reader.group = group
    group.readers.add(reader)
    return undefined
  }

  #sourceOf(topic: AnyTopic, subject: Bytes): Source<Reader> | Refusal {
    const known = this.#sources.get(topic.name, subject)
    if (known !== undefined) return known
    const source = new Source<Reader>(topic, subject, this.#view.revision)
    if (!('tables' in topic.source)) {
      const open = topic.source.open(subject, {
        changed: changes => {
          source.tell(changes, this.#sources)
          this.#fan(source)
        },
        reset: () => this.#restart(source, 'behind'),
        failed: refusal => {
          for (const reader of source.readers()) this.#end(reader, refusal)
        },
      })
      if (open instanceof Refusal) return open
      source.own = open
    }
    this.#sources.add(source)
    return source
  }

  /** Leaves the group, and what nobody follows any more is forgotten. */
  #detach(reader: Reader): void {
    const { group, source } = reader
    group.readers.delete(reader)
    if (group.readers.size > 0) return
    this.#fans.delete(group)
    this.#sources.leave(source, group)
  }

  #watch(reader: Reader): void {
    reader.unwatch()
    const authority = this.#authorityOf(reader)
    reader.unwatch = authority.watch(reader.caller.who, () => this.#rightsOf(reader))
  }

  /** Nobody's token is refused, though its face may have passed it over. */
  #whoFollows({ authority }: AnyTopic, { who, token, request }: FeedCaller): Who | Refusal {
    if (authority !== undefined) {
      const known = authority.authenticate(token)
      // The face's own authority knows nothing of who that is, and records must name him.
      if (request !== undefined && !(known instanceof Refusal)) {
        request.detail = () => JSON.stringify({ accessor: known.accessor })
      }
      return known
    }
    return token !== '' && isAnonymous(who) ? this.#ports.authority.authenticate(token) : who
  }

  #authorityOf({ topic }: Reader): Pick<Authority, 'authenticate' | 'watch'> {
    return topic.authority ?? this.#ports.authority
  }

  /** Somebody's rights are others now, or none. */
  #rightsOf(reader: Reader): void {
    if (reader.isOver) return
    const who = this.#authorityOf(reader).authenticate(reader.caller.token)
    const { topic, subject, isStrict } = reader
    const refusal = who instanceof Refusal ? who : refusalOf(topic, who, subject, isStrict)
    if (who instanceof Refusal || refusal !== undefined) {
      this.#end(reader, refusal ?? (who as Refusal))
      return
    }
    const { caller } = reader
    this.#detach(reader)
    reader.caller = { ...caller, who }
    const lost = this.#attach(reader)
    if (lost !== undefined) {
      this.#end(reader, lost)
      return
    }
    this.#watch(reader)
    // Whoever has not begun is held against his token when he does.
    if (reader.hasBegun) this.#resync(reader, 'rights')
  }

  /** Begins once this server's view shows what was acknowledged before the reader came. */
  #confirm(reader: Reader, isStale: boolean): void {
    const { store } = this.#ports
    const { shown, group } = reader
    const isElsewhere =
      shown !== undefined && differenceOf(shown.stamp, group.options.stamp) === 'store'
    const isAhead = shown !== undefined && (isElsewhere || shown.at > this.#view.revision)
    if (!store.supports.shared || (isStale && !isAhead)) {
      this.#beginAt(reader, store.view().revision)
      return
    }
    store.readIndex().then(
      at => this.#beginAt(reader, at),
      (error: unknown) => {
        const text = error instanceof OperatingError ? error.message : 'no linearizable view'
        if (!reader.isOver) this.#end(reader, new Refusal(500, text))
      },
    )
  }

  #beginAt(reader: Reader, at: Revision): void {
    if (reader.isOver) return
    // Never before the answer to the request is on its way.
    this.#waiting.push({ reader, at })
    this.#schedule()
  }

  #begin(reader: Reader): void {
    const { shown, source, group } = reader
    reader.shown = undefined
    reader.hasBegun = true
    if (shown === undefined) {
      this.#snapshot(reader)
      return
    }
    const difference = differenceOf(shown.stamp, group.options.stamp)
    const isOwn = source.own !== undefined
    // Not even a snapshot takes him back.
    if (difference !== 'store') reader.toldAt = shown.at
    if (difference === 'filter' || difference === 'rights') this.#resync(reader, difference)
    else if (difference !== undefined) this.#resync(reader, isOwn ? 'compacted' : 'restored')
    else if (shown.at >= source.log.floor) {
      if (shown.at > source.at(this.#view.revision)) this.#resync(reader, 'restored')
      else {
        const { log } = source
        this.#catchUp(reader, log.steps(log.after(shown.at), log.end, shown.at))
      }
    } else if (isOwn) this.#resync(reader, 'compacted')
    else void this.#gather(reader, shown.at)
  }

  /** Tells what a reader missed; that it is nothing, too. */
  #catchUp(reader: Reader, steps: readonly Step[]): void {
    const { group, source } = reader
    reader.walk = group.catchUp(steps, source.at(this.#view.revision))
    reader.isBeatDue = true
    this.#more(reader)
  }

  /** Looks in the store's history for what a reader missed before anybody followed the subject. */
  async #gather(reader: Reader, since: Revision): Promise<void> {
    const { source } = reader
    try {
      const until = this.#view.revision
      const missed = await this.#missed(reader, since, until)
      if (reader.isOver || reader.source !== source || reader.resync !== undefined) return
      // What came meanwhile is in the log, unless that was begun anew.
      if (missed === undefined || source.log.floor > until) {
        this.#resync(reader, 'compacted')
        return
      }
      const { log } = source
      for (const step of log.steps(log.after(until), log.end)) {
        const known = missed.get(step.key)
        missed.set(step.key, known === undefined ? step : { ...known, after: step.after })
      }
      this.#catchUp(reader, [...missed.values()])
    } catch (error) {
      if (reader.isOver) return
      const isGone = error instanceof OperatingError && error.code === OperatingCode.compacted
      if (isGone) this.#resync(reader, 'compacted')
      else this.#fail(reader, error)
    }
  }

  /** What changed between two revisions, by key; undefined where that cannot be told. */
  async #missed(
    { topic: { source }, subject }: Reader,
    since: Revision,
    until: Revision,
  ): Promise<Map<Bytes, Step> | undefined> {
    if (!isOfRows(source)) return undefined
    const { store } = this.#ports
    const view = this.#view
    const missed = new Map<Bytes, Step>()
    const cursor = store.feed(since)
    const subjects = {
      has: (one: Bytes): boolean => one === subject,
      all: (): Iterable<Bytes> => [subject],
      lengths: [subject.length],
    }
    let read = 0
    let startedMs = loopMs()
    while (!cursor.isAtEnd()) {
      const soon = cursor.next(this.#abort.signal)
      const change = soon instanceof Promise ? await soon : soon
      if (change === undefined || change === 'resync') return undefined
      if (change.revision > until) break
      for (const event of change.events) {
        if (!source.tables.includes(event.table.name)) continue
        for (const touch of source.touches(event, subjects, { before: view, after: view })) {
          if (touch.subject !== subject) continue
          if ('isUnknown' in touch) return undefined
          const { key } = touch
          const isTold = 'rows' in touch
          const rows = isTold
            ? touch.rows
            : { after: source.item?.(view, subject, key, this.#marks(view)), was: touch.was }
          noteStep(missed, key, rows, !isTold || rows.was !== undefined)
        }
      }
      if ((++read & 15) === 0 && loopMs() - startedMs > limits.sliceMs) {
        await new Promise<void>(afterPoll)
        startedMs = loopMs()
      }
    }
    return missed
  }

  // --- beginning anew

  /** All that a reader has is told anew, after a word that it is. */
  #resync(reader: Reader, reason: ResyncReason): void {
    reader.resync = reason
    reader.walk = undefined
    reader.isAnew = false
    this.#more(reader)
  }

  /** The whole, as it is when the reader can take it. */
  #snapshot(reader: Reader): void {
    reader.isAnew = true
    this.#more(reader)
  }

  /** The first of it: all of it, where it is small and somebody was told it before. */
  #beginSnapshot(reader: Reader): Buffer | undefined {
    const { group, source, subject, topic } = reader
    reader.isAnew = false
    const kept = group.keptSnapshot(reader.toldAt)
    if (kept !== undefined) {
      this.#told(reader, kept.to, kept.at)
      this.#noteLeftOut(reader, kept.leftOut)
      return kept.bytes
    }
    reader.isFirstPart = true
    const at = source.at(this.#view.revision)
    if (isOfRows(topic.source)) {
      const view = this.#view
      const items = topic.source.items(view, subject, this.#marks(view))
      reader.walk = group.snapshot(items[Symbol.iterator](), at, view)
    } else {
      const items = source.own!.items()
      const iterator =
        Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
      reader.walk = group.snapshot(iterator, at, undefined)
    }
    return undefined
  }

  /** All readers of a subject begin anew. */
  #restart(source: Source<Reader>, reason: ResyncReason): void {
    this.#sources.restart(source, this.#view.revision)
    for (const reader of source.readers()) if (reader.hasBegun) this.#resync(reader, reason)
  }

  // --- rounds

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    const { store } = this.#ports
    while (!signal.aborted) {
      this.#view = store.view() as View
      const cursor = store.feed(this.#view.revision)
      this.#cursor = cursor
      this.#startOver()
      for (;;) {
        const soon = cursor.next(signal)
        const change = soon instanceof Promise ? await soon : soon
        if (change === undefined) return
        if (change === 'resync') break
        this.#changes.push(change)
        this.#schedule()
      }
    }
  }

  /** The store was restored, or this server is too far behind: no log says what happened. */
  #startOver(): void {
    this.#changes = []
    const was = this.#generation
    this.#generation = this.#storeId()
    const isOther = was !== this.#generation
    for (const source of this.#sources.all()) {
      if (source.own !== undefined) continue
      // Groups are of one generation: all leave before the first comes back.
      const readers = source.readers()
      for (const reader of readers) this.#detach(reader)
      for (const reader of readers) {
        const lost = this.#attach(reader)
        if (lost !== undefined) this.#end(reader, lost)
        else if (reader.hasBegun) this.#resync(reader, isOther ? 'restored' : 'behind')
      }
    }
    this.#schedule()
  }

  /** A round takes what one turn of the loop brought, when the view shows all of it. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    afterPoll(() => {
      this.#isScheduled = false
      if (this.#isRunning || this.#abort.signal.aborted) return
      if (this.#cursor?.isAtEnd() !== true) return
      this.#isRunning = true
      this.#round()
        .catch((error: unknown) => this.#failAll(error))
        .finally(() => {
          this.#isRunning = false
          if (this.#changes.length > 0 || this.#waiting.length > 0) this.#schedule()
        })
    })
  }

  async #round(): Promise<void> {
    const { store } = this.#ports
    const cursor = this.#cursor
    const after = store.view() as View
    const changes = this.#changes
    this.#changes = []
    const gathered = this.#sources.gather({ before: this.#view, after }, view => this.#marks(view))
    await inSlices(changes, change => gathered.add(change))
    // Begun anew meanwhile: what was gathered is of before.
    if (cursor !== this.#cursor) return
    this.#view = after
    for (const source of gathered.commit()) this.#fan(source)
    for (const source of gathered.unknown) this.#restart(source, 'behind')
    this.#sources.trim(after.revision)
    this.#pump()
    // A restore that was not noticed yet: who begins now would be told of what was before it.
    if (this.#generation !== this.#storeId()) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) {
      if (one.reader.isOver) continue
      if (one.at <= after.revision) this.#begin(one.reader)
      else this.#waiting.push(one)
    }
  }

  #failAll(error: unknown): void {
    this.#ports.log.error('feeds could not be told', { error: messageOf(error) })
    for (const reader of [...this.#readers]) this.#end(reader, FAILED)
  }

  #fail(reader: Reader, error: unknown): void {
    if (error instanceof Refusal) this.#end(reader, error)
    else {
      this.#ports.log.error('a feed could not be told', { error: messageOf(error) })
      this.#end(reader, FAILED)
    }
  }

  // --- telling

  /** All readers of a subject have something to be told. */
  #fan(source: Source<Reader>): void {
    for (const group of source.groups) {
      const fan = this.#fans.get(group)
      if (fan === undefined) {
        this.#fans.set(group, { turn: group.readers.values(), isAgain: false })
      } else fan.isAgain = true
    }
    this.#pump()
  }

  #more(reader: Reader): void {
    this.#busy.add(reader)
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    afterPoll(() => this.#slice())
  }

  /** Brings readers on until a slice is over; the rest comes in later ones. */
  #slice(): void {
    const startedMs = loopMs()
    const isOver = (): boolean => loopMs() - startedMs > limits.sliceMs / 2
    let steps = 0
    for (const [group, fan] of this.#fans) {
      for (;;) {
        const { value: reader, done } = fan.turn.next()
        if (done === true) break
        this.#advance(reader)
        // What a step leaves to the end of the turn takes as long again.
        if ((++steps & 15) === 0 && isOver()) {
          afterPoll(() => this.#slice())
          return
        }
      }
      this.#fans.delete(group)
      if (fan.isAgain) this.#fans.set(group, { turn: group.readers.values(), isAgain: false })
    }
    for (const reader of this.#busy) {
      this.#busy.delete(reader)
      this.#advance(reader)
      if (isOver()) break
    }
    if (this.#busy.size > 0 || this.#fans.size > 0) afterPoll(() => this.#slice())
    else this.#isPumping = false
  }

  /** Tells a reader the next that there is for him, if he can take it. */
  #advance(reader: Reader): void {
    if (reader.isOver || !reader.isReady || !reader.hasBegun) return
    let frame: Buffer | undefined
    try {
      frame = this.#nextOf(reader)
    } catch (error) {
      this.#fail(reader, error)
      return
    }
    if (frame === undefined) return
    this.#send(reader, frame)
    if (reader.isReady && this.#hasMore(reader)) this.#busy.add(reader)
  }

  #hasMore({ resync, walk, isAnew, next, source, isBeatDue }: Reader): boolean {
    const isBetween = walk === undefined && !isAnew && resync === undefined
    return !isBetween || isBeatDue || next < source.log.end
  }

  #nextOf(reader: Reader): Buffer | undefined {
    const { resync, form } = reader
    if (resync !== undefined) {
      reader.resync = undefined
      this.#snapshot(reader)
      return form.resync(resync)
    }
    if (reader.isAnew) {
      const whole = this.#beginSnapshot(reader)
      if (whole !== undefined) return whole
    }
    const part = this.#walked(reader)
    // In the middle of something nothing else is told.
    if (part !== undefined || reader.walk !== undefined || reader.isWaiting) return part
    return this.#logged(reader)
  }

  /** The next part of what he is in the middle of. */
  #walked(reader: Reader): Buffer | undefined {
    const { walk, group } = reader
    if (walk === undefined) return undefined
    const part = walk.next()
    if (part === 'later') {
      this.#busy.add(reader)
      return undefined
    }
    if (part instanceof Promise) {
      reader.walk = undefined
      const back = (): boolean =>
        !reader.isOver && reader.walk === undefined && reader.resync === undefined
      reader.isWaiting = true
      part.then(
        () => {
          reader.isWaiting = false
          if (!back()) return
          reader.walk = walk
          this.#more(reader)
        },
        (error: unknown) => {
          if (back()) this.#fail(reader, error)
        },
      )
      return undefined
    }
    const isWhole = reader.isFirstPart && walk.isOver
    reader.isFirstPart = false
    if (!walk.isOver) return part
    reader.walk = undefined
    this.#told(reader, walk.end, walk.at)
    if (walk.kind === 'snapshot') {
      if (part !== undefined && isWhole) group.keepSnapshot(part, walk)
      this.#noteLeftOut(reader, walk.leftOut)
    } else if (part !== undefined) reader.isBeatDue = false
    return part
  }

  /** What changed since he was told last. */
  #logged(reader: Reader): Buffer | undefined {
    const { group, source, topic } = reader
    const { log } = source
    while (reader.next < log.end) {
      if (reader.next < log.first) {
        this.#resync(reader, 'behind')
        return undefined
      }
      const isBehind = reader.isSlow || log.end - reader.next > limits.feedEachEntries
      const isEach = isOfRows(topic.source) && topic.source.isEach && !isBehind
      const frame = group.frameAfter(reader.next, source.at(source.changedAt), isEach)
      reader.isSlow = false
      if (frame.rest !== undefined) reader.walk = frame.rest
      else this.#told(reader, frame.to, frame.at)
      if (frame.bytes !== undefined) {
        reader.isBeatDue = false
        return frame.bytes
      }
    }
    if (!reader.isBeatDue) return undefined
    reader.isBeatDue = false
    const at = source.at(this.#view.revision)
    this.#told(reader, log.end, at)
    return group.heartbeat(at)
  }

  #told(reader: Reader, next: number, at: Revision): void {
    reader.next = next
    reader.toldAt = at
  }

  #send(reader: Reader, frame: Buffer): void {
    reader.heardMs = this.#ports.clock.monotonic()
    if (reader.outlet.send(frame) || reader.isOver) return
    reader.isReady = false
    this.#pending.add(reader, frame, reader.outlet.isCopying === true)
    while (this.#pending.isOver) {
      const slowest = this.#pending.slowest!
      this.#end(slowest, TOO_SLOW)
    }
  }

  #drained(reader: Reader): void {
    if (reader.isOver || reader.isReady) return
    this.#pending.remove(reader)
    reader.isReady = true
    const tookMs = this.#ports.clock.monotonic() - reader.heardMs
    reader.isSlow = tookMs > limits.feedSlowMs
    this.#more(reader)
  }

  #noteLeftOut({ caller: { who, request } }: Reader, { rights, count }: LeftOut): void {
    if (count === 0 || request === undefined) return
    const { id, operation, name } = request
    const what = { outcome: 'filtered', lacking: rights, count, unmet: nothingUnmet } as const
    this.#ports.authority.note({ id, who, operation, name, ...what })
  }

  // --- time

  /** Heartbeats that are due, versions that are held too long, readers who take nothing. */
  #look(): void {
    const { clock, age } = this.#ports
    this.#tick = undefined
    if (this.#abort.signal.aborted || this.#readers.size === 0) return
    this.#tick = clock.after(limits.feedTickMs, () => this.#look())
    const nowMs = clock.monotonic()
    for (const reader of this.#readers) {
      const silentMs = nowMs - reader.heardMs
      if (!reader.isReady) {
        if (silentMs > limits.feedStalledMs) this.#end(reader, STALLED)
        else this.#letGo(reader)
      } else if (silentMs >= reader.heartbeatMs - limits.feedTickMs / 2 && !age.isDegraded) {
        // A server that does not know what is the newest must not say so.
        reader.isBeatDue = true
        if (reader.hasBegun) this.#busy.add(reader)
      }
    }
    if (this.#busy.size > 0) this.#pump()
  }

  /** Versions hold rows that are no more: a slow reader must not keep one for long. */
  #letGo(reader: Reader): void {
    const { walk } = reader
    if (walk?.view === undefined) return
    if (walk.view.revision + limits.feedBacklogChanges >= this.#view.revision) return
    reader.walk = undefined
    reader.resync = 'behind'
  }

  #end(reader: Reader, refusal: Refusal): void {
    if (reader.isOver) return
    this.#drop(reader)
    reader.outlet.end(refusal)
  }

  #drop(reader: Reader): void {
    if (reader.isOver) return
    reader.isOver = true
    reader.unwatch()
    reader.walk = undefined
    this.#pending.remove(reader)
    this.#busy.delete(reader)
    this.#readers.delete(reader)
    this.#detach(reader)
  }
}

/** Notes what became of an item; the first change alone says what was there before. */
function noteStep(
  missed: Map<Bytes, Step>,
  key: Bytes,
  { before, after, was: seen }: Told,
  isBeforeUnknown: boolean,
): void {
  const was = seen === undefined ? [] : [seen]
  const known = missed.get(key)
  if (known === undefined) missed.set(key, { key, before, after, was, isBeforeUnknown })
  else missed.set(key, { ...known, after, was: [...(known.was ?? []), ...was] })
}

/** What history tells of an item. */
interface Told {
  readonly before?: AnyItem | undefined
  readonly after: AnyItem | undefined
  readonly was?: readonly Access[] | undefined
}

const NO_TOKEN = new Refusal(400, 'resume is no token of a feed')
const OTHER_QUESTION = new Refusal(400, 'the resume token is of another feed')
const FAILED = new Refusal(500, 'the feed failed, and can be asked for again')
const STALLED = new Refusal(429, 'nothing was read for too long')
const quoted = (text: string): string => JSON.stringify(text.slice(0, SHOWN_CHARS))
const SHOWN_CHARS = 64

/** Why somebody may not follow a subject; undefined where he may. */
function refusalOf(
  topic: AnyTopic,
  who: Who,
  subject: Bytes,
  isStrict: boolean,
): Refusal | undefined {
  const refusal = topic.refuse?.(who, subject)
  if (refusal !== undefined || !isStrict) return refusal
  // Rights without a name are those on whatever items there are.
  return refuse(
    who,
    topic.access(toText(subject)).filter(({ name }) => name !== ''),
  )
}

class Reader {
  readonly topic: AnyTopic
  readonly subject: Bytes
  readonly filter: Filter<unknown> | undefined
  readonly form: Form
  readonly outlet: Outlet
  caller: FeedCaller
  source!: Source<Reader>
  group!: Group<Reader>
  /** The token that he came with, until he has begun. */
  shown: { readonly at: Revision; readonly stamp: Buffer } | undefined
  heartbeatMs = 0
  isStrict = false
  hasBegun = false
  isOver = false
  isReady = true
  /** Whether he could not take something lately: what he missed is told as one. */
  isSlow = false
  isBeatDue = false
  isFirstPart = false
  /** Whether items of his are waited for. */
  isWaiting = false
  /** The number of the first entry that he was not told. */
  next = 0
  toldAt: Revision = revision(0)
  heardMs = 0
  resync: ResyncReason | undefined
  walk: Walk | undefined
  /** Whether a snapshot comes next. */
  isAnew = false
  unwatch: () => void = () => {}

  constructor(
    topic: AnyTopic,
    subject: Bytes,
    filter: Filter<unknown> | undefined,
    caller: FeedCaller,
    form: Form,
    outlet: Outlet,
  ) {
    this.topic = topic
    this.subject = subject
    this.filter = filter
    this.caller = caller
    this.form = form
    this.outlet = outlet
  }
}
