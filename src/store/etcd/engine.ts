/**
 * The etcd engine: many servers on one store, ordered by etcd.
 *
 * Owns writes: a rule is decided on the newest view, what it read becomes the compares of one
 * transaction, and it is decided again when another writer came first. A write that touches what
 * another one of this server touches waits until that is answered; all others go at the same time
 * (committer.ts). A result that writes nothing is confirmed by a linearizable read. Nothing is
 * answered before etcd has it for sure and this server's own view shows it. Audit records do not
 * go to etcd: each server has its own journal on its own disk, and what is settled is answered
 * once its record is there.
 */
import { assert } from '../../base/assert.ts'
import {
  type MonotonicMs,
  monotonicMs,
  type PublicIndex,
  publicIndex,
  type Revision,
  revision,
  type WallMs,
  wallMs,
} from '../../base/brand.ts'
import type { Bytes } from '../../base/bytes.ts'
import type { Clock, Random } from '../../base/clock.ts'
import {
  messageOf,
  OperatingCode,
  OperatingError,
  type Outcome,
  Refusal,
} from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { seededRandom, seedFrom } from '../../base/prng.ts'
import { ColdReader, type Frozen, frozenOver, refuseCleared } from '../cold.ts'
import type { Journal, JournalEntry } from '../journal.ts'
import {
  answerOf,
  type LocalOptions,
  lastOfEach,
  withSystemTables,
  writeOutcome,
} from '../local.ts'
import { openMemoryStore } from '../memory/engine.ts'
import { Recorder } from '../recorder.ts'
import type {
  Committed,
  Cursor,
  Decide,
  Lease,
  Op,
  RestoreContent,
  Store,
  StoreStatus,
  Supports,
  Written,
} from '../store.ts'
import { TableSet } from '../tables.ts'
import type { Version } from '../view.ts'
import type { Scopes } from '../wait.ts'
import { type CheckpointFolder, openCheckpoint } from './checkpoint.ts'
import {
  connectEtcd,
  type Etcd,
  type EtcdAccess,
  isCompacted,
  isLeaseGone,
  toStoreError,
} from './client.ts'
import { coldAt, EtcdCold } from './cold.ts'
import { Committer, type Settled } from './committer.ts'
import { type Draft, draft, putOp, unmoved } from './draft.ts'
import { Follower } from './follower.ts'
import {
  encodeGeneration,
  ensureGeneration,
  type Generation,
  readGeneration,
} from './generation.ts'
import { type Holder, Holds } from './holds.ts'
import { Keyspace } from './keys.ts'
import { readPoint } from './lane.ts'
import { load } from './load.ts'
import { SharedRead } from './patience.ts'
import { cameFirst, drop, dropOthers, fill, type Place, unchanged } from './restore.ts'
import { Space } from './space.ts'

export interface EtcdOptions extends LocalOptions {
  /** `http://host:port` or `https://host:port` of the members. */
  readonly endpoints: readonly string[]
  /** How etcd lets us in, where it asks. */
  readonly access?: EtcdAccess
  /** What all our keys in etcd begin with, so that others can use the same etcd. */
  readonly prefix: string
  /** This server's name: no two that run may have the same. */
  readonly serverId: string
  /** Where this server keeps what it knew last, so that a start reads only what changed. */
  readonly checkpointFolder?: string | CheckpointFolder
  /** What etcd may hold, where it does not say so itself (before 3.6); unknown unless given. */
  readonly quotaSizeBytes?: number
  /** This server's own store, whose journal is ours; closed with us. In memory unless given. */
  readonly own?: Store
  /** Connects; tests wrap it to add faults. */
  readonly connect?: (endpoints: readonly string[], access: EtcdAccess) => Promise<Etcd>
}

type Opened = EtcdOptions & { readonly warnings: readonly string[] }

/** Opens (creates) a store in etcd. Throws OperatingError `unavailable` or `damaged`. */
export async function openEtcdStore(options: EtcdOptions): Promise<EtcdStore> {
  assert(options.serverId !== '', 'a server has a name')
  const etcd = await (options.connect ?? connectEtcd)(options.endpoints, options.access ?? {})
  const tables = new TableSet(options.tables)
  const keys = new Keyspace(options.prefix, options.tables)
  try {
    await ensureGeneration(etcd, keys, options.random)
    const place = { etcd, keys, tables, clock: options.clock }
    const { follower, warnings } = await openFollower(place, options)
    return new EtcdStore(place, follower, { ...options, warnings: [...etcd.warnings, ...warnings] })
  } catch (error) {
    etcd.close()
    const isDamage = error instanceof OperatingError && error.code === OperatingCode.damaged
    if (!isDamage) throw toStoreError(error)
    const text =
      `the store under ${options.prefix} in etcd is damaged: ${error.message}. ` +
      'Nothing was changed. Restore a snapshot under another prefix'
    throw new OperatingError(error.code, text, 'none', error)
  }
}

/** Follows from the checkpoint where there is a good one, else from all that etcd has. */
async function openFollower(
  place: Place,
  { checkpointFolder: folder, prefix }: EtcdOptions,
): Promise<{ follower: Follower; warnings: readonly string[] }> {
  const { etcd, keys, tables, clock } = place
  const checkpoint =
    folder === undefined ? undefined : await openCheckpoint({ folder, tables, clock, prefix })
  try {
    const { generation } = await readGeneration(etcd, keys)
    const found = await checkpoint?.read(etcd, generation)
    if (checkpoint !== undefined && found !== undefined && 'loaded' in found) {
      const follower = new Follower(place, found.loaded, { checkpoint, isCurrent: true })
      await untilNow(place, follower)
      return { follower, warnings: [] }
    }
    const loaded = await load(etcd, keys, tables)
    const kept = checkpoint && { checkpoint, isCurrent: false }
    const reason = found !== undefined && 'reason' in found ? found.reason : ''
    const warnings = reason === '' ? [] : [`the local checkpoint was discarded: ${reason}`]
    return { follower: new Follower(place, loaded, kept), warnings }
  } catch (error) {
    await checkpoint?.close()
    throw error
  }
}

/** Waits until the follower shows what etcd has now: what changed since the checkpoint. */
async function untilNow(place: Place, follower: Follower): Promise<void> {
  try {
    const untilMs = monotonicMs(place.clock.monotonic() + limits.etcdRequestTimeoutMs)
    const { at } = await readPoint(place, untilMs)
    await follower.reached(at, limits.etcdStartTimeoutMs)
  } catch (error) {
    await follower.close()
    throw error
  }
}

/** A write on its way. */
interface Pending extends Holder {
  readonly decide: Decide<unknown>
  readonly record: JournalEntry | undefined
  readonly now: WallMs
  readonly seed: Buffer
  readonly untilMs: MonotonicMs
  tries: number
  /** Writes that touch the same rows and came later. */
  waiting: Pending[]
  resolve(result: Written<unknown> | Refusal): void
  reject(error: unknown): void
}

type Decided = ReturnType<Decide<unknown>>

export class EtcdStore implements Store {
  readonly supports: Supports = {
    durable: true,
    shared: true,
    transactionOps: limits.transactionOps,
  }
  readonly #place: Place
  readonly #follower: Follower
  readonly #committer: Committer
  readonly #clock: Clock
  readonly #random: Random
  readonly #point: SharedRead<number, Revision>
  readonly #own: Store
  readonly #space: Space
  readonly cold: ColdReader
  readonly #holds = new Holds<Pending>()
  #sequence = 0
  /** Writes that need to wait no longer. */
  #ready: Pending[] = []
  #isDraining = false
  /** The wait that the writes of one transaction of etcd's share. */
  #showing: { readonly at: number; readonly shown: Promise<void> } | undefined
  /** Writes that are not answered yet. */
  #pending = 0
  #idle: (() => void) | undefined
  #closing: Promise<void> | undefined

  /** What an operator should know about this etcd. */
  readonly warnings: readonly string[]

  constructor(place: Place, follower: Follower, options: Opened) {
    this.warnings = options.warnings
    const { serverId, clock, random } = options
    this.#place = place
    this.#own = options.own ?? openMemoryStore({ ...options, tables: withSystemTables([]) })
    this.#follower = follower
    this.#clock = clock
    this.#random = random
    const { etcd, keys } = place
    const accord = { accord: follower.accord, stop: (error: unknown) => follower.stop(error) }
    const lanes = { etcd, keys, serverId, clock, random, ...accord }
    this.#committer = new Committer(lanes, options.onCommit)
    const cold = new EtcdCold(place, follower)
    this.cold = new ColdReader(cold, breathe => cold.prove(breathe))
    this.#space = new Space(etcd, clock, options.quotaSizeBytes ?? 0)
    this.#space.start()
    this.#point = new SharedRead(
      () => this.#readPoint(),
      at => this.#confirmed(at),
    )
  }

  get scopes(): Scopes {
    return this.#follower.scopes
  }

  get journal(): Journal {
    return this.#own.journal
  }

  write<A>(decide: Decide<A>, record?: JournalEntry): Promise<Written<A> | Refusal> {
    const refusal = this.#refuseWrites() ?? (record && this.#refuseUnaudited())
    if (refusal !== undefined) return Promise.reject(refusal)
    this.#pending++
    return new Promise<Written<A> | Refusal>((resolve, reject) => {
      const pending: Pending = {
        decide,
        record,
        now: wallMs(this.#clock.wall()),
        seed: seedFrom(this.#random),
        untilMs: monotonicMs(this.#clock.monotonic() + limits.etcdAnswerTimeoutMs),
        tries: 0,
        sequence: this.#sequence++,
        isUnderWay: false,
        waiting: [],
        resolve: result => {
          this.#answered()
          resolve(result as Written<A> | Refusal)
        },
        reject: error => {
          this.#answered()
          reject(error)
        },
      }
      this.#attempt(pending)
    })
  }

  /** One write less is on its way: each is answered once. */
  #answered(): void {
    this.#pending--
    if (this.#pending === 0) this.#idle?.()
  }

  #refuseWrites(): OperatingError | undefined {
    const { fault } = this.#follower
    if (fault !== undefined) return this.#stopped(fault)
    if (this.#closing !== undefined) {
      return new OperatingError(OperatingCode.closed, 'the store is closed')
    }
    if (this.#pending >= limits.pendingWrites) {
      return new OperatingError(OperatingCode.busy, 'too many writes are waiting for etcd')
    }
    return undefined
  }

  /** What must be recorded is not begun where it could not be. */
  #refuseUnaudited(): OperatingError | undefined {
    const fault = this.journal.fault()
    return fault === '' ? undefined : unaudited(fault, 'none')
  }

  /** The follower's fault, for a write that was not sent. */
  #stopped(fault: OperatingError): OperatingError {
    return new OperatingError(fault.code, fault.message, 'none', fault)
  }

  /** Decides one write, and sends or confirms what came out; or lets it wait for another one. */
  #attempt(write: Pending): void {
    try {
      this.#leftMs(write)
      const view = this.view()
      const record = new Recorder(view)
      const outcome = write.decide(record, write.now, seededRandom(write.seed))
      const txn = outcome instanceof Refusal ? [] : outcome.txn
      refuseCleared(view, txn)
      const drafted = draft(record, txn, this.#place.keys, this.#follower.generation)
      this.#holds.hold(write, drafted.footprint)
      const before = this.#holds.before(write)
      if (before !== undefined) {
        before.waiting.push(write)
        return
      }
      const refusal = drafted.rows.length > 0 ? this.#space.refusal(drafted.need) : undefined
      if (refusal !== undefined) throw refusal
      write.isUnderWay = true
      if (drafted.rows.length === 0) void this.#confirm(write, record, outcome)
      else this.#submit(write, record, outcome, drafted)
    } catch (error) {
      this.#failed(write, error)
    }
  }

  #submit(write: Pending, record: Recorder, outcome: Decided, drafted: Draft): void {
    this.#committer.submit({
      draft: drafted,
      untilMs: write.untilMs,
      settle: sent => {
        if (sent.applied) this.#applied(write, outcome, sent.at)
        else void this.#lost(write, record, sent)
      },
      fail: error => this.#failed(write, error),
    })
  }

  #failed(write: Pending, error: unknown): void {
    this.#over(write)
    write.reject(error)
  }

  /** Answers a transaction that was applied, once this server's own view shows it. */
  #applied(write: Pending, outcome: Decided, at: number): void {
    const show = (): void => {
      this.#over(write)
      this.#answer(write, outcome, revision(at), true)
    }
    if (this.view().revision >= at) show()
    else this.#shown(at, this.#remainingMs(write)).then(show, error => this.#failed(write, error))
  }

  /** Decides anew what lost, once this server sees who came first. */
  async #lost(write: Pending, record: Recorder, { at, isSeenAt }: Settled): Promise<void> {
    try {
      countTry(write)
      const leftMs = this.#remainingMs(write)
      if (isSeenAt) await this.#follower.reached(at, leftMs)
      else await this.#movedOn(record, at, leftMs)
    } catch (error) {
      this.#failed(write, error)
      return
    }
    this.#again(write)
  }

  #remainingMs({ untilMs }: Pending): number {
    return Math.max(0, untilMs - this.#clock.monotonic())
  }

  /**
   * A write that lost is decided anew; of those that wait for it, it must wait for the ones that
   * were called before it, so these come first.
   */
  #again(write: Pending): void {
    write.isUnderWay = false
    const isEarlier = ({ sequence }: Pending): boolean => sequence < write.sequence
    const earlier = write.waiting.filter(isEarlier)
    write.waiting = write.waiting.filter(other => !isEarlier(other))
    this.#attemptAll([...earlier, write])
  }

  /** A write is over: those that waited for it are decided, in the order of their calls. */
  #over(write: Pending): void {
    this.#holds.release(write)
    this.#attemptAll(write.waiting)
    write.waiting = []
  }

  #attemptAll(writes: readonly Pending[]): void {
    this.#ready.push(...writes.toSorted((a, b) => a.sequence - b.sequence))
    if (this.#isDraining) return
    this.#isDraining = true
    // Not by recursion: each may be over at once, and have another one waiting for it.
    for (let at = 0; at < this.#ready.length; at++) this.#attempt(this.#ready[at]!)
    this.#ready = []
    this.#isDraining = false
  }

  /** Answers what writes nothing, once what it read is known to be the newest. */
  async #confirm(write: Pending, record: Recorder, outcome: Decided): Promise<void> {
    try {
      await this.readIndex()
      const view = this.view()
      if (record.holdsIn(view)) {
        this.#over(write)
        this.#answer(write, outcome, view.revision, false)
        return
      }
      countTry(write)
    } catch (error) {
      this.#failed(write, error)
      return
    }
    this.#again(write)
  }

  /** Answers what is settled; with a record, once that is durable. */
  #answer(write: Pending, outcome: Decided, at: Revision, isWritten: boolean): void {
    if (write.record !== undefined) {
      void this.#answerRecorded(write, write.record, { outcome, at, isWritten })
      return
    }
    try {
      this.#resolve(write, outcome, at)
    } catch (error) {
      write.reject(error)
    }
  }

  async #answerRecorded(
    write: Pending,
    record: JournalEntry,
    { outcome, at, isWritten }: { outcome: Decided; at: Revision; isWritten: boolean },
  ): Promise<void> {
    try {
      const keys = isWritten && !(outcome instanceof Refusal) ? keysOf(outcome.txn) : []
      const body = record(writeOutcome(outcome, at, keys))
      await this.journal.append(body).catch((error: unknown) => {
        throw unaudited(messageOf(error), isWritten ? 'done' : 'none', error)
      })
      this.#resolve(write, outcome, at)
    } catch (error) {
      write.reject(error)
    }
  }

  #resolve(write: Pending, outcome: Decided, at: Revision): void {
    const committed: Committed = { revision: at, index: this.indexOf(at) }
    if (outcome instanceof Refusal) write.resolve(outcome)
    else write.resolve({ ...committed, answer: answerOf(outcome.answer, committed) })
  }

  #leftMs({ untilMs }: Pending): number {
    if (this.#follower.fault !== undefined) throw this.#stopped(this.#follower.fault)
    const leftMs = untilMs - this.#clock.monotonic()
    if (leftMs > 0) return leftMs
    throw new OperatingError(OperatingCode.unavailable, 'etcd has not answered in time')
  }

  /** Resolves when the view shows what was committed: one promise for a whole transaction. */
  #shown(at: number, timeoutMs: number): Promise<void> {
    if (this.#showing?.at !== at) {
      const shown = this.#follower.reached(at, timeoutMs).catch((error: unknown) => {
        const text = 'the write was applied, but this server does not see it yet'
        throw new OperatingError(OperatingCode.unavailable, text, 'done', error)
      })
      this.#showing = { at, shown }
    }
    return this.#showing.shown
  }

  /** Waits until the view shows the writer who came first. */
  async #movedOn(record: Recorder, at: number, timeoutMs: number): Promise<void> {
    await this.#follower.reached(at, timeoutMs)
    if (this.view().revision > record.revision) return
    // It was no writer of ours but the end of a lease, which no head row tells of.
    await this.#follower.reached(record.revision + 1, limits.etcdRetryMaxMs).catch(() => {})
  }

  view(): Version {
    return this.#follower.view
  }

  freeze(): Promise<Frozen> {
    const { view, generation } = this.#follower
    const indexOf = (at: Revision): PublicIndex => indexIn(generation, at)
    const source = coldAt(this.#place, generation, view)
    const { number } = generation
    return Promise.resolve(frozenOver({ view, generation: number, source, indexOf }))
  }

  readIndex(): Promise<Revision> {
    return this.#point.get()
  }

  async #confirmed(at: number): Promise<Revision> {
    await this.#follower.reached(at, limits.etcdAnswerTimeoutMs)
    this.#witnessed(() => this.#follower.accord.shown(at))
    return revision(at)
  }

  async #readPoint(): Promise<number> {
    const { accord } = this.#follower
    const seen = this.view().revision
    const seenHead = accord.newestHead
    const untilMs = monotonicMs(this.#clock.monotonic() + limits.etcdRequestTimeoutMs)
    const { at, now } = await readPoint(this.#place, untilMs).catch((error: unknown) => {
      throw toStoreError(error)
    })
    this.#witnessed(() => {
      accord.etcdAt(now, seen)
      accord.pointRead(at, seenHead)
    })
    return at
  }

  /** Stops where etcd contradicts itself; what has stopped is not read as the newest either. */
  #witnessed(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#follower.stop(error)
    }
    if (this.#follower.fault !== undefined) throw this.#follower.fault
  }

  indexOf(at: Revision): PublicIndex {
    return indexIn(this.#follower.generation, at)
  }

  revisionOf(index: number): number {
    return index - this.#follower.generation.indexOffset
  }

  feed(after: Revision): Cursor {
    return this.#follower.feed(after)
  }

  async compact(upTo: Revision): Promise<void> {
    try {
      await this.#place.etcd.compact(upTo)
    } catch (error) {
      // Another server, or etcd itself, did it before.
      if (!isCompacted(error)) throw toStoreError(error)
    }
    this.#follower.forget(upTo)
  }

  async grant(ttlMs: number): Promise<Lease> {
    const wantedS = Math.ceil(Math.max(ttlMs, limits.leaseTtlMinMs) / 1_000)
    try {
      const { id, ttlS } = await this.#place.etcd.grant(wantedS)
      return { id, ttlMs: ttlS * 1_000 }
    } catch (error) {
      throw toStoreError(error, 'unknown')
    }
  }

  async keepAlive(lease: string): Promise<boolean> {
    try {
      return (await this.#place.etcd.keepAlive(lease)) > 0
    } catch (error) {
      throw toStoreError(error, 'unknown')
    }
  }

  async revoke(lease: string): Promise<void> {
    try {
      await this.#place.etcd.revoke(lease)
    } catch (error) {
      if (!isLeaseGone(error)) throw toStoreError(error, 'unknown')
    }
  }

  async restore(content: RestoreContent): Promise<Committed> {
    const refusal = this.#refuseWrites()
    if (refusal !== undefined) throw refusal
    const current = this.#follower.generation
    try {
      const number = await fill(this.#place, content, current)
      const at = await this.#flip(content, current, number)
      await this.#follower.reached(at, Number.POSITIVE_INFINITY)
      await dropOthers(this.#place, this.#follower.generation).catch(() => {
        // What is left over costs room, nothing else; the next restore deletes it.
      })
      return { revision: revision(at), index: this.indexOf(revision(at)) }
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** Makes a filled generation the store, in one transaction. Gives its revision. */
  async #flip(content: RestoreContent, current: Generation, number: number): Promise<number> {
    const { keys } = this.#place
    const indexOffset = Math.max(current.indexOffset, content.index - this.view().revision)
    const row = encodeGeneration({ number, clusterId: this.#random.uuid(), indexOffset })
    const untilMs = monotonicMs(this.#clock.monotonic() + limits.etcdAnswerTimeoutMs)
    const compare = [
      unmoved(Buffer.from(keys.generation, 'latin1'), current.revision),
      ...unchanged(this.#place, content, current),
    ]
    try {
      const success = [putOp(keys.generation, row)]
      const { applied, at } = await this.#committer.commit({ compare, success }, untilMs)
      if (!applied) throw cameFirst()
      return at
    } catch (error) {
      const isSettled = !(error instanceof OperatingError && error.outcome === 'unknown')
      if (isSettled) await drop(this.#place, number, current).catch(() => {})
      throw error
    }
  }

  status(): StoreStatus {
    const { view, generation, compacted, fault, trouble } = this.#follower
    return {
      engine: 'etcd',
      clusterId: generation.clusterId,
      generation: generation.number,
      revision: view.revision,
      sum: view.sum,
      rows: view.rows,
      compacted,
      fault: fault?.message ?? (trouble && `etcd cannot be heard: ${trouble}`),
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      if (this.#pending > 0) {
        await new Promise<void>(resolve => {
          this.#idle = resolve
        })
      }
      this.#space.stop()
      await this.#follower.close()
      this.#place.etcd.close()
      await this.#own.close()
    })()
    return this.#closing
  }
}

const indexIn = ({ indexOffset }: Generation, at: Revision): PublicIndex =>
  publicIndex(Math.max(1, at + indexOffset))

const keysOf = (txn: readonly Op[]): Bytes[] =>
  lastOfEach(txn).map(({ table, key }) => table.prefix + key)

function unaudited(reason: string, outcome: Outcome, cause?: unknown): OperatingError {
  const what = outcome === 'done' ? 'the write was applied, but its audit record was not kept' : ''
  const text = `${what || 'nothing that is audited can be done'}: ${reason}`
  return new OperatingError(OperatingCode.unaudited, text, outcome, cause)
}

function countTry(write: Pending): void {
  write.tries++
  if (write.tries < limits.decideTries) return
  const text = 'others wrote the same rows first, again and again; try again later'
  throw new OperatingError(OperatingCode.busy, text)
}
