/**
 * Secrets that are kept fresh: a lease is renewed while it can be, and what it was for is read anew
 * before it ends.
 *
 * Owns when that happens. What is held stays while no server can be reached. Never logs or tells
 * what a secret holds, but to whoever asked for it.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock, Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { secretsApi, type WireSecret } from './api.ts'
import { closedError, type GatehouseError } from './errors.ts'
import { Listeners } from './listeners.ts'
import type { Servers } from './servers.ts'

/** How a secret is kept. */
export interface SecretOptions {
  /** How often a secret without a lease is read anew; five minutes unless given. */
  readonly refreshMs?: number
}

/** What a secret tells. */
export interface SecretEvents extends Record<string, unknown> {
  /** Its data are others now. */
  change: Readonly<Record<string, unknown>>
  /** It could not be renewed or read; that is tried again and again. */
  problem: GatehouseError
}

/** A secret that is kept fresh. */
export interface LiveSecret {
  readonly path: string
  /** What it holds now, as JSON: of kv version 2 its fields stand in `data.data`. */
  readonly data: Readonly<Record<string, unknown>>
  /** By the wall clock, when what is held ends; undefined where it does not end by itself. */
  readonly expiresMs: number | undefined
  /** Why it is not fresh, where it is not. */
  readonly problem: GatehouseError | undefined
  on<N extends keyof SecretEvents & string>(
    name: N,
    listener: (what: SecretEvents[N]) => void,
  ): () => void
  /** Renews it no more. A lease runs out by itself, or is taken back with `revoke`. */
  close(options?: { readonly revoke?: boolean }): Promise<void>
}

export interface SecretWorld {
  readonly clock: Clock
  readonly random: Random
  readonly servers: Servers
  readonly namespace: string
}

interface Held {
  readonly data: Readonly<Record<string, unknown>>
  readonly lease: { readonly id: string; readonly isRenewable: boolean }
  /** How long it lives from `askedMs` on; 0 where it does not end by itself. */
  readonly lifeMs: number
  readonly askedMs: number
}

export class KeptSecret implements LiveSecret {
  readonly path: string
  readonly #world: SecretWorld
  readonly #refreshMs: number
  readonly #listeners = new Listeners<SecretEvents>()
  readonly #over = new AbortController()
  #held: Held | undefined
  #expiresMs: number | undefined
  #problem: GatehouseError | undefined

  constructor(path: string, { refreshMs }: SecretOptions, world: SecretWorld) {
    this.path = path
    this.#world = world
    this.#refreshMs = refreshMs ?? limits.clientSecretRefreshMs
  }

  /** Reads it, and keeps it from then on. Rejects where the servers refuse it. */
  async begin(): Promise<this> {
    this.#take(await this.#read())
    void this.#keep()
    return this
  }

  get data(): Readonly<Record<string, unknown>> {
    return this.#held?.data ?? {}
  }

  get expiresMs(): number | undefined {
    return this.#expiresMs
  }

  get problem(): GatehouseError | undefined {
    return this.#problem
  }

  on<N extends keyof SecretEvents & string>(
    name: N,
    listener: (what: SecretEvents[N]) => void,
  ): () => void {
    return this.#listeners.on(name, listener)
  }

  async close({ revoke = false }: { readonly revoke?: boolean } = {}): Promise<void> {
    if (this.#over.signal.aborted) return
    this.#over.abort(closedError())
    const leaseId = this.#held?.lease.id ?? ''
    if (!revoke || leaseId === '') return
    const { servers, namespace } = this.#world
    await servers.call(secretsApi.revokeLease, { leaseId, namespace }, { repeatable: true })
  }

  async #keep(): Promise<void> {
    const { clock, servers } = this.#world
    const signal = AbortSignal.any([this.#over.signal, servers.closed])
    let delayMs = this.#restMs()
    while (!signal.aborted) {
      await pause(clock, delayMs, signal)
      if (signal.aborted) return
      try {
        const next = (await this.#renew()) ?? (await this.#read())
        if (signal.aborted) return
        this.#take(next)
        delayMs = this.#restMs()
      } catch (error) {
        if (signal.aborted) return
        this.#problem = error as GatehouseError
        this.#listeners.tell('problem', this.#problem)
        delayMs = limits.clientRenewRetryMs
      }
    }
  }

  /** Two thirds of its life, a little more or less, so that many do not come at once. */
  #restMs(): number {
    const { clock, random } = this.#world
    const { lifeMs = 0, askedMs = 0 } = this.#held ?? {}
    const wholeMs = lifeMs === 0 ? this.#refreshMs : lifeMs * 0.7
    const atMs = askedMs + wholeMs * (0.9 + 0.1 * random.fraction())
    return Math.max(limits.clientRetryMs, atMs - clock.monotonic())
  }

  /** Lets the lease live on; undefined where it has none, or where little is won by it. */
  async #renew(): Promise<Held | undefined> {
    const held = this.#held
    const { clock, servers, namespace } = this.#world
    if (held === undefined || !held.lease.isRenewable) return undefined
    const askedMs = clock.monotonic()
    const leftMs = held.askedMs + held.lifeMs - askedMs
    if (leftMs <= 0) return undefined
    const request = { leaseId: held.lease.id, incrementSeconds: 0, namespace }
    try {
      const options = { repeatable: true, signal: this.#over.signal }
      const { lease } = await servers.call(secretsApi.renewLease, request, options)
      const lifeMs = (lease?.durationSeconds ?? 0) * 1_000
      if (lifeMs <= leftMs) return undefined
      return { ...held, lifeMs, askedMs }
    } catch (error) {
      // What is no lease any more is read anew; what could not be asked is asked again.
      if ((error as GatehouseError).retryable) throw error
      return undefined
    }
  }

  async #read(): Promise<Held> {
    const { clock, servers, namespace } = this.#world
    const askedMs = clock.monotonic()
    const options = { repeatable: true, signal: this.#over.signal }
    const answer = await servers.call(secretsApi.read, { path: this.path, namespace }, options)
    const { id = '', renewable = false, durationSeconds = 0 } = answer.lease ?? {}
    return {
      data: dataOf(answer),
      lease: { id, isRenewable: renewable && id !== '' },
      // A time without a lease behind it is how often Vault's clients look again, not an end.
      lifeMs: id === '' ? 0 : durationSeconds * 1_000,
      askedMs,
    }
  }

  #take(held: Held): void {
    const { clock } = this.#world
    const before = this.#held
    this.#held = held
    this.#problem = undefined
    const leftMs = held.askedMs + held.lifeMs - clock.monotonic()
    this.#expiresMs = held.lifeMs === 0 ? undefined : clock.wall() + leftMs
    if (before === undefined || isDeepStrictEqual(before.data, held.data)) return
    this.#listeners.tell('change', held.data)
  }
}

/** The data of an answer; empty where there are none. */
function dataOf({ data }: WireSecret): Readonly<Record<string, unknown>> {
  return data.length === 0 ? {} : (JSON.parse(data.toString()) as Record<string, unknown>)
}
