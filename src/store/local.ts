/**
 * The serial committer: the part that the memory and the level engine share.
 *
 * Owns head and durable versions, the gathering of transactions and of journal records into
 * batches, the feed's ring, scopes and leases. One turn: decide and apply on head as writes arrive;
 * persist the gathered batch in one piece; publish it as durable; answer. If persisting fails, head
 * is dropped, what was under way is answered `unknown`, and nothing is written until the store is
 * opened again. Must never show anyone a row that is not durable, and never answer before it is.
 */
import { assert, isVerifying, verify } from '../base/assert.ts'
import { type PublicIndex, publicIndex, type Revision, revision, wallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Clock, Random } from '../base/clock.ts'
import { same } from '../base/equal.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { afterPoll, inSlices } from '../base/slices.ts'
import {
  type Breathe,
  type ColdRange,
  ColdReader,
  type ColdSource,
  clearsIn,
  coldClears,
  type Frozen,
  frozenOver,
  refuseCleared,
  type StoredCold,
} from './cold.ts'
import { FeedRing } from './feed.ts'
import type {
  Journal,
  JournalBody,
  JournalBook,
  JournalEntry,
  JournalMark,
  JournalRecord,
  WriteOutcome,
} from './journal.ts'
import { LeaseTable, leases } from './lease.ts'
import { Recorder } from './recorder.ts'
import { roles, roleWishes } from './role.ts'
import type {
  Change,
  Committed,
  Cursor,
  Decide,
  Decision,
  Event,
  Lease,
  Op,
  RestoreContent,
  Store,
  StoreStatus,
  Supports,
  Written,
} from './store.ts'
import {
  type AnyTable,
  type Cell,
  isSameIn,
  type KeptIndexes,
  NO_KEPT_INDEXES,
  rowSum,
  type ScopeReader,
  seal,
  sealBehind,
} from './table.ts'
import type { Version } from './view.ts'
import { Scopes } from './wait.ts'

/** What the committer hands to an engine to make durable in one piece. */
export interface Batch {
  readonly changes: Change[]
  /** The stored form of each event, in the order of `changes`. */
  readonly writes: RowWrite[]
  /** The scopes that it touches, each with the newest revision that does. */
  readonly touched: Map<string, Revision>
  /** Records of the audit journal, sealed, in order; there may be nothing else in the batch. */
  readonly records: JournalRecord[]
  /** Up to where the journal is trimmed; undefined for nowhere. */
  trim: JournalMark | undefined
  /** Revision and number of rows after the batch. */
  revision: Revision
  rows: number
  sizeBytes: number
}

/** The room before a value that is to be written, beside what names the row's lease. */
export const ROOM_SIZE_BYTES = 24

/** One row as it is stored. `value` undefined: the key is deleted. */
export interface RowWrite {
  readonly at: Revision
  readonly fullKey: Bytes
  readonly value: Buffer | undefined
  /** The value behind room for an engine's header, so that nobody copies it for that. */
  readonly roomy?: Buffer
  readonly createRevision: Revision
  readonly version: number
  readonly lease: string
  /** CRC-32 of full key and value; 0 for a deletion. */
  readonly sum: number
  /** A row of a cold table: no event tells of it, and what was there before is not known. */
  readonly isCold?: boolean
}

/** Cold rows as they were at one moment. */
export interface FrozenCold {
  /** Those of a range, in the order of their keys. */
  read(range: ColdRange): Promise<readonly StoredCold[]>
  /** Rejects with `damaged` unless they are, as a whole, what they should be. */
  prove(breathe: Breathe): Promise<number>
  release(): Promise<void>
}

/** The cold rows that are durable. */
export interface ColdDisk extends Pick<FrozenCold, 'read'> {
  /** Holds them still as they are now. Never called while a batch is under way. */
  freeze(): FrozenCold
}

/** The engine's half: how a batch is made durable, and what the store was when opened. */
export interface Persistence {
  readonly engine: string
  readonly supports: Supports
  /** Resolves when the batch is durable; rejects if it may not be. Called one at a time. */
  persist(batch: Batch): Promise<void>
  /** Changes after a revision that the ring no longer has; undefined when forgotten here too. */
  history(after: Revision, limit: number): Promise<Change[] | undefined>
  /** Records of the journal that became durable, in order; see Journal. */
  records(from: number, limit: number): Promise<JournalRecord[]>
  readonly cold: ColdDisk
  /** The revision up to which `history` is forgotten. */
  readonly compacted: Revision
  /** Forgets history up to a revision. Never called while a batch is under way. */
  compact(upTo: Revision): Promise<void>
  /** Fills a new generation and flips to it; gives the version that was loaded from it. */
  restore(content: RestoreContent, head: Revision): Promise<Loaded>
  close(): Promise<void>
}

/** What an engine found when it opened. */
export interface Loaded {
  readonly version: Version
  readonly clusterId: string
  readonly generation: number
  readonly indexOffset: number
  /** Before this nothing is known change by change. */
  readonly compacted: Revision
  /**
   * Scopes touched since `compacted`, with the newest revision: rows alone do not tell all. After
   * a restore, those of all rows.
   */
  readonly touched: ReadonlyMap<string, Revision>
}

interface Settling {
  resolve(): void
  reject(error: unknown): void
}

interface Gathering extends Batch {
  readonly settling: Settling[]
  /** What those wait for whose records alone are in it. */
  recorded: Promise<void> | undefined
}

/** A write that is not decided yet. */
interface Waiting {
  attempt(): void
  reject(error: unknown): void
}

/** An operation, encoded and checked, that only has to be applied. */
interface Prepared {
  readonly op: Op
  readonly cell: Cell<unknown> | undefined
  readonly write: RowWrite
}

/** What the committer goes on from. */
export interface Opened extends Loaded {
  /** The engine's own, too: it is told of records and trims by the committer alone. */
  readonly journal: JournalBook
}

export interface LocalOptions {
  readonly tables: readonly AnyTable[]
  readonly clock: Clock
  readonly random: Random
  /** Told of each batch that became durable: its transactions, and how long that took. */
  readonly onCommit?: (transactions: number, tookMs: number) => void
}

/** All tables that every store has, before the rooms' own. */
export const withSystemTables = (tables: readonly AnyTable[]): AnyTable[] => [
  leases,
  roles,
  roleWishes,
  coldClears,
  ...tables,
]

export class LocalStore implements Store {
  readonly scopes = new Scopes()
  readonly cold: ColdReader
  readonly #persistence: Persistence
  readonly #tables: readonly AnyTable[]
  readonly #clock: Clock
  readonly #random: Random
  readonly #onCommit: LocalOptions['onCommit']
  readonly #ring: FeedRing
  readonly #leases: LeaseTable
  readonly #book: JournalBook
  readonly #followers = new Set<() => void>()
  readonly #recent = new RecentRecords()
  #head: Version
  #durable: Version
  #loaded: Loaded
  #gathering: Gathering
  #persisting = false
  #scheduled = false
  /** Ends with the last of the works that must not meet a batch (restore, compaction). */
  #exclusive: Promise<unknown> = Promise.resolve()
  /** How many of those are called for: later writes wait for all of them. */
  #holds = 0
  /** Writes that came while writes were held or the gathering batch was full, in their order. */
  readonly #waiting: Waiting[] = []
  #fault: OperatingError | undefined
  #closing: Promise<void> | undefined
  #idle: (() => void) | undefined

  constructor(persistence: Persistence, loaded: Opened, options: LocalOptions) {
    this.#persistence = persistence
    const source = this.#coldSource(persistence.cold, () => this.#durable)
    this.cold = new ColdReader(source, breathe => this.#proveCold(breathe))
    this.#book = loaded.journal
    this.#tables = options.tables
    this.#clock = options.clock
    this.#random = options.random
    this.#onCommit = options.onCommit
    this.#loaded = loaded
    this.#head = loaded.version
    this.#durable = this.#head.cut(undefined)
    verify(() => this.#durable.isWhole(), 'what was loaded is what the rows say')
    this.#gathering = this.#newGathering()
    this.#ring = new FeedRing(loaded.version.revision, (after, limit) =>
      persistence.history(after, limit),
    )
    this.scopes.reset(loaded.compacted)
    for (const [name, at] of this.#knownScopes()) this.scopes.touch(name, at)
    this.#leases = new LeaseTable(this, options.tables, options.clock)
    this.#leases.arm()
  }

  /**
   * What a disk holds, with what a view knew to be cleared when it was asked: afterwards a sweep
   * may have forgotten that.
   */
  #coldSource(disk: Pick<ColdDisk, 'read'>, view: () => Version): ColdSource {
    return {
      knowsSizes: true,
      read: async (table, range) => {
        const clears = clearsIn(view(), table)
        return { rows: await disk.read(range), clears }
      },
    }
  }

  async #proveCold(breathe: Breathe): Promise<number> {
    const frozen = await this.#still(() => this.#persistence.cold.freeze())
    try {
      return await frozen.prove(breathe)
    } finally {
      await frozen.release()
    }
  }

  /** Does something between two batches. What has stopped holds still by itself. */
  #still<T>(work: () => T): Promise<T> {
    return this.#fault === undefined
      ? this.#exclusively(() => Promise.resolve(work()))
      : Promise.resolve(work())
  }

  freeze(): Promise<Frozen> {
    return this.#still(() => {
      const view = this.#durable
      const frozen = this.#persistence.cold.freeze()
      return frozenOver({
        view,
        generation: this.#loaded.generation,
        source: this.#coldSource(frozen, () => view),
        indexOf: at => this.indexOf(at),
        release: () => frozen.release(),
      })
    })
  }

  get supports(): Supports {
    return this.#persistence.supports
  }

  /** What rows tell of their scopes, and what the log tells of rows that went. */
  *#knownScopes(): Iterable<readonly [string, Revision]> {
    for (const table of this.#tables) {
      for (const { key, row, modRevision } of this.#durable.entries(table)) {
        for (const name of table.scopes(row, key, this.#durable)) yield [name, modRevision]
      }
    }
    yield* this.#loaded.touched
  }

  #newGathering(): Gathering {
    return {
      changes: [],
      writes: [],
      touched: new Map(),
      records: [],
      trim: undefined,
      revision: this.#head.revision,
      rows: this.#head.rows,
      sizeBytes: 0,
      settling: [],
      recorded: undefined,
    }
  }

  write<A>(decide: Decide<A>, record?: JournalEntry): Promise<Written<A> | Refusal> {
    return this.#admitted((resolve, reject) => this.#attempt(decide, record, resolve, reject))
  }

  /** Makes an attempt in the order of the calls, once there is room for it. */
  #admitted<T>(
    attempt: (resolve: (result: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refuseWrites()
      if (refusal !== undefined) {
        reject(refusal)
        return
      }
      if (this.#holds > 0 || this.#isFull()) {
        this.#waiting.push({ attempt: () => attempt(resolve, reject), reject })
      } else attempt(resolve, reject)
    })
  }

  readonly journal: Journal = {
    append: body => this.#append(body),
    head: () => this.#book.head,
    floor: () => this.#book.floor,
    sizeBytes: () => this.#book.sizeBytes,
    read: (from, limit) => this.#readJournal(from, limit),
    excess: (sizeBytes, fromMs) => this.#book.excess(sizeBytes, fromMs),
    trim: (below, record) =>
      this.#admitted((resolve, reject) => this.#trim(below, record, { resolve, reject })),
    onAppend: told => {
      this.#followers.add(told)
      return () => void this.#followers.delete(told)
    },
    fault: () => this.#fault?.message ?? '',
  }

  /** All that a batch takes at once share its promise. */
  #append(body: JournalBody): Promise<void> {
    const mustWait = this.#holds > 0 || this.#isFull() || this.#refuseWrites() !== undefined
    if (mustWait) {
      return this.#admitted((resolve, reject) => {
        this.#record(body)
        this.#settleWithBatch(resolve, reject)
      })
    }
    this.#record(body)
    this.#gathering.recorded ??= new Promise((resolve, reject) =>
      this.#settleWithBatch(resolve, reject),
    )
    return this.#gathering.recorded
  }

  /** Puts a record into the batch that gathers. */
  #record(body: JournalBody): void {
    const record = this.#book.seal(body, wallMs(this.#clock.wall()))
    this.#gathering.records.push(record)
    this.#gathering.sizeBytes += record.textSizeBytes
  }

  #settleWithBatch(resolve: () => void, reject: (error: unknown) => void): void {
    this.#gathering.settling.push({ resolve, reject })
    this.#schedule()
  }

  #trim(
    below: number,
    record: ((floor: JournalMark) => JournalBody) | undefined,
    { resolve, reject }: Settling,
  ): void {
    const floor = this.#book.floorFor(below)
    if (floor === undefined || floor.sequence <= (this.#gathering.trim?.sequence ?? 0)) {
      resolve()
      return
    }
    this.#gathering.trim = floor
    if (record !== undefined) this.#record(record(floor))
    this.#settleWithBatch(resolve, reject)
  }

  async #readJournal(from: number, limit: number): Promise<readonly JournalRecord[]> {
    const first = Math.max(from, this.#book.floor.sequence + 1)
    const last = this.#book.head.sequence
    const count = Math.min(limit, limits.journalReadRecords, last - first + 1)
    if (count <= 0) return []
    const recent = this.#recent.read(first, count)
    if (recent !== undefined) return recent
    try {
      return await this.#persistence.records(first, count)
    } catch (error) {
      // Trimmed while they were read: the rest is there.
      if (this.#book.floor.sequence < first) throw error
      return await this.#readJournal(from, limit)
    }
  }

  /** Decides what waited, as far as the gathering batch has room. */
  #admit(): void {
    let taken = 0
    while (taken < this.#waiting.length && !this.#isFull()) this.#waiting[taken++]!.attempt()
    this.#waiting.splice(0, taken)
  }

  #isFull(): boolean {
    const { writes, records, sizeBytes } = this.#gathering
    const rows = Math.max(writes.length, records.length)
    return rows >= limits.batchRows || sizeBytes >= limits.batchSizeBytes
  }

  #refuseWrites(): OperatingError | undefined {
    if (this.#fault !== undefined) {
      const { code, message } = this.#fault
      return new OperatingError(code, message, 'none', this.#fault)
    }
    if (this.#closing !== undefined) {
      return new OperatingError(OperatingCode.closed, 'the store is closed')
    }
    if (this.#gathering.settling.length + this.#waiting.length >= limits.pendingWrites) {
      return new OperatingError(OperatingCode.busy, 'too many writes are waiting for the disk')
    }
    return undefined
  }

  #attempt<A>(
    decide: Decide<A>,
    record: JournalEntry | undefined,
    resolve: (result: Written<A> | Refusal) => void,
    reject: (error: unknown) => void,
  ): void {
    let outcome: ReturnType<Decide<A>>
    let prepared: Prepared[]
    let body: JournalBody | undefined
    try {
      // Decided once, in order: nobody else writes, so no seed has to be kept for another try, and
      // nothing has to be recorded; but what a shared store refuses is found in tests of any.
      const view = isVerifying ? new Recorder(this.#head) : this.#head
      outcome = decide(view, wallMs(this.#clock.wall()), this.#random)
      prepared = outcome instanceof Refusal ? [] : this.#prepare(outcome.txn)
      if (record !== undefined) body = record(this.#outcomeOf(outcome, prepared))
    } catch (error) {
      reject(error)
      return
    }
    try {
      if (prepared.length > 0) this.#applyToHead(prepared)
      if (body !== undefined) this.#record(body)
    } catch (error) {
      // A table's own functions threw half-way: head is not to be trusted any more.
      this.#stop(error, undefined)
      reject(this.#fault)
      return
    }
    const at = this.#head.revision
    const committed: Committed = { revision: at, index: this.indexOf(at) }
    const settling = settlingOf(outcome, committed, resolve, reject)
    // A refusal or a no-op stands on head: it is answered once all of head is durable, and what
    // was recorded of it.
    if (at === this.#durable.revision && body === undefined) settling.resolve()
    else this.#gathering.settling.push(settling)
    this.#schedule()
  }

  #outcomeOf(outcome: object | Refusal, prepared: readonly Prepared[]): WriteOutcome {
    const at = prepared[0]?.write.at ?? this.#head.revision
    return writeOutcome(
      outcome,
      at,
      prepared.map(({ write }) => write.fullKey),
    )
  }

  /** Encodes and checks everything before anything is applied: a transaction is whole. */
  #prepare(txn: readonly Op[]): Prepared[] {
    const at = revision(this.#head.revision + 1)
    const prepared: Prepared[] = []
    refuseCleared(this.#head, txn)
    for (const op of lastOfEach(txn)) {
      if (op.table.isCold) {
        prepared.push(this.#encodeCold(op, at))
        continue
      }
      const before = this.#head.get(op.table, op.key)
      if (op.row !== undefined || before !== undefined) prepared.push(this.#encode(op, before, at))
    }
    return prepared
  }

  /** Applies the operations as one revision. */
  #applyToHead(prepared: readonly Prepared[]): void {
    const { at } = prepared[0]!.write
    const events: Event[] = []
    for (const { op, cell, write } of prepared) {
      this.#gathering.writes.push(write)
      this.#gathering.sizeBytes += write.fullKey.length + (write.value?.length ?? 0)
      if (write.isCold === true) continue
      const key = cell?.key ?? op.key
      const before = this.#head.apply(op.table, key, cell, at)
      events.push({ table: op.table, key, before, after: cell })
    }
    this.#head.revision = at
    const { touched } = this.#gathering
    for (const event of events) {
      for (const name of scopesOf(event, this.#head)) touched.set(name, at)
    }
    this.#gathering.revision = at
    this.#gathering.rows = this.#head.rows
    this.#gathering.changes.push({ revision: at, events })
    this.#leases.follow(events)
  }

  /** A cold row is written whatever is there: nobody looks. */
  #encodeCold(op: Op, at: Revision): Prepared {
    const { table, key, row, lease } = op
    assert(lease === '', 'no cold row hangs on a lease')
    const fullKey = table.prefix + key
    if (row === undefined) {
      return { op, cell: undefined, write: { ...deletion(fullKey, at), isCold: true } }
    }
    const value = seal(table.codec.encode(row), NO_KEPT_INDEXES)
    checkSize(fullKey, value)
    const sum = rowSum(fullKey, value)
    const header = { createRevision: at, version: 1, lease }
    return { op, cell: undefined, write: { at, fullKey, value, ...header, sum, isCold: true } }
  }

  #encode(op: Op, before: Cell<unknown> | undefined, at: Revision): Prepared {
    const fullKey = op.table.prefix + op.key
    if (op.row === undefined) return { op, cell: undefined, write: deletion(fullKey, at) }
    const roomSizeBytes = ROOM_SIZE_BYTES + op.lease.length
    const roomy = sealBehind(roomSizeBytes, op.table, op.row, keptBy(before, this.indexOffset))
    const value = roomy.subarray(roomSizeBytes)
    checkSize(fullKey, value)
    if (op.lease !== '' && this.#head.get(leases, op.lease) === undefined) {
      throw new OperatingError(OperatingCode.lease, 'requested lease not found')
    }
    const createRevision = before?.createRevision ?? at
    const version = (before?.version ?? 0) + 1
    const sum = rowSum(fullKey, value)
    const cell: Cell<unknown> = {
      // The very text that the trees have: the other one need not be kept.
      key: before?.key ?? op.key,
      row: op.table.intern(op.row, before?.row),
      createRevision,
      modRevision: at,
      version,
      lease: op.lease,
      createIndex: before?.createIndex ?? this.indexOf(at),
      modifyIndex: this.indexOf(at),
      sum,
    }
    return {
      op,
      cell,
      write: { at, fullKey, value, roomy, createRevision, version, lease: op.lease, sum },
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#persisting || this.#gathering.settling.length === 0) return
    this.#scheduled = true
    // All requests that this turn of the loop read share the batch.
    afterPoll(() => {
      this.#scheduled = false
      void this.#turn()
    })
  }

  async #turn(): Promise<void> {
    while (this.#gathering.settling.length > 0 && this.#fault === undefined) {
      const batch = this.#gathering
      const version = this.#head.cut(this.#durable)
      this.#gathering = this.#newGathering()
      this.#persisting = true
      if (this.#holds === 0) this.#admit()
      try {
        if (needsDisk(batch)) await this.#persist(batch)
      } catch (error) {
        this.#stop(error, batch)
        break
      } finally {
        this.#persisting = false
      }
      this.#publish(batch, version)
    }
    this.#idle?.()
  }

  async #persist(batch: Gathering): Promise<void> {
    const beganMs = this.#clock.monotonic()
    await this.#persistence.persist(batch)
    this.#onCommit?.(batch.changes.length, this.#clock.monotonic() - beganMs)
  }

  #publish(batch: Gathering, version: Version): void {
    verify(() => version.isWhole(), 'sum, number and indexes of rows are what the rows say')
    this.#durable = version
    this.#publishJournal(batch)
    for (const change of batch.changes) this.#ring.push(change)
    // Not by its iterator, which would make two objects for each of them.
    batch.touched.forEach((at, name) => {
      this.scopes.touch(name, at)
    })
    for (const { events } of batch.changes) {
      for (const { table, key } of events) this.scopes.touchKey(table.name, key)
    }
    for (const settling of batch.settling) settling.resolve()
  }

  #publishJournal({ records, trim }: Batch): void {
    this.#book.note(records)
    this.#recent.push(records)
    if (trim !== undefined) this.#book.trimmed(trim)
    if (records.length === 0) return
    for (const told of this.#followers) told()
  }

  /**
   * Nothing goes on from a state that nobody knows. `batch` is the one that may or may not be on
   * disk; what was gathered after it is not.
   */
  #stop(error: unknown, batch: Gathering | undefined): void {
    this.#fault = new OperatingError(
      error instanceof OperatingError ? error.code : OperatingCode.stopped,
      `the store stopped: ${messageOf(error)}; reads go on, restart to write again`,
      'unknown',
      error,
    )
    for (const settling of batch?.settling ?? []) settling.reject(this.#fault)
    const never = new OperatingError(this.#fault.code, this.#fault.message, 'none', error)
    for (const settling of this.#gathering.settling) settling.reject(never)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(never)
    this.#head = this.#durable.cut(undefined)
    this.#gathering = this.#newGathering()
  }

  view(): Version {
    return this.#durable
  }

  readIndex(): Promise<Revision> {
    return Promise.resolve(this.#durable.revision)
  }

  get indexOffset(): number {
    return this.#loaded.indexOffset
  }

  indexOf(at: Revision): PublicIndex {
    return publicIndex(Math.max(1, at + this.#loaded.indexOffset))
  }

  revisionOf(index: number): number {
    return index - this.#loaded.indexOffset
  }

  feed(after: Revision): Cursor {
    return this.#ring.open(after, this.#compacted)
  }

  /** What was compacted by hand, or by the engine to keep its log small. */
  get #compacted(): Revision {
    return revision(Math.max(this.#loaded.compacted, this.#persistence.compacted))
  }

  compact(upTo: Revision): Promise<void> {
    return this.#exclusively(async () => {
      const compacted = revision(Math.max(this.#compacted, Math.min(upTo, this.#head.revision)))
      await this.#persistence.compact(compacted)
      this.#ring.forget(compacted)
      this.#loaded = { ...this.#loaded, compacted }
    })
  }

  /** Runs work that must not meet a batch: settles those under way, holds later writes back. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const refusal = this.#refuseWrites()
    if (refusal !== undefined) return Promise.reject(refusal)
    this.#holds++
    const run = this.#exclusive.then(async () => {
      try {
        await this.#quiesce()
        if (this.#fault !== undefined) throw this.#refuseWrites()
        return await work()
      } catch (error) {
        const isUnknown = error instanceof OperatingError && error.outcome === 'unknown'
        if (isUnknown) this.#stop(error, undefined)
        throw error
      } finally {
        this.#holds--
        if (this.#holds === 0) this.#admit()
        this.#schedule()
      }
    })
    this.#exclusive = run.catch(() => {})
    return run
  }

  grant(ttlMs: number): Promise<Lease> {
    return this.#leases.grant(ttlMs, this.#random.uuid())
  }

  keepAlive(lease: string): Promise<boolean> {
    return Promise.resolve(this.#leases.keepAlive(lease))
  }

  revoke(lease: string): Promise<void> {
    return this.#leases.revoke(lease)
  }

  restore(content: RestoreContent): Promise<Committed> {
    return this.#exclusively(async () => {
      this.#loaded = await this.#persistence.restore(content, this.#head.revision)
      this.#head = this.#loaded.version
      this.#durable = this.#head.cut(undefined)
      this.#gathering = this.#newGathering()
      this.#ring.restart(this.#head.revision)
      this.#leases.arm()
      this.scopes.reset(this.#loaded.compacted)
      // Until all are shown, a scope answers with the floor, which is the revision of all rows.
      await inSlices(this.#loaded.touched, ([name, at]) => this.scopes.touch(name, at))
      return { revision: this.#head.revision, index: this.indexOf(this.#head.revision) }
    })
  }

  status(): StoreStatus {
    return {
      engine: this.#persistence.engine,
      clusterId: this.#loaded.clusterId,
      generation: this.#loaded.generation,
      revision: this.#durable.revision,
      sum: this.#durable.sum,
      rows: this.#durable.rows,
      compacted: this.#compacted,
      fault: this.#fault?.message ?? '',
    }
  }

  /** The tables of this store, for the archive. */
  get tables(): readonly AnyTable[] {
    return this.#tables
  }

  async #quiesce(): Promise<void> {
    while (this.#persisting || this.#scheduled || this.#gathering.settling.length > 0) {
      await new Promise<void>(resolve => {
        this.#idle = resolve
      })
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#leases.stop()
      await this.#exclusive
      await this.#quiesce()
      this.#ring.close()
      await this.#persistence.close()
    })()
    return this.#closing
  }
}

/** Answers with what a rule came to. Holds nothing of its transaction: that need not wait along. */
function settlingOf<A>(
  outcome: Decision<A> | Refusal,
  { revision: at, index }: Committed,
  resolve: (result: Written<A> | Refusal) => void,
  reject: (error: unknown) => void,
): Settling {
  if (outcome instanceof Refusal) return { resolve: () => resolve(outcome), reject }
  const { answer } = outcome
  const settle = (): void => {
    try {
      resolve({ revision: at, index, answer: answerOf(answer, { revision: at, index }) })
    } catch (error) {
      reject(error)
    }
  }
  return { resolve: settle, reject }
}

/** The newest records: whoever follows the journal closely reads no disk. */
class RecentRecords {
  #records: JournalRecord[] = []

  push(records: readonly JournalRecord[]): void {
    if (records.length === 0) return
    this.#records.push(...records)
    if (this.#records.length < 2 * limits.journalRecentRecords) return
    this.#records = this.#records.slice(-limits.journalRecentRecords)
  }

  /** Records from a number on; undefined where that one is no longer among them. */
  read(from: number, count: number): JournalRecord[] | undefined {
    const at = from - (this.#records[0]?.sequence ?? Number.POSITIVE_INFINITY)
    return at < 0 ? undefined : this.#records.slice(at, at + count)
  }
}

const deletion = (fullKey: Bytes, at: Revision): RowWrite => ({
  ...{ at, fullKey, value: undefined, createRevision: at, version: 0, lease: '', sum: 0 },
})

const needsDisk = ({ writes, records, trim }: Batch): boolean =>
  writes.length > 0 || records.length > 0 || trim !== undefined

/** What a rule came to: the revision that it wrote or stood on, and the keys that it wrote. */
export function writeOutcome(
  outcome: object | Refusal,
  at: Revision,
  keys: readonly Bytes[],
): WriteOutcome {
  if (outcome instanceof Refusal) {
    return { kind: 'refused', status: outcome.status, text: outcome.text }
  }
  if (keys.length === 0) return { kind: 'unchanged', revision: at }
  return { kind: 'written', revision: at, keys }
}

/** The last operation on each key; the order of first mention is kept. */
export function lastOfEach(txn: readonly Op[]): readonly Op[] {
  if (txn.length > limits.transactionOps) {
    throw new OperatingError(
      OperatingCode.limit,
      `transaction of ${txn.length} operations is too large, max: ${limits.transactionOps}`,
    )
  }
  if (isEachKeyOnce(txn)) return txn
  const byKey = new Map<string, Op>()
  for (const op of txn) byKey.set(`${op.table.name}\n${op.key}`, op)
  return [...byKey.values()]
}

/** Small transactions nearly always write each key once, and telling so needs no strings. */
function isEachKeyOnce(txn: readonly Op[]): boolean {
  if (txn.length > 8) return false
  for (let i = 1; i < txn.length; i++) {
    const { table, key } = txn[i]!
    for (let j = 0; j < i; j++) if (txn[j]!.key === key && txn[j]!.table === table) return false
  }
  return true
}

/** A restored row keeps the CreateIndex that clients know when it is written again. */
export function keptBy(before: Cell<unknown> | undefined, offset: number): KeptIndexes {
  if (before === undefined || before.createIndex === before.createRevision + offset) {
    return NO_KEPT_INDEXES
  }
  return { createIndex: before.createIndex, modifyIndex: 0 }
}

/** Throws OperatingError `limit` for a row that no engine takes. */
export function checkSize(fullKey: Bytes, value: Buffer): void {
  if (fullKey.length > limits.keySizeBytes) {
    throw new OperatingError(
      OperatingCode.limit,
      `key of ${fullKey.length} bytes is too large, max size: ${limits.keySizeBytes} bytes`,
    )
  }
  if (fullKey.length + value.length > limits.rowSizeBytes) {
    throw new OperatingError(
      OperatingCode.limit,
      `row of ${value.length} bytes is too large, max size: ${limits.rowSizeBytes} bytes`,
    )
  }
}

/** The answer of a decision that was committed. */
export function answerOf<A>(answer: A | ((at: Committed) => A), at: Committed): A {
  return typeof answer === 'function' ? (answer as (at: Committed) => A)(at) : answer
}

/** The scopes that an event touches: those of the row before and of the row after, each once. */
export function scopesOf(
  { table, key, before, after }: Event,
  reader: ScopeReader,
): readonly string[] {
  const is = after === undefined ? [] : table.scopes(after.row, key, reader)
  const isUpdate = before !== undefined && after !== undefined
  if (isUpdate && isSameIn(table.scopeFields, before.row, after.row)) {
    verify(
      () => same(table.scopes(before.row, key, reader), is),
      `the scopes of table ${table.name} follow from its fields`,
    )
    return is
  }
  const was = before === undefined ? [] : table.scopes(before.row, key, reader)
  if (is.length <= FEW && was.length <= FEW) {
    const gone = was.filter(name => !is.includes(name))
    return gone.length === 0 ? is : [...is, ...gone]
  }
  return [...new Set([...is, ...was])]
}

/** Up to here looking through a list is cheaper than making a set of it. */
const FEW = 8
