/**
 * The timekeeper: ends what is overdue, on the one server that holds the role.
 *
 * Owns the deadlines of the kinds that rooms register, in a timing wheel that is armed from the
 * view and follows the feed. Liveness deadlines count from when this holder heard of the row and
 * start over when the role moves; lifetimes are times of the wall clock that stand in the row. It
 * must never end anything early, nor a row that changed since it was armed, nor as a holder that
 * another has replaced: each rule runs fenced (role.ts). Other work of one server (a duty) runs
 * beside the deadlines.
 */
import { assert } from '../base/assert.ts'
import type { Revision, WallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { inSlices } from '../base/slices.ts'
import { Wheel, type WheelEntry } from '../base/wheel.ts'
import { Role, type RoleOptions, type RolePorts } from './role.ts'
import type { Cursor, Decide, Store } from './store.ts'
import type { Cell, Table } from './table.ts'

const TICK_MS = 100

/**
 * When a row is overdue: so long after it was last heard of (liveness: by being written or
 * renewed), or at a time of the wall clock (lifetime).
 */
export type Due = { readonly afterMs: number } | { readonly atWallMs: number }

/** A kind of deadline, as a room registers it. */
export interface DeadlineKind<R> {
  readonly name: string
  readonly table: Table<R>
  /** When the row is overdue; undefined for never. Asked again whenever the row is written. */
  due(cell: Cell<R>, now: { readonly wallMs: WallMs }): Due | undefined
  /**
   * The rule that ends it, run once the row is overdue and as it was. A refusal is tried again
   * later; a decision stands until the row is written again.
   */
  expire(key: Bytes): Decide<unknown>
}

/**
 * Work that goes on as long as this server holds the role: until the signal aborts. What it writes
 * goes through `fenced`, so that nothing is written once another server does the work.
 */
export type Duty = (
  signal: AbortSignal,
  fenced: <A>(decide: Decide<A>) => Decide<A>,
) => Promise<void>

/** What came of a renewal. */
const Renewal = {
  renewed: 'renewed',
  /** The row is not there, or about to go. */
  gone: 'gone',
  /** Another server keeps the time, or nobody. */
  elsewhere: 'elsewhere',
} as const
type Renewal = (typeof Renewal)[keyof typeof Renewal]

/** Who starts liveness over, wherever its time is kept. */
export interface Renewals {
  /**
   * False when the row is gone or about to go. Rejects with OperatingError `unavailable` when no
   * server could be found that keeps its time for `holdMs` (limits.renewalHoldMs unless given).
   */
  renew(kindName: string, key: Bytes, holdMs?: number): Promise<boolean>
}

/** Renewals where no other server can hold the role. */
export const ownRenewals = (timekeeper: Pick<Timekeeper, 'renewal'>): Renewals => ({
  async renew(kindName, key) {
    const came = timekeeper.renewal(kindName, key)
    if (came !== Renewal.elsewhere) return came === Renewal.renewed
    const text = 'this server does not keep the time of sessions now'
    throw new OperatingError(OperatingCode.unavailable, text)
  },
})

// biome-ignore lint/suspicious/noExplicitAny: a list of kinds of different rows
export type AnyDeadlineKind = DeadlineKind<any>

interface Armed {
  readonly kind: AnyDeadlineKind
  readonly key: Bytes
  readonly modRevision: Revision
  readonly due: Due
  entry: WheelEntry | undefined
  /** Overdue: its rule is about to run or under way. */
  ending: boolean
  /** How often its rule failed. */
  failures: number
}

export class Timekeeper {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Log
  readonly #role: Role
  readonly #kinds: readonly AnyDeadlineKind[]
  readonly #duties: readonly Duty[]
  readonly #armed = new Map<AnyDeadlineKind, Map<Bytes, Armed>>()
  #wheel: Wheel<Armed>
  /** What is overdue and not started yet, from `#next` on. */
  #queue: Armed[] = []
  #next = 0
  readonly #inFlight = new Set<Promise<void>>()
  #timer: Timer | undefined
  /** Time by the monotonic clock without the pauses of this process, and when it was read. */
  #heardMs = 0
  #readAtMs: number
  /** The wall clock's lead over `#heardMs` when the lifetimes were placed. */
  #wallLeadMs = 0

  constructor(
    ports: RolePorts,
    options: RoleOptions & {
      readonly kinds: readonly AnyDeadlineKind[]
      readonly duties?: readonly Duty[]
    },
  ) {
    this.#store = ports.store
    this.#clock = ports.clock
    this.#log = ports.log
    this.#role = new Role(ports, options)
    this.#kinds = options.kinds
    this.#duties = options.duties ?? []
    this.#readAtMs = ports.clock.monotonic()
    this.#wheel = new Wheel(TICK_MS, this.#heardMs)
    for (const kind of options.kinds) this.#armed.set(kind, new Map())
    const names = new Set(options.kinds.map(({ name }) => name))
    assert(names.size === options.kinds.length, 'a kind of deadline is registered once')
  }

  /** Begins to take the role; returns at once. */
  start(): void {
    this.#role.start(signal => this.#serve(signal))
  }

  /** Gives the role back; resolves once no rule is under way. */
  stop(): Promise<void> {
    return this.#role.stop()
  }

  /** Whether this server holds the role. */
  get holding(): boolean {
    return this.#role.holding
  }

  /** How many deadlines wait. */
  get waiting(): number {
    return this.#wheel.size
  }

  /**
   * Starts a row's liveness over. False when this server does not hold the role, or when the row
   * is gone or about to go: nothing was renewed then.
   */
  renew(kindName: string, key: Bytes): boolean {
    return this.renewal(kindName, key) === Renewal.renewed
  }

  /** The same, telling why not. An acknowledgement is given only while nobody else can hold. */
  renewal(kindName: string, key: Bytes): Renewal {
    const kind = this.#kinds.find(({ name }) => name === kindName)
    assert(kind !== undefined, 'only kinds that were registered are renewed')
    if (!this.#role.holding) return Renewal.elsewhere
    if (this.#store.view().get(kind.table, key) === undefined) return Renewal.gone
    const armed = this.#armed.get(kind)!.get(key)
    // A row that is not armed yet will be, and counts from then: later than from now.
    if (armed === undefined) return Renewal.renewed
    assert('afterMs' in armed.due, 'lifetimes are renewed by a write')
    if (armed.ending) return Renewal.gone
    this.#place(armed)
    return Renewal.renewed
  }

  /** Whether rows of a kind are known here: what came from another server may not be. */
  knows(kindName: string): boolean {
    return this.#kinds.some(({ name }) => name === kindName)
  }

  async #serve(signal: AbortSignal): Promise<void> {
    this.#tick()
    const over = new AbortController()
    const duties = this.#startDuties(AbortSignal.any([signal, over.signal]))
    try {
      for (;;) {
        const view = this.#store.view()
        const cursor = this.#store.feed(view.revision)
        await this.#armAll(view)
        if ((await this.#follow(cursor, signal)) !== 'resync') return
      }
    } finally {
      this.#timer?.clear()
      this.#disarmAll()
      over.abort()
      await Promise.all([...this.#inFlight, ...duties])
    }
  }

  #startDuties(signal: AbortSignal): Promise<void>[] {
    return this.#duties.map(duty =>
      duty(signal, decide => this.#role.fenced(decide)).catch((error: unknown) =>
        this.#log.warn('work of the role ended', { error: messageOf(error) }),
      ),
    )
  }

  #disarmAll(): void {
    for (const armed of this.#armed.values()) armed.clear()
    this.#wheel = new Wheel(TICK_MS, this.#heard())
    this.#queue = []
    this.#next = 0
  }

  async #armAll(view: ReturnType<Store['view']>): Promise<void> {
    this.#disarmAll()
    this.#wallLeadMs = this.#clock.wall() - this.#heardMs
    for (const kind of this.#kinds) {
      await inSlices(view.entries(kind.table), cell => this.#arm(kind, cell))
    }
  }

  /** Follows the feed until the signal aborts, or the feed says to read the view again. */
  async #follow(cursor: Cursor, signal: AbortSignal): Promise<'resync' | undefined> {
    for (;;) {
      const soon = cursor.next(signal)
      const change = soon instanceof Promise ? await soon : soon
      if (change === undefined || change === 'resync') return change
      for (const { table, key, after } of change.events) {
        for (const kind of this.#kinds) {
          if (kind.table.name !== table.name) continue
          this.#disarm(kind, key)
          if (after !== undefined) this.#arm(kind, after)
        }
      }
    }
  }

  #disarm(kind: AnyDeadlineKind, key: Bytes): void {
    const armed = this.#armed.get(kind)!
    armed.get(key)?.entry?.cancel()
    armed.delete(key)
  }

  #arm(kind: AnyDeadlineKind, cell: Cell<unknown>): void {
    const due = kind.due(cell, { wallMs: this.#clock.wall() })
    if (due === undefined) return
    const { key, modRevision } = cell
    const armed = { kind, key, modRevision, due, entry: undefined, ending: false, failures: 0 }
    this.#armed.get(kind)!.set(key, armed)
    this.#place(armed)
  }

  /** Puts an entry where it is due from now, or after `delayMs`. */
  #place(armed: Armed, delayMs = this.#delayMs(armed.due)): void {
    armed.entry?.cancel()
    armed.entry = this.#wheel.add(this.#heard() + delayMs, armed)
  }

  #delayMs(due: Due): number {
    return 'afterMs' in due ? due.afterMs : due.atWallMs - this.#clock.wall()
  }

  /** The time that deadlines go by. While this process was paused it could hear nobody. */
  #heard(): number {
    const nowMs = this.#clock.monotonic()
    this.#heardMs += Math.min(nowMs - this.#readAtMs, limits.pauseMs)
    this.#readAtMs = nowMs
    return this.#heardMs
  }

  #tick(): void {
    this.#timer = this.#clock.after(TICK_MS, () => {
      // Outside its lease a holder ends nothing: it may have lost the role.
      if (this.#role.holding) {
        const due = this.#wheel.advance(this.#heard())
        for (const armed of due) this.#overdue(armed)
        this.#pump()
        this.#watchWall()
      }
      this.#tick()
    })
  }

  #overdue(armed: Armed): void {
    if ('atWallMs' in armed.due && this.#clock.wall() < armed.due.atWallMs) {
      this.#place(armed)
      return
    }
    armed.ending = true
    this.#queue.push(armed)
  }

  /** When the wall clock was set, or this process paused, lifetimes stand in the wrong places. */
  #watchWall(): void {
    const leadMs = this.#clock.wall() - this.#heardMs
    if (Math.abs(leadMs - this.#wallLeadMs) <= limits.clockJumpMs) return
    this.#wallLeadMs = leadMs
    for (const armed of this.#armed.values()) {
      // Walks the map while it changes: what comes in meanwhile is in its right place anyway.
      void inSlices(armed.values(), one => {
        if ('atWallMs' in one.due && !one.ending && one.failures === 0) this.#place(one)
      })
    }
  }

  /** Runs the rules of what is overdue, a bounded number at a time. */
  #pump(): void {
    while (this.#inFlight.size < limits.expiriesInFlight && this.#next < this.#queue.length) {
      const running: Promise<void> = this.#end(this.#queue[this.#next++]!).then(() => {
        this.#inFlight.delete(running)
        this.#pump()
      })
      this.#inFlight.add(running)
    }
    if (this.#next < this.#queue.length) return
    this.#queue = []
    this.#next = 0
  }

  async #end(armed: Armed): Promise<void> {
    const { kind, key, modRevision } = armed
    const rule = this.#role.fenced((view, now, random) => {
      // A row that was written meanwhile is armed again by the feed.
      const isAsItWas = view.get(kind.table, key)?.modRevision === modRevision
      return isAsItWas ? kind.expire(key)(view, now, random) : { txn: [], answer: undefined }
    })
    let failure = ''
    try {
      const result = await this.#store.write(rule)
      if (result instanceof Refusal) failure = result.text
    } catch (error) {
      failure = messageOf(error)
    }
    const known = this.#armed.get(kind)!
    if (known.get(key) !== armed) return
    if (failure === '') known.delete(key)
    else this.#tryLater(armed, failure)
  }

  #tryLater(armed: Armed, error: string): void {
    const { kind, failures } = armed
    this.#log.warn('an overdue row could not be ended', { kind: kind.name, failures, error })
    armed.ending = false
    armed.failures = failures + 1
    this.#place(armed, Math.min(limits.expiryRetryMs * 2 ** failures, limits.expiryRetryMaxMs))
  }
}
