/**
 * The replica: as much of a store as an agent without one is asked about.
 *
 * Owns the rows of what it follows (interests), and that what it shows is always one whole revision
 * of the server that it follows: while it turns to another server, or none can be reached, it
 * shows what it had. What is asked about is followed from then on; what nobody asks about any more
 * is let go. Never writes, and never goes back: neither its revision nor an index of its answers.
 */
import { type PublicIndex, publicIndex, type Revision, revision } from '../../base/brand.ts'
import type { Bytes } from '../../base/bytes.ts'
import type { Clock, Random, Timer } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import { afterPoll, inSlices } from '../../base/slices.ts'
import { noColdRows } from '../cold.ts'
import type { Age } from '../freshness.ts'
import { JOURNAL_START, type Journal } from '../journal.ts'
import type { Cursor, Lease, Store, StoreStatus, Supports } from '../store.ts'
import type { AnyTable, Cell, Table } from '../table.ts'
import { scope } from '../tables/names.ts'
import { TableSet } from '../tables.ts'
import { Version } from '../view.ts'
import { Scopes } from '../wait.ts'
import { decode } from './codec.ts'
import { type Interest, type InterestKind, interestKey, type PartRow } from './interest.ts'
import { serviceNameRows } from './kinds.ts'
import type { ViewAnswer, ViewRequest, ViewSubscription, ViewUpdate } from './messages.ts'
import { ReplicaView } from './view.ts'

/** A stream to one server. */
export interface Upstream {
  send(request: ViewRequest): void
  close(): void
}

export interface UpstreamListener {
  onAnswer(answer: ViewAnswer): void
  /** Comes once, last, and not after `close`. */
  onEnd(reason: string): void
}

/** In whose name something is followed. */
export interface Follows {
  /** Equal for the same token; '' for the agent's own. Never the secret itself. */
  readonly id: string
  readonly token: string
}

export interface ReplicaOptions {
  readonly tables: readonly AnyTable[]
  readonly kinds: readonly InterestKind[]
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Opens a stream to some server; a failure comes by `onEnd`. */
  readonly connect: (listener: UpstreamListener) => Upstream
  /** The agent's own token. */
  readonly ownToken: () => string
}

interface Entry {
  readonly key: string
  readonly interest: Interest
  readonly kind: InterestKind
  readonly as: Follows
  readonly id: number
  state: 'waiting' | 'live' | 'refused'
  isPartial: boolean
  /** Full keys of the rows of each part. */
  readonly parts: Map<Bytes, readonly Bytes[]>
  /** Its own scopes: nobody else keeps them up. */
  scopes: readonly string[]
  usedMs: number
  /** Never let go. */
  isPinned: boolean
  status: number
  text: string
  readonly waiting: Set<() => void>
}

/** Somebody who waits for a state that shows all that was acknowledged before. */
interface Wish {
  readonly number: number
  met(): void
  failed(error: OperatingError): void
}

/** A row and how many parts it belongs to. */
interface Held {
  count: number
  readonly table: AnyTable
  readonly key: Bytes
  readonly sizeBytes: number
}

const ROW_SIZE_BYTES = 400
/** Scopes that several interests keep up together. */
const COMMON: ReadonlySet<string> = new Set([scope.extinction, scope.services])
const SUPPORTS: Supports = { durable: false, shared: true, transactionOps: 0 }

export class Replica implements Store, Age {
  readonly supports = SUPPORTS
  readonly scopes = new Scopes()
  readonly #options: ReplicaOptions
  readonly #tables: TableSet
  readonly #kinds: ReadonlyMap<string, InterestKind>
  readonly #entries = new Map<string, Entry>()
  readonly #byId = new Map<number, Entry>()
  readonly #held = new Map<Bytes, Held>()
  #head: Version
  #shown: ReplicaView
  #servicesAt: Revision = revision(0)
  #store = { clusterId: '', generation: 0, indexOffset: 0 }
  #ids = 0
  #sizeBytes = 0
  #waiting = 0
  /** Who waits for a state that shows all that was acknowledged before. */
  readonly #wished = new Set<Wish>()
  #wishes = 0
  #gathering: Promise<Revision> | undefined
  #upstream: Upstream | undefined
  #link: 'trying' | 'up' | 'down' = 'trying'
  /** Why no server is followed, '' while one is. */
  #trouble = ''
  #heardMs: number
  #serverAgeMs = 0
  /** Answers up to the one that is the last of its version. */
  #group: ViewAnswer[] = []
  #applying: Promise<void> = Promise.resolve()
  #isApplying = false
  #pauseMs: number = limits.viewRetryMinMs
  #retry: Timer | undefined
  #silence: Timer | undefined
  #sweeper: Timer | undefined
  #isClosed = false
  /** Head is not what it should be: what is shown stays, and all is asked for anew. */
  #isBroken = false
  /** Each stream has its number: what an older one still gives is not heard. */
  #stream = 0

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#tables = new TableSet(options.tables)
    this.#kinds = new Map(options.kinds.map(kind => [kind.kind, kind]))
    this.#head = new Version(options.tables)
    this.#shown = new ReplicaView(this.#head.cut(undefined), revision(0))
    this.#heardMs = options.clock.monotonic()
    // Answers about what is not there are kept for a moment beside these.
    for (const name of [scope.services, scope.nodes, scope.queries]) {
      this.scopes.touch(name, revision(1))
    }
  }

  /** Follows a server from now on. */
  start(): void {
    this.#connect()
    this.#sweeper = this.#options.clock.after(limits.viewSweepMs, () => this.#sweep())
  }

  // --- who asks

  /**
   * Undefined where all that a question stands on is here; else a promise of that. It rejects with
   * OperatingError `unavailable` when no server can be reached or it takes too long.
   */
  ensure(
    interests: readonly Interest[],
    as: Follows,
    waitMs: number = limits.viewFirstMs,
  ): Promise<void> | undefined {
    const lacking = interests.find(interest => this.#lacking(interest, as) !== undefined)
    return lacking === undefined ? undefined : this.#await(interests, as, waitMs)
  }

  /** Follows something in somebody's name alone. */
  follow(interest: Interest, as: Follows): void {
    this.#entryOf(interest, as)
  }

  /** Follows something for good, whether anybody asks or not; or no longer so. */
  pin(interest: Interest, as: Follows, isPinned: boolean): void {
    this.#entryOf(interest, as).isPinned = isPinned
  }

  /** What a server said of something that is followed in somebody's name. */
  stateOf(interest: Interest, as: Follows): 'absent' | 'waiting' | 'live' | 'refused' {
    const entry = this.#entries.get(entryKey(interest, as))
    if (entry === undefined) return 'absent'
    entry.usedMs = this.#options.clock.monotonic()
    return entry.state
  }

  /** Why nothing is told of something that is followed in somebody's name. */
  refusalOf(interest: Interest, as: Follows): Refusal | undefined {
    const entry = this.#entries.get(entryKey(interest, as))
    return entry?.state === 'refused' ? new Refusal(entry.status, entry.text) : undefined
  }

  /** The rows of a table that belong to what is followed in somebody's name. */
  cellsOf<R>(table: Table<R>, interest: Interest, as: Follows): readonly Cell<R>[] {
    const entry = this.#entries.get(entryKey(interest, as))
    const keys = entry === undefined ? [] : [...entry.parts.values()].flat()
    return keys
      .filter(key => key.startsWith(table.prefix))
      .flatMap(key => this.#shown.get(table, key.slice(table.prefix.length)) ?? [])
  }

  /** Resolves when a server answered to what somebody follows by name. Rejects as `ensure`. */
  answered(interest: Interest, as: Follows, waitMs: number = limits.viewFirstMs): Promise<void> {
    const entry = this.#entryOf(interest, as)
    return this.#until(() => (entry.state === 'waiting' ? entry : undefined), waitMs)
  }

  /** The entry that a question has to wait for; undefined where there is none. */
  #lacking(interest: Interest, as: Follows): Entry | undefined {
    const own = this.#entryOf(interest, OWN)
    if (own.state === 'waiting') return own
    if (own.state === 'live' && !own.isPartial) return undefined
    if (isSameSecret(as.token, this.#options.ownToken())) return undefined
    const asked = this.#entryOf(interest, as)
    return asked.state === 'waiting' ? asked : undefined
  }

  #entryOf(interest: Interest, as: Follows): Entry {
    const key = entryKey(interest, as)
    const usedMs = this.#options.clock.monotonic()
    const found = this.#entries.get(key)
    if (found !== undefined) {
      found.usedMs = usedMs
      return found
    }
    const kind = this.#kinds.get(interest.kind)
    if (kind === undefined) throw new OperatingError(OperatingCode.unavailable, 'not followed')
    const entry: Entry = {
      ...{ key, interest, kind, as, id: ++this.#ids, state: 'waiting', isPartial: true, usedMs },
      ...{ parts: new Map(), scopes: [], isPinned: false, waiting: new Set() },
      ...{ status: 0, text: '' },
    }
    this.#entries.set(key, entry)
    this.#byId.set(entry.id, entry)
    this.#makeRoom()
    this.#upstream?.send({ subscribe: [this.#subscriptionOf(entry)], unsubscribe: [], confirm: 0 })
    return entry
  }

  #await(interests: readonly Interest[], as: Follows, waitMs: number): Promise<void> {
    const next = (): Entry | undefined => {
      for (const interest of interests) {
        const entry = this.#lacking(interest, as)
        if (entry !== undefined) return entry
      }
      return undefined
    }
    return this.#until(next, waitMs)
  }

  /** Waits for one entry after the other, until there is none to wait for. */
  #until(next: () => Entry | undefined, waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const first = next()
      if (first === undefined) {
        resolve()
        return
      }
      const refusal = this.#refuseWait()
      if (refusal !== undefined) {
        reject(refusal)
        return
      }
      this.#waiting++
      let entry = first
      const over = (): void => {
        this.#waiting--
        timer.clear()
        entry.waiting.delete(look)
      }
      const look = (): void => {
        entry.waiting.delete(look)
        const then = next()
        if (then === undefined) {
          over()
          resolve()
        } else if (this.#link === 'down') {
          over()
          reject(this.#unreachable())
        } else {
          entry = then
          entry.waiting.add(look)
        }
      }
      const timer = this.#options.clock.after(waitMs, () => {
        over()
        reject(new OperatingError(OperatingCode.unavailable, 'the servers did not answer in time'))
      })
      entry.waiting.add(look)
    })
  }

  #refuseWait(): OperatingError | undefined {
    if (this.#isClosed) return new OperatingError(OperatingCode.closed, 'the agent stops')
    if (this.#link === 'down') return this.#unreachable()
    if (this.#waiting >= limits.viewWaiting) {
      return new OperatingError(OperatingCode.limit, 'too many questions wait for a server')
    }
    return undefined
  }

  #unreachable(): OperatingError {
    const text = `no server can be reached: ${this.#trouble}`
    return new OperatingError(OperatingCode.unavailable, text)
  }

  /**
   * Resolves once what is shown has all that was acknowledged before this call. All calls of a turn
   * of the loop share one question.
   */
  readIndex(): Promise<Revision> {
    if (this.#link === 'down') return Promise.reject(this.#unreachable())
    this.#gathering ??= this.#confirm()
    return this.#gathering
  }

  #confirm(): Promise<Revision> {
    return new Promise((resolve, reject) => {
      const wish: Wish = {
        number: ++this.#wishes,
        met: () => {
          timer.clear()
          resolve(this.#shown.revision)
        },
        failed: error => {
          timer.clear()
          reject(error)
        },
      }
      const timer = this.#options.clock.after(limits.viewFirstMs, () => {
        this.#wished.delete(wish)
        reject(new OperatingError(OperatingCode.unavailable, 'the servers did not answer in time'))
      })
      this.#wished.add(wish)
      afterPoll(() => {
        this.#gathering = undefined
        this.#upstream?.send({ subscribe: [], unsubscribe: [], confirm: wish.number })
      })
    })
  }

  // --- how old it is

  /** Milliseconds since what is shown was the newest for sure; since the start, before that. */
  ageMs(): number {
    return this.#serverAgeMs + this.#options.clock.monotonic() - this.#heardMs
  }

  /** Whether a server is followed, and heard. */
  get isConnected(): boolean {
    return this.#link === 'up' && this.#sinceHeardMs() <= limits.viewSilentMs
  }

  /** Whether that is too long to trust what is shown of rights. */
  get isDegraded(): boolean {
    return !this.isConnected || this.#serverAgeMs > limits.viewDegradedMs
  }

  #sinceHeardMs(): number {
    return this.#options.clock.monotonic() - this.#heardMs
  }

  /** How much is kept. */
  get kept(): { readonly interests: number; readonly rows: number; readonly sizeBytes: number } {
    return { interests: this.#entries.size, rows: this.#held.size, sizeBytes: this.#sizeBytes }
  }

  // --- the stream

  #connect(): void {
    this.#retry = undefined
    if (this.#isClosed) return
    const stream = ++this.#stream
    this.#group = []
    const upstream = this.#options.connect({
      onAnswer: answer => {
        if (stream === this.#stream) this.#hear(answer)
      },
      onEnd: reason => {
        if (stream === this.#stream) this.#lost(reason)
      },
    })
    // It may have failed at once.
    if (stream !== this.#stream || this.#retry !== undefined) return
    this.#upstream = upstream
    const { clusterId, generation } = this.#store
    upstream.send({
      hello: { clusterId, generation, revision: this.#shown.revision },
      subscribe: [...this.#entries.values()].map(entry => this.#subscriptionOf(entry)),
      unsubscribe: [],
      confirm: 0,
    })
    this.#watchSilence(stream)
  }

  /** A server that says nothing is as good as gone. */
  #watchSilence(stream: number): void {
    const openedMs = this.#options.clock.monotonic()
    const look = (): void => {
      if (stream !== this.#stream || this.#upstream === undefined) return
      const sinceMs = this.#options.clock.monotonic() - Math.max(openedMs, this.#heardMs)
      if (sinceMs < limits.viewSilentMs) {
        this.#silence = this.#options.clock.after(limits.viewSilentMs - sinceMs, look)
        return
      }
      this.#upstream.close()
      this.#lost('the server fell silent')
    }
    this.#silence = this.#options.clock.after(limits.viewSilentMs, look)
  }

  #lost(reason: string): void {
    this.#stream++
    this.#upstream = undefined
    this.#silence?.clear()
    this.#group = []
    this.#trouble = reason
    if (this.#link === 'up') this.#options.log.warn('no server is followed', { reason })
    this.#link = 'down'
    for (const entry of this.#byId.values()) wake(entry)
    for (const wish of this.#wished) wish.failed(this.#unreachable())
    this.#wished.clear()
    if (this.#isClosed) return
    const pauseMs = this.#pauseMs * (1 + this.#options.random.fraction())
    this.#pauseMs = Math.min(limits.viewRetryMaxMs, this.#pauseMs * 2)
    this.#retry = this.#options.clock.after(pauseMs, () => this.#connect())
  }

  #subscriptionOf({ id, interest, as, state, isPartial }: Entry): ViewSubscription {
    const isWhole = state === 'live' && !isPartial && !this.#isBroken
    return {
      ...{ id, kind: interest.kind, name: Buffer.from(interest.name, 'latin1') },
      token: as.id === '' ? this.#options.ownToken() : as.token,
      since: isWhole ? this.#shown.revision : 0,
    }
  }

  #hear(answer: ViewAnswer): void {
    this.#group.push(answer)
    // A long answer on its way is a sign of life, though not of what is shown.
    if (!answer.isLast) return
    const group = this.#group.splice(0)
    const stream = this.#stream
    const heardMs = this.#options.clock.monotonic()
    this.#applying = this.#applying.then(async () => {
      if (stream !== this.#stream || this.#isClosed) return
      this.#isApplying = true
      try {
        await this.#apply(group, heardMs, stream)
      } catch (error) {
        this.#isBroken = true
        this.#upstream?.close()
        this.#lost(messageOf(error))
      } finally {
        this.#isApplying = false
      }
    })
  }

  /** Makes a version of all answers of a group, and shows it as a whole. */
  async #apply(group: readonly ViewAnswer[], heardMs: number, stream: number): Promise<void> {
    const last = group.at(-1)!
    const { clusterId, generation, indexOffset, ageMs } = last
    const at = revision(last.revision)
    const isOther = clusterId !== this.#store.clusterId || generation !== this.#store.generation
    if (!isOther && at < this.#shown.revision) throw new Error('the server went back in time')
    const isAnew = isOther || this.#isBroken
    if (isAnew) this.#clear()
    const applied: Applied[] = []
    for (const { updates } of group) {
      for (const update of updates) {
        const entry = this.#byId.get(update.id)
        if (entry !== undefined) applied.push(await this.#take(entry, update, at, indexOffset))
      }
    }
    // From here on nothing waits: what is said of it changes together with what is shown.
    this.#head.revision = at
    if (isOther) this.#startOver({ clusterId, generation, indexOffset })
    if (isAnew) for (const entry of this.#entries.values()) entry.state = 'waiting'
    for (const { entry, update } of applied) settle(entry, update)
    this.#show(applied, at, isAnew)
    this.#isBroken = false
    this.#heardMs = Math.max(this.#heardMs, heardMs)
    this.#serverAgeMs = ageMs
    if (this.#link !== 'up' && stream === this.#stream) {
      this.#link = 'up'
      this.#trouble = ''
      this.#pauseMs = limits.viewRetryMinMs
    }
    for (const { entry } of applied) if (entry.state !== 'waiting') wake(entry)
    for (const wish of this.#wished) {
      if (wish.number > last.confirmed) continue
      this.#wished.delete(wish)
      wish.met()
    }
    this.#makeRoom()
  }

  /** Another store, or other content: nothing of what was shown counts. */
  #startOver(store: { clusterId: string; generation: number; indexOffset: number }): void {
    this.#store = store
    this.#servicesAt = revision(0)
    this.scopes.reset(revision(0))
    for (const name of [scope.services, scope.nodes, scope.queries]) {
      this.scopes.touch(name, revision(1))
    }
  }

  #clear(): void {
    this.#head = new Version(this.#options.tables)
    this.#held.clear()
    this.#sizeBytes = 0
    for (const entry of this.#entries.values()) entry.parts.clear()
  }

  /** Takes one update into head. */
  async #take(
    entry: Entry,
    update: ViewUpdate,
    at: Revision,
    indexOffset: number,
  ): Promise<Applied> {
    const applied: Applied = { entry, update, marks: [], changed: [] }
    if (update.state === 'REFUSED') {
      for (const part of [...entry.parts.keys()]) this.#replace(entry, part, [], at, applied)
      return applied
    }
    const { marks, parts } = decode(update.body, this.#tables, indexOffset)
    applied.marks.push(...marks)
    const gone = new Set(update.state === 'WHOLE' ? entry.parts.keys() : [])
    await inSlices(parts, ({ key, rows }) => {
      gone.delete(key)
      this.#replace(entry, key, rows, at, applied)
    })
    for (const part of gone) this.#replace(entry, part, [], at, applied)
    return applied
  }

  /** Puts the rows of a part in place of those that it had. */
  #replace(
    entry: Entry,
    part: Bytes,
    rows: readonly PartRow[],
    at: Revision,
    applied: Applied,
  ): void {
    const was = entry.parts.get(part) ?? []
    const is: Bytes[] = []
    for (const { table, cell } of rows) {
      const fullKey = table.prefix + cell.key
      is.push(fullKey)
      const held = this.#held.get(fullKey)
      if (held === undefined) {
        const sizeBytes = ROW_SIZE_BYTES + 2 * table.codec.encode(cell.row).length
        this.#held.set(fullKey, { count: 1, table, key: cell.key, sizeBytes })
        this.#sizeBytes += sizeBytes
      } else held.count++
      if (!isHeldAlready(this.#head.get(table, cell.key), cell)) {
        this.#head.apply(table, cell.key, cell, at)
        applied.changed.push({ table, key: cell.key })
      }
    }
    for (const fullKey of was) this.#release(fullKey, at, applied)
    if (is.length === 0) entry.parts.delete(part)
    else entry.parts.set(part, is)
  }

  #release(fullKey: Bytes, at: Revision, applied: Applied | undefined): void {
    const held = this.#held.get(fullKey)
    if (held === undefined || --held.count > 0) return
    this.#held.delete(fullKey)
    this.#sizeBytes -= held.sizeBytes
    this.#head.apply(held.table, held.key, undefined, at)
    applied?.changed.push({ table: held.table, key: held.key })
  }

  /** Shows head, and wakes who waits for what changed. */
  #show(applied: readonly Applied[], at: Revision, isAnew: boolean): void {
    for (const { entry, marks } of applied) {
      if (entry.kind.kind !== NAMES) continue
      for (const [, newest] of marks) if (newest > this.#servicesAt) this.#servicesAt = newest
    }
    // Tables that were not written are taken from the version before, unless head is another one.
    const before = isAnew ? undefined : this.#shown.version
    this.#shown = new ReplicaView(this.#head.cut(before), this.#servicesAt)
    for (const { entry, marks, changed } of applied) {
      const isChanged = changed.length > 0
      if (marks.length > 0) {
        entry.scopes = marks.map(([name]) => name).filter(name => !COMMON.has(name))
      }
      for (const [name, newest] of marks) {
        const known = this.scopes.known(name)
        // What was seen with other rights changed at no revision of the store.
        const isRaised = known === undefined || newest > known.revision
        if (isRaised) this.scopes.touch(name, newest)
        else if (isChanged && !COMMON.has(name)) this.scopes.touch(name, at)
      }
      if (isChanged) for (const name of entry.kind.wakes) this.scopes.touch(name, at)
      for (const { table, key } of changed) this.scopes.touchKey(table.name, key)
    }
  }

  // --- room

  #sweep(): void {
    if (this.#isClosed) return
    const nowMs = this.#options.clock.monotonic()
    for (const entry of [...this.#entries.values()]) {
      const isUsed = entry.scopes.map(name => this.scopes.takeUse(name)).includes(true)
      if (isUsed) entry.usedMs = nowMs
      const isAbsent = entry.parts.size === 0
      const idleMs = isAbsent ? limits.viewAbsentIdleMs : limits.viewIdleMs
      // While no server is there what is here is all that anybody can be told.
      const isKept = entry.isPinned || (this.#link !== 'up' && !isAbsent)
      if (!isKept && nowMs - entry.usedMs > idleMs) this.#drop(entry)
    }
    this.#sweeper = this.#options.clock.after(limits.viewSweepMs, () => this.#sweep())
  }

  /** Lets go of what was not used for longest, of what does not exist first. */
  #makeRoom(): void {
    if (
      this.#entries.size <= limits.viewInterests - 1 &&
      this.#sizeBytes <= limits.viewRowsSizeBytes &&
      this.#entries.size <= limits.viewAbsentInterests
    ) {
      return
    }
    const idle = [...this.#entries.values()]
      .filter(entry => !entry.isPinned && entry.waiting.size === 0 && !this.#isWaitedOn(entry))
      .sort((a, b) => a.usedMs - b.usedMs)
    const absent = idle.filter(({ parts }) => parts.size === 0)
    // By several at a time: to find the oldest takes a look at all.
    const spare = limits.viewAbsentInterests >> 4
    const excess = absent.length - limits.viewAbsentInterests
    if (excess > 0) for (const entry of absent.slice(0, excess + spare)) this.#drop(entry)
    for (const entry of idle) {
      const isFull =
        this.#entries.size >= limits.viewInterests || this.#sizeBytes > limits.viewRowsSizeBytes
      if (!isFull) return
      this.#drop(entry)
    }
  }

  /** Whether somebody waits for its next change: he would be answered from what is gone. */
  #isWaitedOn({ scopes }: Entry): boolean {
    return scopes.some(name => this.scopes.isWaitedOn(name))
  }

  #drop(entry: Entry): void {
    if (this.#entries.get(entry.key) !== entry) return
    this.#entries.delete(entry.key)
    this.#byId.delete(entry.id)
    for (const keys of entry.parts.values()) {
      for (const fullKey of keys) this.#release(fullKey, this.#head.revision, undefined)
    }
    entry.parts.clear()
    const key = interestKey(entry.interest)
    const isShared = [...this.#entries.values()].some(one => interestKey(one.interest) === key)
    if (!isShared) for (const name of entry.scopes) this.scopes.forget(name)
    if (!this.#isApplying && !this.#isBroken) {
      this.#shown = new ReplicaView(this.#head.cut(this.#shown.version), this.#servicesAt)
    }
    this.#upstream?.send({ subscribe: [], unsubscribe: [entry.id], confirm: 0 })
    wake(entry)
  }

  // --- what a store gives

  view(): ReplicaView {
    return this.#shown
  }

  indexOf(at: Revision): PublicIndex {
    return publicIndex(Math.max(1, at + this.#store.indexOffset))
  }

  revisionOf(index: number): number {
    return index - this.#store.indexOffset
  }

  status(): StoreStatus {
    return {
      engine: 'replica',
      clusterId: this.#store.clusterId,
      generation: this.#store.generation,
      revision: this.#shown.revision,
      sum: this.#shown.sum,
      rows: this.#shown.rows,
      compacted: this.#shown.revision,
      fault: this.#link === 'down' ? this.#trouble : '',
    }
  }

  // --- what servers alone can do

  readonly cold = noColdRows(
    'an agent without a store keeps nothing of what is cold: the servers are asked for it',
  )

  freeze(): Promise<never> {
    return Promise.reject(
      new OperatingError(OperatingCode.unavailable, 'an agent without a store has no archive'),
    )
  }

  write(): Promise<never> {
    return Promise.reject(serversAlone())
  }

  feed(): Cursor {
    throw serversAlone()
  }

  compact(): Promise<void> {
    return Promise.reject(serversAlone())
  }

  grant(): Promise<Lease> {
    return Promise.reject(serversAlone())
  }

  keepAlive(): Promise<boolean> {
    return Promise.reject(serversAlone())
  }

  revoke(): Promise<void> {
    return Promise.reject(serversAlone())
  }

  restore(): Promise<never> {
    return Promise.reject(serversAlone())
  }

  readonly journal: Journal = {
    append: () => Promise.reject(serversAlone()),
    head: () => JOURNAL_START,
    floor: () => JOURNAL_START,
    sizeBytes: () => 0,
    read: async () => [],
    excess: () => 0,
    trim: async () => {},
    onAppend: () => () => {},
    fault: () => '',
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#retry?.clear()
    this.#sweeper?.clear()
    this.#upstream?.close()
    this.#lost('the agent stops')
    await this.#applying
    this.scopes.wakeEverybody()
  }
}

/** What came of an update, until it is shown. */
interface Applied {
  readonly entry: Entry
  readonly update: ViewUpdate
  readonly marks: (readonly [scope: string, newest: Revision])[]
  readonly changed: { readonly table: AnyTable; readonly key: Bytes }[]
}

/** The agent's own name. */
const OWN: Follows = { id: '', token: '' }
const NAMES = 'names'

const entryKey = (interest: Interest, { id }: Follows): string => `${id} ${interestKey(interest)}`

/** The cell that is there already keeps its place: whoever holds it sees that nothing changed. */
const isHeldAlready = (held: Cell<unknown> | undefined, cell: Cell<unknown>): boolean =>
  held !== undefined && held.modRevision === cell.modRevision && held.sum === cell.sum

function settle(entry: Entry, { state, isPartial, status, text }: ViewUpdate): void {
  entry.state = state === 'REFUSED' ? 'refused' : 'live'
  entry.isPartial = isPartial
  entry.status = status
  entry.text = text
}

function wake(entry: Entry): void {
  for (const look of [...entry.waiting]) look()
}

const serversAlone = (): OperatingError =>
  new OperatingError(OperatingCode.unavailable, 'this agent is no server')

/** The tables that a replica has beside a store's. */
export const replicaTables: readonly AnyTable[] = [serviceNameRows]
