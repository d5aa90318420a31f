/**
 * A service that this process offers, kept registered.
 *
 * Owns the registration from its making to its end: its TTL is renewed on any server, it is made
 * again where it was forgotten, and it goes with the client. Where the process dies instead, its
 * TTL runs out and the servers clean up.
 */
import { hostname } from 'node:os'
import type { Clock, Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { durationOf, registryApi, type WireHealth, type WireRegister } from './api.ts'
import { GatehouseError } from './errors.ts'
import { Listeners } from './listeners.ts'
import type { Health } from './lookup.ts'
import type { Servers } from './servers.ts'

/** A service as it is registered. */
export interface ServiceDefinition {
  readonly name: string
  /** Where it is reached from other machines. */
  readonly address: string
  readonly port: number
  /** Unique in the cluster; made of the name, the host and chance unless given. */
  readonly id?: string
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, string>>
  readonly weights?: { readonly passing: number; readonly warning: number }
  /**
   * The node that it is on. Unless given it gets one of its own, named as its id, so that nothing
   * is left of it when it goes. Do not name a node that an agent lives on: that agent keeps only
   * what was registered with itself.
   */
  readonly node?: string
  /** Without a word from us for so long it turns critical; 15 seconds unless given. */
  readonly ttlMs?: number
  /** Critical for so long, it is removed; ten minutes unless given, 0 for never. */
  readonly removeAfterMs?: number
  /** What it says at first; passing unless given. */
  readonly status?: Health
  /** Whether it stays when the client is closed, as long as TTL and `removeAfterMs` allow. */
  readonly keepOnClose?: boolean
}

/** What a registration tells. */
export interface RegistrationEvents extends Record<string, unknown> {
  /** A server had forgotten it, and has it again. */
  restored: undefined
  /** It could not be renewed; that is tried again and again. */
  problem: GatehouseError
}

/** A service that is kept registered. */
export interface Registration {
  readonly id: string
  readonly node: string
  /** What it says of itself. */
  readonly status: Health
  /** Says how the service is from now on. Resolves once a server knows. */
  setStatus(status: Health, output?: string): Promise<void>
  on<N extends keyof RegistrationEvents & string>(
    name: N,
    listener: (what: RegistrationEvents[N]) => void,
  ): () => void
  /** Removes it and renews it no more. */
  deregister(): Promise<void>
}

export interface RegisterWorld {
  readonly clock: Clock
  readonly random: Random
  readonly servers: Servers
}

export class KeptRegistration implements Registration {
  readonly id: string
  readonly node: string
  readonly keepOnClose: boolean
  readonly #world: RegisterWorld
  readonly #request: WireRegister
  readonly #isOnOwnNode: boolean
  readonly #checkId: string
  readonly #ttlMs: number
  readonly #listeners = new Listeners<RegistrationEvents>()
  readonly #over = new AbortController()
  #status: Health
  #output = ''
  #keeping: Promise<void> = Promise.resolve()

  constructor(definition: ServiceDefinition, world: RegisterWorld) {
    const { name, ttlMs = limits.clientTtlMs, status = 'passing' } = definition
    checkDefinition(definition)
    this.#world = world
    this.#ttlMs = ttlMs
    this.#status = status
    this.id = definition.id ?? `${name}-${hostname()}-${world.random.bytes(4).toString('hex')}`
    this.#isOnOwnNode = definition.node === undefined
    this.node = definition.node ?? nodeNameOf(this.id)
    this.keepOnClose = definition.keepOnClose ?? false
    this.#checkId = `${this.id}:ttl`
    this.#request = requestOf(definition, {
      id: this.id,
      node: this.node,
      checkId: this.#checkId,
      isOnOwnNode: this.#isOnOwnNode,
    })
  }

  get status(): Health {
    return this.#status
  }

  on<N extends keyof RegistrationEvents & string>(
    name: N,
    listener: (what: RegistrationEvents[N]) => void,
  ): () => void {
    return this.#listeners.on(name, listener)
  }

  /** Registers it, and keeps it from then on. Rejects where the servers refuse it. */
  async begin(): Promise<this> {
    await this.#register()
    this.#keeping = this.#keep()
    return this
  }

  async setStatus(status: Health, output = ''): Promise<void> {
    if (this.#over.signal.aborted) {
      throw new GatehouseError('FAILED_PRECONDITION', `${this.id} is not registered any more`)
    }
    this.#status = status
    this.#output = output
    await this.#beat()
  }

  async deregister(): Promise<void> {
    await this.stop()
    const serviceId = this.#isOnOwnNode ? '' : this.id
    const asked = { node: this.node, serviceId, checkId: '' }
    await this.#world.servers.call(registryApi.deregister, asked, { repeatable: true })
  }

  /** Renews it no more; a renewal that is under way is waited for, so that none comes later. */
  async stop(): Promise<void> {
    this.#over.abort()
    await this.#keeping
  }

  async #keep(): Promise<void> {
    const { clock } = this.#world
    const { signal } = this.#over
    let delayMs = this.#ttlMs / 3
    while (!signal.aborted) {
      await pause(clock, delayMs, signal)
      if (signal.aborted || this.#world.servers.closed.aborted) return
      delayMs = this.#ttlMs / 3
      try {
        await this.#beat()
      } catch (error) {
        if (signal.aborted) return
        // Sooner than usual: the TTL runs on.
        delayMs = Math.min(delayMs, limits.clientRetryMaxMs)
        this.#listeners.tell('problem', error as GatehouseError)
      }
    }
  }

  async #beat(): Promise<void> {
    const { signal } = this.#over
    const status = WIRE_HEALTH[this.#status]
    const asked = { node: this.node, checkId: this.#checkId, status, output: this.#output }
    // Nothing is won by an answer that comes after the TTL.
    const options = { timeoutMs: this.#ttlMs, repeatable: true, signal }
    try {
      await this.#world.servers.call(registryApi.heartbeat, asked, options)
    } catch (error) {
      if (!(error instanceof GatehouseError) || error.code !== 'NOT_FOUND') throw error
      await this.#register()
      this.#listeners.tell('restored', undefined)
    }
  }

  async #register(): Promise<void> {
    const status = WIRE_HEALTH[this.#status]
    const request = {
      ...this.#request,
      checks: this.#request.checks.map(one => ({ ...one, status })),
    }
    await this.#world.servers.call(registryApi.register, request, { repeatable: true })
  }
}

const WIRE_HEALTH: Readonly<Record<Health, WireHealth>> = {
  passing: 'HEALTH_STATUS_PASSING',
  warning: 'HEALTH_STATUS_WARNING',
  critical: 'HEALTH_STATUS_CRITICAL',
}

/** A name that DNS can show. */
const nodeNameOf = (id: string): string =>
  id
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)

function checkDefinition({ name, address, port, ttlMs }: ServiceDefinition): void {
  const problem =
    name === ''
      ? 'a service needs a name'
      : address === ''
        ? 'a service needs an address'
        : !Number.isInteger(port) || port < 0 || port > 65_535
          ? `${port} is no port`
          : ttlMs !== undefined && !(ttlMs >= limits.registrationTtlMinMs)
            ? `a TTL is ${limits.registrationTtlMinMs} ms or more`
            : undefined
  if (problem !== undefined) throw new GatehouseError('INVALID_ARGUMENT', problem)
}

interface Names {
  readonly id: string
  readonly node: string
  readonly checkId: string
  readonly isOnOwnNode: boolean
}

function requestOf(definition: ServiceDefinition, names: Names): WireRegister {
  const { name, address, port, tags = [], meta = {}, weights } = definition
  const { ttlMs = limits.clientTtlMs, removeAfterMs = limits.clientRemoveAfterMs } = definition
  const after =
    removeAfterMs === 0 ? {} : { deregisterCriticalServiceAfter: durationOf(removeAfterMs) }
  return {
    node: { name: names.node, address, meta: {} },
    // A node that others share is as they say.
    skipNodeUpdate: !names.isOnOwnNode,
    service: { id: names.id, name, address, port, tags, meta, weights: weights ?? null },
    checks: [
      {
        checkId: names.checkId,
        name: `${name} is kept registered`,
        status: 'HEALTH_STATUS_PASSING',
        // On a node of its own the check is the node's, so that the node goes with the service.
        serviceId: names.isOnOwnNode ? '' : names.id,
        notes: '',
        definition: { ttl: durationOf(ttlMs), ...after },
      },
    ],
  }
}
