/**
 * A fenced role: work that one server at a time may do, such as ending what is overdue.
 *
 * Owns the role's row, which hangs on its holder's lease, and the taking, keeping and losing of it.
 * A transaction of the role reads that row in its decide, so that a holder that was paused and has
 * lost the role without knowing is refused. `holding` is true only while nobody else can have it.
 */
import type { Revision } from '../base/brand.ts'
import type { Clock, Random } from '../base/clock.ts'
import { messageOf, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { type Decide, type Decision, del, put, type Store } from './store.ts'
import { type Cell, defineTable, jsonCodec } from './table.ts'
import { untilChanged } from './until-changed.ts'
import type { Reader } from './view.ts'

interface RoleRow {
  /** The id of the server that holds it. */
  readonly holder: string
}

/** The roles that are held now; the key is the role's name. */
export const roles = defineTable<RoleRow>({
  name: 'roles',
  prefix: 'system/role/',
  codec: jsonCodec(),
  need: () => 'upkeep',
  internal: true,
})

interface WishRow {
  /** Who gives it up. */
  readonly from: string
  /** Who is to take it; '' for any other. */
  readonly to: string
}

/** Roles that are to move; the key is the role's name. Whoever takes the role removes the row. */
export const roleWishes = defineTable<WishRow>({
  name: 'role-wishes',
  prefix: 'system/role-wish/',
  codec: jsonCodec(),
  need: () => 'upkeep',
  internal: true,
})

/** Asks a role's holder to give it to another server, or to any other. False: nobody holds it. */
export function wishRole(view: Reader, role: string, to: string): Decision<boolean> {
  const from = view.get(roles, role)?.row.holder
  if (from === undefined) return { txn: [], answer: false }
  if (from === to) return { txn: [], answer: true }
  return { txn: [put(roleWishes, role, { from, to })], answer: true }
}

/** What a fenced transaction answers when another server holds the role, or nobody. */
export const notHolder = new Refusal(503, 'this server does not hold the role')

/** The ports that a role stands on. */
export interface RolePorts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface RoleOptions {
  readonly role: string
  /** The id of this server: no two servers of one store share it. */
  readonly holder: string
  /** Whether this server may hold a role now; asked again all the time. It may unless given. */
  readonly mayHold?: () => boolean
}

/** The time in which this server has the role under one lease. */
interface Tenure {
  readonly lease: string
  /** Until then, by the monotonic clock, the lease cannot have ended. */
  safeUntilMs: number
}

export class Role {
  readonly #store: Store
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Log
  readonly #name: string
  readonly #holder: string
  readonly #mayHold: () => boolean
  readonly #stopping = new AbortController()
  /** The wish that was seen last, and when. */
  #wish: { readonly at: Revision; readonly seenMs: number } | undefined
  #tenure: Tenure | undefined
  #running: Promise<void> = Promise.resolve()

  constructor({ store, clock, random, log }: RolePorts, { role, holder, mayHold }: RoleOptions) {
    this.#store = store
    this.#clock = clock
    this.#random = random
    this.#log = log
    this.#name = role
    this.#holder = holder
    this.#mayHold = mayHold ?? (() => true)
  }

  /** Whether this server has the role for sure: inside its own lease, with a margin. */
  get holding(): boolean {
    return this.#tenure !== undefined && this.#clock.monotonic() < this.#tenure.safeUntilMs
  }

  /**
   * Takes the role whenever it is free, from now on. `serve` is called each time that it was
   * taken; its signal aborts when the role is lost, and it must return soon after.
   */
  start(serve: (signal: AbortSignal) => Promise<void>): void {
    this.#running = this.#run(serve)
  }

  /** Gives the role back and takes it no more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  /** A rule that is refused with `notHolder` once the present tenure is over. */
  fenced<A>(decide: Decide<A>): Decide<A> {
    const lease = this.#tenure?.lease
    return (view, now, random) => {
      const row = view.get(roles, this.#name)
      return row !== undefined && row.lease === lease ? decide(view, now, random) : notHolder
    }
  }

  async #run(serve: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        if (await this.#take()) await this.#keep(serve)
        else await this.#untilChanged(this.#retryMs(), this.#stopping.signal)
      } catch (error) {
        const fields = { role: this.#name, error: messageOf(error) }
        this.#log.warn('role not held, will try again', fields)
        await this.#untilChanged(this.#retryMs(), this.#stopping.signal)
      }
    }
  }

  /** Spread, so that servers that wait for one role do not ask all at once. */
  #retryMs(): number {
    return limits.roleRetryMs * (0.5 + this.#random.fraction())
  }

  /** Gets a lease and puts the row under it; false while another server has it. */
  async #take(): Promise<boolean> {
    if (!this.#mayHold() || this.#isForAnother()) return false
    if (!this.#isFree(this.#store.view().get(roles, this.#name))) return false
    const sentMs = this.#clock.monotonic()
    const lease = await this.#store.grant(limits.roleLeaseTtlMs)
    const written = await this.#store.write(view => {
      if (!this.#isFree(view.get(roles, this.#name))) return notHolder
      const row = put(roles, this.#name, { holder: this.#holder }, lease.id)
      const wish = view.get(roleWishes, this.#name)
      return {
        txn: wish === undefined ? [row] : [row, del(roleWishes, this.#name)],
        answer: undefined,
      }
    })
    if (written === notHolder) {
      await this.#store.revoke(lease.id)
      return false
    }
    this.#tenure = { lease: lease.id, safeUntilMs: safeUntil(sentMs, lease.ttlMs) }
    return true
  }

  /** Whether the role is to go to another server, which has had no time to take it yet. */
  #isForAnother(): boolean {
    const wish = this.#store.view().get(roleWishes, this.#name)
    if (wish === undefined) return false
    const nowMs = this.#clock.monotonic()
    if (this.#wish?.at !== wish.modRevision) this.#wish = { at: wish.modRevision, seenMs: nowMs }
    if (nowMs - this.#wish.seenMs > limits.roleHandoverMs) return false
    const { from, to } = wish.row
    return to === '' ? from === this.#holder : to !== this.#holder
  }

  /** A row of our own in a store that nobody else can open is left from before a restart. */
  #isFree(held: Cell<RoleRow> | undefined): boolean {
    return held === undefined || (!this.#store.supports.shared && held.row.holder === this.#holder)
  }

  async #keep(serve: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const tenure = this.#tenure!
    const over = new AbortController()
    const end = (): void => over.abort()
    this.#stopping.signal.addEventListener('abort', end, { once: true })
    this.#log.info('role taken', { role: this.#name })
    const serving = serve(over.signal)
    // Ends the tenure; what it failed with is thrown below.
    serving.then(end, end)
    try {
      let renewAtMs = 0
      while (!over.signal.aborted && !this.#stopping.signal.aborted && this.#isOurs(tenure)) {
        const sentMs = this.#clock.monotonic()
        if (sentMs >= renewAtMs) {
          renewAtMs = sentMs + limits.roleLeaseTtlMs / 4
          if (!(await this.#renew(tenure, sentMs))) break
        }
        await this.#untilChanged(renewAtMs - sentMs, over.signal)
      }
    } finally {
      this.#tenure = undefined
      this.#stopping.signal.removeEventListener('abort', end)
      end()
      this.#log.info('role given up', { role: this.#name })
      await this.#store.revoke(tenure.lease).catch(() => {
        // Then it ends by itself; until that nobody has the role.
      })
      await serving
    }
  }

  #isOurs(tenure: Tenure): boolean {
    if (!this.#mayHold() || this.#isForAnother()) return false
    return this.holding && this.#store.view().get(roles, this.#name)?.lease === tenure.lease
  }

  async #renew(tenure: Tenure, sentMs: number): Promise<boolean> {
    try {
      if (!(await this.#store.keepAlive(tenure.lease))) return false
      tenure.safeUntilMs = safeUntil(sentMs, limits.roleLeaseTtlMs)
    } catch (error) {
      // The store cannot be reached: the role is ours until the lease may have ended.
      this.#log.warn('role not renewed', { role: this.#name, error: messageOf(error) })
    }
    return true
  }

  /** Waits until the role's row changes, at most `delayMs`, and not once the signal aborts. */
  #untilChanged(delayMs: number, signal: AbortSignal): Promise<void> {
    const targets = [roles, roleWishes].map(({ name }) => ({ table: name, key: this.#name }))
    const ports = { scopes: this.#store.scopes, clock: this.#clock }
    return untilChanged(ports, targets, delayMs, signal)
  }
}

const safeUntil = (sentMs: number, ttlMs: number): number =>
  sentMs + ttlMs - limits.roleLeaseMarginMs
