/**
 * Locks: a key held through a session of our own.
 *
 * Owns when the hold is over for this process: at the latest when the session could have ended, by
 * our own clock and whether or not a server can be reached. A process that was stopped for a while
 * does not notice in time, so what the lock protects must be told the fencing index with each
 * request, and refuse a smaller one than it has seen (docs/locks.md).
 */
import type { Clock, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { durationOf, sessionApi } from './api.ts'
import { GatehouseError } from './errors.ts'
import type { Servers } from './servers.ts'

/** How a lock is taken and kept. */
export interface LockOptions {
  /** What the key holds meanwhile, for people who look. */
  readonly value?: string | Uint8Array
  /** The session ends unless it is renewed for so long; 15 seconds unless given, 10 at least. */
  readonly ttlMs?: number
  /** How long to wait for the lock; for ever unless given. 0 tries once. */
  readonly waitMs?: number
  /** After a hold that was not released nobody gets the key for so long; 15 s unless given. */
  readonly lockDelayMs?: number
  /** Whether the key is deleted when the hold ends. */
  readonly deleteKey?: boolean
  /** The node that the session is bound to; that of the server that is asked unless given. */
  readonly node?: string
  /** Shown beside the session. */
  readonly name?: string
  /** Gives up waiting. */
  readonly signal?: AbortSignal
}

/** A lock that is held, until `lost` aborts or it is released. */
export interface Lock {
  readonly key: string
  readonly session: string
  /**
   * Send this with EVERY request to what the lock protects, and let it refuse a smaller number than
   * it has seen: no lock service can stop a holder that was paused from going on. It grows with
   * each new hold of the key, also where the key was deleted meanwhile.
   */
  readonly fencingIndex: number
  /** How often the key was taken (Consul's LockIndex), since it was made or plainly written. */
  readonly lockIndex: number
  /** Aborts when the hold is over or may be, with a GatehouseError as its reason. */
  readonly lost: AbortSignal
  /** Whether it is surely still held by the clock of this process. */
  readonly isHeld: boolean
  /** Gives the lock back. Does nothing where it is lost already. */
  release(): Promise<void>
}

export interface LockWorld {
  readonly clock: Clock
  readonly servers: Servers
  /** Calls back when the key is no longer held by `session`; gives what ends that. */
  watch(key: string, session: string, modifyIndex: number, gone: (why: string) => void): () => void
}

/** Takes a lock; rejects with ABORTED where it is not free in time. */
export async function takeLock(key: string, options: LockOptions, world: LockWorld): Promise<Lock> {
  if (key === '') throw new GatehouseError('INVALID_ARGUMENT', 'a lock needs a key')
  const { waitMs = Number.POSITIVE_INFINITY } = options
  const endMs = world.clock.monotonic() + waitMs
  for (;;) {
    const session = await SessionKept.create(options, world)
    try {
      const taken = await wait(key, options, session, endMs, world)
      if (taken !== undefined) return new HeldLock(key, taken, session, world)
    } catch (error) {
      await session.end()
      throw error
    }
    // The session ended while it waited: a new one waits on.
    await session.end()
  }
}

interface Taken {
  readonly lockIndex: number
  readonly modifyIndex: number
}

/** Undefined where the session ended meanwhile. */
async function wait(
  key: string,
  { value, signal }: LockOptions,
  session: SessionKept,
  endMs: number,
  { clock, servers }: LockWorld,
): Promise<Taken | undefined> {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  for (;;) {
    const waitMs = Math.max(0, Math.min(endMs - clock.monotonic(), limits.clientLockWaitMs))
    const asked = {
      key,
      session: session.id,
      wait: durationOf(waitMs),
      ...(bytes === undefined ? {} : { value: bytes }),
    }
    const either = signal ? AbortSignal.any([signal, session.lost]) : session.lost
    // The same session may take the key twice, so that asking another server does no harm.
    const timeoutMs = waitMs + limits.clientCallMs
    const call = { timeoutMs, tryMs: waitMs + limits.clientTryMs, repeatable: true, signal: either }
    try {
      const { acquired, ...taken } = await servers.call(sessionApi.lock, asked, call)
      if (session.lost.aborted) return undefined
      if (acquired) return taken
    } catch (error) {
      if (session.lost.aborted) return undefined
      const { retryable } = error as GatehouseError
      if (!retryable || clock.monotonic() >= endMs) throw error
    }
    if (clock.monotonic() >= endMs) {
      throw new GatehouseError('ABORTED', `the lock ${key} was not free in time`)
    }
    // A server that did not wait, or could not be asked, is given a moment.
    await pause(clock, limits.clientRetryMs, either)
  }
}

/** A session that is renewed. */
class SessionKept {
  readonly id: string
  readonly #world: LockWorld
  readonly #ttlMs: number
  readonly #over = new AbortController()
  readonly #lost = new AbortController()
  /** Until then it surely lives: no server ends it earlier. */
  #livesUntilMs: number
  #deadline: Timer | undefined

  private constructor(id: string, ttlMs: number, askedMs: number, world: LockWorld) {
    this.id = id
    this.#world = world
    this.#ttlMs = ttlMs
    this.#livesUntilMs = 0
    this.#lives(askedMs)
    void this.#keep()
  }

  static async create(options: LockOptions, world: LockWorld): Promise<SessionKept> {
    const { ttlMs = limits.clientTtlMs, lockDelayMs, deleteKey = false } = options
    if (!(ttlMs >= limits.sessionTtlMinMs && ttlMs <= limits.sessionTtlMaxMs)) {
      const range = `${limits.sessionTtlMinMs} to ${limits.sessionTtlMaxMs}`
      throw new GatehouseError('INVALID_ARGUMENT', `the TTL of a lock is ${range} ms`)
    }
    const askedMs = world.clock.monotonic()
    // One that was made and never heard of again ends by its TTL.
    const { id } = await world.servers.call(
      sessionApi.create,
      {
        name: options.name ?? '',
        node: options.node ?? '',
        ...(lockDelayMs === undefined ? {} : { lockDelay: durationOf(lockDelayMs) }),
        behavior: deleteKey ? 'SESSION_BEHAVIOR_DELETE' : 'SESSION_BEHAVIOR_RELEASE',
        ttl: durationOf(ttlMs),
        // It is to outlive the server that was asked, so it stands on no check.
        nodeChecks: { ids: [] },
      },
      { repeatable: true, ...(options.signal ? { signal: options.signal } : {}) },
    )
    return new SessionKept(id, ttlMs, askedMs, world)
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  get isAlive(): boolean {
    return !this.#lost.signal.aborted && this.#world.clock.monotonic() < this.#livesUntilMs
  }

  lose(why: string): void {
    if (this.#over.signal.aborted) return
    this.#stop()
    this.#lost.abort(new GatehouseError('ABORTED', why))
  }

  /** Ends it, if a server can be reached; else its TTL does. */
  async end(): Promise<void> {
    this.#stop()
    const options = { timeoutMs: limits.clientCloseMs, repeatable: true }
    await this.#world.servers.call(sessionApi.destroy, { id: this.id }, options).catch(() => {})
  }

  #stop(): void {
    this.#over.abort()
    this.#deadline?.clear()
  }

  /** A server knew it after `askedMs`, so it lives for its TTL from then on, but for a margin. */
  #lives(askedMs: number): void {
    this.#livesUntilMs = askedMs + this.#ttlMs - marginOf(this.#ttlMs)
    this.#deadline?.clear()
    this.#deadline = this.#world.clock.after(
      this.#livesUntilMs - this.#world.clock.monotonic(),
      () => this.lose('no server could be reached within the TTL'),
    )
  }

  async #keep(): Promise<void> {
    const { clock, servers } = this.#world
    const { signal } = this.#over
    let delayMs = this.#ttlMs / 3
    while (!signal.aborted) {
      await pause(clock, delayMs, signal)
      if (signal.aborted) return
      delayMs = this.#ttlMs / 3
      const askedMs = clock.monotonic()
      try {
        const options = { timeoutMs: this.#livesUntilMs - askedMs, repeatable: true, signal }
        await servers.call(sessionApi.renew, { id: this.id }, options)
        if (!signal.aborted) this.#lives(askedMs)
      } catch (error) {
        const { code } = error as GatehouseError
        if (code === 'NOT_FOUND') this.lose('its session has ended')
        if (servers.closed.aborted) this.lose('the client was closed')
        delayMs = limits.clientRetryMs
      }
    }
  }
}

/** Clocks run apart a little, and whoever hears of the loss needs a moment. */
const marginOf = (ttlMs: number): number => Math.max(limits.clientLockMarginMs, ttlMs / 10)

class HeldLock implements Lock {
  readonly key: string
  readonly session: string
  readonly fencingIndex: number
  readonly lockIndex: number
  readonly #kept: SessionKept
  readonly #world: LockWorld
  readonly #unwatch: () => void
  #isReleased = false

  constructor(key: string, { lockIndex, modifyIndex }: Taken, kept: SessionKept, world: LockWorld) {
    this.key = key
    this.session = kept.id
    this.fencingIndex = modifyIndex
    this.lockIndex = lockIndex
    this.#kept = kept
    this.#world = world
    this.#unwatch = world.watch(key, kept.id, modifyIndex, why => kept.lose(why))
    this.lost.addEventListener('abort', this.#unwatch, { once: true })
  }

  get lost(): AbortSignal {
    return this.#kept.lost
  }

  get isHeld(): boolean {
    return !this.#isReleased && this.#kept.isAlive
  }

  async release(): Promise<void> {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#unwatch()
    if (this.lost.aborted) return
    const asked = { key: this.key, session: this.session }
    try {
      // A release has no lock delay; the end of a session has.
      await this.#world.servers.call(sessionApi.unlock, asked, { repeatable: true })
    } finally {
      await this.#kept.end()
    }
  }
}
