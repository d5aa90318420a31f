/**
 * The follower: this server's view of etcd, fed by the watch alone.
 *
 * Owns the version, the feed's ring, the scopes and who waits for a revision. A revision is shown
 * as a whole. After a lost connection the watch goes on where it was; after a compaction or a
 * change of generation the store is read anew and what differs is applied. Never writes. When
 * etcd says what cannot be, it stops and keeps the last good view, with the reason as its fault.
 */
import { assert } from '../../base/assert.ts'
import { type Revision, revision } from '../../base/brand.ts'
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import { RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import { FeedRing } from '../feed.ts'
import { scopesOf } from '../local.ts'
import type { Change, Cursor, Event } from '../store.ts'
import type { AnyTable, Cell } from '../table.ts'
import type { TableSet } from '../tables.ts'
import type { Version } from '../view.ts'
import { Scopes } from '../wait.ts'
import { Accord, checkSuccession } from './accord.ts'
import { Assembler, type WholeRevision } from './assembler.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Etcd, WatchEvent, WatchResponse } from './client.ts'
import type { Generation } from './generation.ts'
import type { Keyspace } from './keys.ts'
import { cellOf, type Difference, differences, type Loaded, load } from './load.ts'
import { type Mark, markOf } from './mark.ts'
import type { Place } from './restore.ts'

/** A server's head row as the watch told it. */
interface Heard {
  readonly key: Bytes
  readonly event: WatchEvent
}

interface Waiting {
  readonly at: number
  readonly resolve: () => void
  readonly reject: (error: OperatingError) => void
}

export class Follower {
  readonly scopes = new Scopes()
  /** Holds what etcd says against what it said before. */
  readonly accord = new Accord()
  readonly #etcd: Etcd
  readonly #keys: Keyspace
  readonly #tables: TableSet
  readonly #clock: Clock
  readonly #ring: FeedRing
  #head: Version
  /** What is shown. */
  #shown: Loaded
  #compacted: Revision
  /** Where the watch goes on: everything before was applied. */
  #next: number
  readonly #waiting = new Set<Waiting>()
  #fault: OperatingError | undefined
  #trouble = ''
  #closed = false
  /** Ends the watch or the pause that is under way. */
  #end: (() => void) | undefined
  readonly #running: Promise<void>

  /** What is kept on disk, and the newest head row that goes with it. */
  readonly #checkpoint: Checkpoint | undefined
  #mark: Mark | undefined

  /**
   * Follows from what was loaded. With a checkpoint, `loaded` is what was read from it, or it is
   * begun anew with it.
   */
  constructor(
    { etcd, keys, tables, clock }: Place,
    loaded: Loaded,
    kept?: { readonly checkpoint: Checkpoint; readonly isCurrent: boolean },
  ) {
    const at = loaded.version.revision
    this.#etcd = etcd
    this.#keys = keys
    this.#tables = tables
    this.#clock = clock
    // There is no history behind the ring: who falls out of it starts again.
    this.#ring = new FeedRing(at, () => Promise.resolve(undefined))
    this.#head = loaded.version
    this.#shown = loaded
    this.#compacted = at
    this.#next = at + 1
    this.#checkpoint = kept?.checkpoint
    this.#running = this.#run(loaded, kept?.isCurrent ?? false)
  }

  /** The newest version. Holds still: a later change makes another one. */
  get view(): Version {
    return this.#shown.version
  }

  /** The generation that the view is of. */
  get generation(): Generation {
    return this.#shown.generation
  }

  get compacted(): Revision {
    return this.#compacted
  }

  get fault(): OperatingError | undefined {
    return this.#fault
  }

  /** Why the view may be old, '' when etcd is heard. */
  get trouble(): string {
    return this.#trouble
  }

  /** Opens the feed behind a revision. Throws OperatingError `compacted`. */
  feed(after: Revision): Cursor {
    return this.#ring.open(after, this.#compacted)
  }

  /** Forgets the feed's changes up to a revision. */
  forget(upTo: Revision): void {
    this.#ring.forget(upTo)
    if (upTo > this.#compacted) this.#compacted = upTo
  }

  /**
   * Resolves once the view shows a revision. Rejects with OperatingError `unavailable` after the
   * time given, at once when the follower has stopped.
   */
  reached(at: number, timeoutMs: number): Promise<void> {
    if (this.view.revision >= at) return Promise.resolve()
    const over = this.#fault ?? (this.#closed ? closed() : undefined)
    if (over !== undefined) return Promise.reject(over)
    return new Promise((resolve, reject) => {
      const settled = (settle: () => void) => () => {
        this.#waiting.delete(waiting)
        timer?.clear()
        settle()
      }
      const late = settled(() => reject(tooLate(at)))
      const timer = Number.isFinite(timeoutMs) ? this.#clock.after(timeoutMs, late) : undefined
      const waiting: Waiting = {
        at,
        resolve: settled(resolve),
        reject: error => settled(() => reject(error))(),
      }
      this.#waiting.add(waiting)
    })
  }

  /** Stops for good: etcd did what it must not do. */
  stop(error: unknown): void {
    if (this.#fault !== undefined) return
    const code = error instanceof OperatingError ? error.code : OperatingCode.stopped
    const text = `the store stopped: ${messageOf(error)}; reads go on from its last good state`
    this.#fault = new OperatingError(code, text, 'unknown', error)
    for (const waiting of [...this.#waiting]) waiting.reject(this.#fault)
    this.#end?.()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#ring.close()
    this.#end?.()
    for (const waiting of [...this.#waiting]) waiting.reject(closed())
    await this.#running
    await this.#checkpoint?.close()
  }

  async #run(loaded: Loaded, isKept: boolean): Promise<void> {
    try {
      await this.#replace(loaded, isKept)
    } catch (error) {
      this.stop(error)
    }
    let pauseMs: number = limits.etcdRetryMinMs
    while (!this.#closed && this.#fault === undefined) {
      try {
        const ended = await this.#watch()
        if (ended === 'outdated') await this.#reload()
        if (ended !== 'failed') pauseMs = limits.etcdRetryMinMs
      } catch (error) {
        // Unreachable etcd is waited for; anything else would not go away by itself.
        if (error instanceof RpcError) this.#trouble = error.message
        else this.stop(error)
      }
      await this.#pause(pauseMs)
      pauseMs = Math.min(limits.etcdRetryMaxMs, pauseMs * 2)
    }
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise(resolve => {
      const timer = this.#clock.after(delayMs, resolve)
      this.#end = () => {
        timer.clear()
        resolve()
      }
    })
  }

  /**
   * Follows one watch to its end. `cut`: it worked, and can be resumed; `outdated`: the store must
   * be read anew.
   */
  #watch(): Promise<'cut' | 'failed' | 'outdated'> {
    return new Promise((resolve, reject) => {
      const assembler = new Assembler(this.#next - 1)
      let how: 'cut' | 'failed' = 'failed'
      const onResponse = (response: WatchResponse): void => {
        try {
          const isOutdated = this.#take(response, assembler)
          how = 'cut'
          this.#trouble = ''
          if (!isOutdated) return
          watch.cancel()
          resolve('outdated')
        } catch (error) {
          watch.cancel()
          reject(error)
        }
      }
      const { from, to } = this.#keys.watched
      const watch = this.#etcd.watch(
        {
          key: from,
          rangeEnd: to,
          startRevision: this.#next,
          fragment: true,
          progressNotify: true,
        },
        {
          onResponse,
          onEnd: error => {
            this.#trouble = error?.message ?? 'the watch ended'
            resolve(how)
          },
        },
      )
      this.#end = () => {
        watch.cancel()
        resolve(how)
      }
    })
  }

  /** Takes one response in. True: the store must be read anew. */
  #take(response: WatchResponse, assembler: Assembler): boolean {
    const { canceled, compactRevision, cancelReason, created, events, header } = response
    if (canceled && !compactRevision.isZero()) return true
    if (canceled) throw new RpcError('UNAVAILABLE', cancelReason, true)
    if (events.length > 0) return this.#applyAll(assembler.push(response))
    // Nothing of ours happened up to here: a resumed watch need not ask for it again.
    if (!created) this.#next = Math.max(this.#next, header.revision.toNumber() + 1)
    return false
  }

  /** Applies revisions up to one that changes the generation. True: there was one. */
  #applyAll(revisions: readonly WholeRevision[]): boolean {
    const changes: Change[] = []
    const touched = new Map<string, Revision>()
    let flipped = false
    for (const { at, events } of revisions) {
      flipped = events.some(event => this.#isFlip(event))
      if (flipped) break
      const heads: Heard[] = []
      const applied = events.flatMap(event => this.#apply(event, at, heads))
      this.#head.revision = at
      this.#next = at + 1
      this.accord.note(this.#head)
      for (const { key, event } of heads) this.accord.heard(key, event)
      this.#touch(applied, at, touched)
      changes.push({ revision: at, events: applied })
    }
    this.#show(changes, touched)
    return flipped
  }

  /** Scopes are told by rows as they are right after the change. */
  #touch(events: readonly Event[], at: Revision, touched: Map<string, Revision>): void {
    for (const event of events) {
      for (const name of scopesOf(event, this.#head)) touched.set(name, at)
    }
  }

  #isFlip({ kv }: WatchEvent): boolean {
    return (
      kv.key.length === this.#keys.generation.length &&
      fromBuffer(kv.key) === this.#keys.generation &&
      kv.modRevision.toNumber() > this.generation.revision
    )
  }

  /**
   * Applies one event to head; none when it is not about a row of this generation. Head rows of
   * servers are added to `heads`.
   */
  #apply(event: WatchEvent, at: Revision, heads: Heard[]): Event[] {
    const { type, kv } = event
    const { generation } = this
    const key = fromBuffer(kv.key)
    if (this.#keys.isHead(key)) {
      this.#mark = markOf(kv)
      heads.push({ key, event })
    }
    const prefix = this.#keys.rowPrefix(generation.number)
    if (!key.startsWith(prefix) || key.startsWith(this.#keys.guardPrefix(generation.number))) {
      return []
    }
    const fullKey = key.slice(prefix.length)
    const table = this.#tables.of(fullKey)
    checkSuccession({ type, kv }, this.#head.get(table, fullKey.slice(table.prefix.length)))
    const after = type === 'PUT' ? cellOf(this.#tables, fullKey, kv, generation) : undefined
    return this.#applyRow(table, fullKey.slice(table.prefix.length), after, at)
  }

  #applyRow(table: AnyTable, key: string, after: Cell<unknown> | undefined, at: Revision): Event[] {
    const before = this.#head.apply(table, key, after, at)
    return before === undefined && after === undefined ? [] : [{ table, key, before, after }]
  }

  /** Shows head as it is now, and tells who follows or waits what changed. */
  #show(changes: readonly Change[], touched: ReadonlyMap<string, Revision>): void {
    if (changes.length === 0) return
    this.#shown = { ...this.#shown, version: this.#head.cut(this.view) }
    this.#checkpoint?.follow(changes, this.#mark)
    for (const change of changes) if (change.events.length > 0) this.#ring.push(change)
    for (const [name, at] of touched) this.scopes.touch(name, at)
    for (const { events } of changes) {
      for (const { table, key } of events) this.scopes.touchKey(table.name, key)
    }
    this.#wake()
  }

  #wake(): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.at <= this.view.revision) waiting.resolve()
    }
  }

  async #reload(): Promise<void> {
    const fresh = await load(this.#etcd, this.#keys, this.#tables, this.#shown)
    const at = fresh.version.revision
    if (this.#closed) return
    if (at < this.view.revision) {
      const text = `etcd is at revision ${at} and was at ${this.view.revision} before`
      throw new OperatingError(OperatingCode.damaged, text)
    }
    if (fresh.generation.number !== this.generation.number) await this.#replace(fresh)
    else {
      const { version } = fresh
      const changed: Difference[] = []
      await inSlices(differences(this.#tables, this.#head, version), one => changed.push(one))
      // One change is shown at once, so a large one would hold the loop.
      if (changed.length > limits.etcdCatchUpRows) await this.#replace(fresh)
      else await this.#catchUp(fresh, changed)
    }
    this.#next = at + 1
  }

  /** Applies what changed meanwhile as one change: how it came about is not known any more. */
  async #catchUp(
    { version, generation, mark }: Loaded,
    changed: readonly Difference[],
  ): Promise<void> {
    const at = version.revision
    this.#mark = mark
    const events: Event[] = []
    await inSlices(changed, ({ table, key, after }) => {
      events.push(...this.#applyRow(table, key, after, at))
    })
    assert(this.#head.sum === version.sum, 'what was applied makes the views equal')
    this.#head.setFloor(at)
    this.#head.revision = at
    this.accord.restart(generation.number, this.#head)
    this.#shown = { ...this.#shown, generation }
    const touched = new Map<string, Revision>()
    this.#touch(events, at, touched)
    // A row that came and went meanwhile leaves no trace, and its scope changed all the same.
    this.scopes.raise(at)
    this.#show([{ revision: at, events }], touched)
  }

  /**
   * Starts over from another content: at the start, after a restore, and where most of it changed
   * unseen.
   */
  async #replace({ version, generation, mark, etcdId }: Loaded, isKept = false): Promise<void> {
    const at = version.revision
    version.setFloor(at)
    this.accord.restart(generation.number, version)
    this.#head = version
    this.#shown = { version: version.cut(undefined), generation, mark, etcdId }
    this.#mark = mark
    if (!isKept) this.#checkpoint?.begin(this.#shown)
    this.#compacted = at
    this.#ring.restart(at)
    this.scopes.reset(at)
    this.#wake()
    await inSlices(rowsOf(this.#tables, this.view), ({ table, key, row }) => {
      for (const name of table.scopes(row, key, this.view)) this.scopes.touch(name, at)
    })
  }
}

function* rowsOf(
  tables: TableSet,
  version: Version,
): Generator<{ table: AnyTable; key: string; row: unknown }> {
  for (const table of tables.all) {
    for (const { key, row } of version.entries(table)) yield { table, key, row }
  }
}

const closed = (): OperatingError => new OperatingError(OperatingCode.closed, 'the store is closed')

function tooLate(at: number): OperatingError {
  const text = `this server has not heard from etcd up to revision ${revision(at)} in time`
  return new OperatingError(OperatingCode.unavailable, text)
}
