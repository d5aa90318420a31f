/**
 * A server's place among the servers: its row, and the lease that says it is alive.
 *
 * Owns keeping both as long as the server runs, whoever takes them away: a restore, an operator who
 * took it for dead, a lease that ran out while the process was paused; and from when on what leases
 * tell may be believed. On a store that nobody else can open there is nothing to say to anybody.
 * Holds no rule: servers.ts.
 */
import { assert } from '../base/assert.ts'
import type { Revision } from '../base/brand.ts'
import { type Clock, type Random, sleep } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { isRefusal, type Store } from '../store/store.ts'
import { aliveServers, type ServerRow, ServerState, servers } from '../store/tables/server.ts'
import { untilChanged } from '../store/until-changed.ts'
import { type Levels, refuseLevel } from './features.ts'
import { enterServer, livesBefore, type ServerSelf, setState, showAlive } from './servers.ts'

export interface SeatPorts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface SeatOptions {
  readonly self: ServerSelf
  readonly levels: Levels
}

export class Seat {
  readonly #ports: SeatPorts
  readonly #options: SeatOptions
  readonly #run: string
  readonly #stopping = new AbortController()
  #lease = ''
  /** What this server says of itself besides. */
  #state: ServerState = ServerState.in
  #keeping: Promise<void> = Promise.resolve()
  /** The restore that the store's content came by, and since when this server knows of it. */
  #content: { readonly origin: Revision | undefined; readonly sinceMs: number }

  constructor(ports: SeatPorts, options: SeatOptions) {
    this.#ports = ports
    this.#options = options
    this.#content = { origin: ports.store.view().origin, sinceMs: ports.clock.monotonic() }
    this.#run = ports.random.uuid()
  }

  /** What this server's row says, whether or not there is one. */
  get row(): ServerRow {
    const { self, levels } = this.#options
    return { ...self, level: levels.highest, state: this.#state, stateAtMs: self.sinceMs }
  }

  /**
   * Takes the place and keeps it from now on. Throws OperatingError when another server has the
   * name, or when this program does not speak what is written.
   */
  async start(): Promise<void> {
    const { store } = this.#ports
    const { levels } = this.#options
    const refusal = refuseLevel(store.view(), levels)
    if (refusal !== undefined) throw new OperatingError(OperatingCode.locked, refusal.text)
    if (!store.supports.shared) return
    await this.#untilForgotten()
    await this.#arrive()
    this.#keeping = this.#keep()
  }

  /**
   * For how long nobody may be taken for dead by a lease that is not there; 0 when one may be. A
   * restore brings no lease along: whoever lives says so again, and has as long for it as a lease
   * lasts. When a store was restored before this program began, nobody can tell it.
   */
  get judgesInMs(): number {
    const { store, clock } = this.#ports
    const { origin } = store.view()
    const nowMs = clock.monotonic()
    if (origin !== this.#content.origin) this.#content = { origin, sinceMs: nowMs }
    return Math.max(0, this.#content.sinceMs + limits.serverLeaseTtlMs - nowMs)
  }

  /** Says that the server takes no new work. It stays what it is where nobody can be told. */
  async drain(): Promise<void> {
    await this.#say(ServerState.draining)
  }

  /** Says that the server left for good. */
  async leave(): Promise<void> {
    await this.#say(ServerState.left)
  }

  async #say(state: ServerState): Promise<void> {
    this.#state = state
    const { store } = this.#ports
    if (!store.supports.shared) return
    const { nodeId } = this.#options.self
    await store.write((view, now) => setState(view, nodeId, state, now))
  }

  /**
   * Keeps the place no more. The lease is left to run out, so that a server that is back by then
   * was never away; one that left gives it up.
   */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#keeping
    if (this.#state !== ServerState.left || this.#lease === '') return
    await this.#ports.store.revoke(this.#lease).catch(() => {
      // It runs out by itself.
    })
  }

  /**
   * A machine whose disk was lost comes back as another node: what it was before lives on in the
   * store, and has its name, until its lease runs out and whoever keeps time has noted that.
   */
  async #untilForgotten(): Promise<void> {
    const { store, clock, log } = this.#ports
    const { self } = this.#options
    const endMs = clock.monotonic() + 3 * limits.serverLeaseTtlMs
    let isTold = false
    while (livesBefore(store.view(), self) && clock.monotonic() < endMs) {
      if (!isTold) log.info('waiting until the server that was here before is taken for gone')
      isTold = true
      await sleep(clock, limits.roleRetryMs)
    }
  }

  /** Takes the place in one transaction: without a living lease the row tells of a dead server. */
  async #arrive(): Promise<void> {
    const { self, levels } = this.#options
    const { store } = this.#ports
    const lease = await store.grant(limits.serverLeaseTtlMs)
    const entered = await store.write((view, now) => {
      const decision = enterServer(view, self, levels, now)
      if (isRefusal(decision)) return decision
      return {
        txn: [...decision.txn, ...showAlive(self.nodeId, this.#run, lease.id).txn],
        answer: true,
      }
    })
    this.#lease = lease.id
    if (!isRefusal(entered)) return
    await store.revoke(lease.id).catch(() => {
      // It runs out by itself.
    })
    throw new OperatingError(OperatingCode.locked, entered.text)
  }

  async #enter(): Promise<void> {
    const { self, levels } = this.#options
    const entered = await this.#ports.store.write((view, now) =>
      enterServer(view, self, levels, now),
    )
    if (isRefusal(entered)) throw new OperatingError(OperatingCode.locked, entered.text)
  }

  /** Gets a lease and says under it that the server is alive. */
  async #live(): Promise<void> {
    const { store } = this.#ports
    const { nodeId } = this.#options.self
    const lease = await store.grant(limits.serverLeaseTtlMs)
    await store.write(() => showAlive(nodeId, this.#run, lease.id))
    this.#lease = lease.id
  }

  async #keep(): Promise<void> {
    const { clock, log } = this.#ports
    const { signal } = this.#stopping
    let renewAtMs = clock.monotonic() + limits.serverLeaseTtlMs / 4
    while (!signal.aborted) {
      await this.#untilChanged(renewAtMs - clock.monotonic())
      if (signal.aborted) return
      try {
        if (clock.monotonic() >= renewAtMs) {
          renewAtMs = clock.monotonic() + limits.serverLeaseTtlMs / 4
          if (!(await this.#ports.store.keepAlive(this.#lease))) await this.#live()
        }
        await this.#repair()
      } catch (error) {
        log.warn("this server's place was not kept, will try again", { error: messageOf(error) })
        await this.#untilChanged(limits.roleRetryMs)
      }
    }
  }

  /** Puts back what others took away. */
  async #repair(): Promise<void> {
    const { store, log } = this.#ports
    const { nodeId } = this.#options.self
    const view = store.view()
    const row = view.get(servers, nodeId)?.row
    const isIn = row !== undefined && row.state === this.#state
    if (!isIn && this.#state === ServerState.in) {
      log.warn('this server was taken for one that is not there, and says that it is')
      await this.#enter()
    }
    if (view.get(aliveServers, nodeId)?.row.run !== this.#run) await this.#live()
  }

  /** Waits until one of the two rows changes, at most `delayMs`, and not once it stops. */
  #untilChanged(delayMs: number): Promise<void> {
    const { store, clock } = this.#ports
    assert(this.#run !== '', 'a run has a name')
    const key = this.#options.self.nodeId
    const targets = [servers, aliveServers].map(({ name }) => ({ table: name, key }))
    const ports = { scopes: store.scopes, clock }
    return untilChanged(ports, targets, delayMs, this.#stopping.signal)
  }
}
