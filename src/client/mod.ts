/**
 * The client of gatehouse: `import { connect } from 'gatehouse/client'`.
 *
 * Owns what users see, and that everything ends with the client. It speaks gRPC with any server of
 * a cluster; docs/client.md says how it is used.
 */
import { type Clock, foregroundClock, type Random, systemRandom } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { type CertificateOptions, KeptCertificate, type LiveCertificate } from './certificate.ts'
import { type ClientTls, dialOver } from './dial.ts'
import { closedError, GatehouseError } from './errors.ts'
import { followTopic, instanceOfItem, readers, type TopicName, type TopicValues } from './feed.ts'
import type { Following } from './follower.ts'
import { Kv } from './kv.ts'
import type { Dial } from './link.ts'
import { type Lock, type LockOptions, takeLock } from './lock.ts'
import { instanceReader, type Lookup, type LookupOptions, lookupOf } from './lookup.ts'
import { KeptRegistration, type Registration, type ServiceDefinition } from './register.ts'
import { KeptSecret, type LiveSecret, type SecretOptions } from './secret.ts'
import { ServerPool, Servers, type ServersWorld, type Tokens } from './servers.ts'
import { givenToken, type Login, LoginToken } from './token.ts'

export type {
  Certificate,
  CertificateEvents,
  CertificateOptions,
  LiveCertificate,
} from './certificate.ts'
export type { ClientTls } from './dial.ts'
export { type ErrorCode, GatehouseError } from './errors.ts'
export type { TopicName, TopicValues } from './feed.ts'
export type { FollowerEvents, Following } from './follower.ts'
export type { Kv, KvCallOptions, KvEntry, KvWriteOptions } from './kv.ts'
export type { Lock, LockOptions } from './lock.ts'
export type { Health, Instance, Lookup, LookupOptions, PickBy } from './lookup.ts'
export type { Registration, RegistrationEvents, ServiceDefinition } from './register.ts'
export type { LiveSecret, SecretEvents, SecretOptions } from './secret.ts'
export type { Login } from './token.ts'
export type { Change, Item } from './view.ts'

/** By which token one half of the servers is asked; neither for none. */
export interface Credentials {
  /** A token that you have. */
  readonly token?: string
  /** How a token is got, and got again when it ends. */
  readonly login?: Login
}

/** How a client reaches the servers, and as whom. */
export interface ConnectOptions extends Credentials {
  /** `host:port` of each server's gRPC (8502, or 8503 with TLS); 127.0.0.1:8502 by default. */
  readonly servers?: readonly string[]
  /** Speaks TLS. */
  readonly tls?: boolean | ClientTls
  /** For the secrets and certificates, where that is another token than the registry's. */
  readonly secrets?: Credentials & {
    /** Vault's namespace. */
    readonly namespace?: string
  }
  /** Time, chance and connections of your own, for tests. */
  readonly clock?: Clock
  readonly random?: Random
  readonly dial?: Dial
}

/** What is asked of a topic. */
export interface FollowOptions {
  /** An expression of Consul's filter language, evaluated by the server. */
  readonly filter?: string
}

/** Makes a client. Connects when it is first used; throws only where the options make no sense. */
export function connect(options: ConnectOptions = {}): Client {
  return new Client(options)
}

/** One program's way to the servers. Close it, or the process goes on. */
export class Client {
  /** Keys and values. */
  readonly kv: Kv
  readonly #world: ServersWorld
  readonly #closed = new AbortController()
  readonly #pool: ServerPool
  readonly #registry: Servers
  readonly #secrets: Servers
  readonly #namespace: string
  readonly #logins: LoginToken[] = []
  readonly #registrations = new Set<KeptRegistration>()
  readonly #locks = new Set<Lock>()
  #closing: Promise<void> | undefined

  /** As `connect`. */
  constructor(options: ConnectOptions) {
    const { servers = [DEFAULT_SERVER], tls = false, secrets } = options
    const { clock = foregroundClock, random = systemRandom } = options
    const dial = options.dial ?? dialOver(tls)
    this.#world = { clock, random, dial, closed: this.#closed.signal }
    this.#namespace = secrets?.namespace ?? ''
    this.#pool = new ServerPool(checkedServers(servers), this.#world)
    const own = this.#tokensOf(options)
    const others = secrets?.token === undefined && secrets?.login === undefined
    this.#registry = this.#by(own)
    this.#secrets = others ? this.#registry : this.#by(this.#tokensOf(secrets))
    this.kv = new Kv(this.#registry)
  }

  /**
   * A live local view of the instances of a service. Await its `ready()` before the first use; from
   * then on `instances()` and `pick()` cost no request, and go on while no server can be reached.
   */
  lookup(service: string, options: LookupOptions = {}): Lookup {
    const { filter = '' } = options
    const asked = { topic: 'health' as const, subject: service, filter }
    const wanted = instanceOfItem(instanceReader(options))
    const following = followTopic(this.#registry, asked, wanted, this.#world)
    return lookupOf(service, following, this.#world.random)
  }

  /**
   * A live local view of any topic. The subject is what the topic asks for: a service's name for
   * `health`, a prefix for `kv`, a kind for `config`, nothing for `services` and `nodes`.
   */
  follow<T extends TopicName>(
    topic: T,
    subject = '',
    { filter = '' }: FollowOptions = {},
  ): Following<TopicValues[T]> {
    const asked = { topic, subject, filter }
    return followTopic<TopicValues[T]>(this.#of(topic), asked, readers[topic], this.#world)
  }

  /**
   * Registers a service that this process offers, and keeps it registered until it is deregistered
   * or the client is closed. Rejects where the servers refuse it.
   */
  async register(definition: ServiceDefinition): Promise<Registration> {
    const { clock, random } = this.#world
    const one = new KeptRegistration(definition, { clock, random, servers: this.#registry })
    await one.begin()
    this.#registrations.add(one)
    return one
  }

  /**
   * Takes a lock, waiting for it. The holder must send the lock's `fencingIndex` with every request
   * to what the lock protects: see docs/locks.md for why nothing else is safe.
   */
  async lock(key: string, options: LockOptions = {}): Promise<Lock> {
    const { clock } = this.#world
    const watch = this.#watch.bind(this)
    const lock = await takeLock(key, options, { clock, servers: this.#registry, watch })
    this.#locks.add(lock)
    lock.lost.addEventListener('abort', () => this.#locks.delete(lock), { once: true })
    return lock
  }

  /** Reads a secret and keeps it fresh. `path` as in Vault's API, such as `secret/data/app`. */
  secret(path: string, options: SecretOptions = {}): Promise<LiveSecret> {
    return new KeptSecret(path, options, this.#secretWorld()).begin()
  }

  /** Gets a certificate of a role of the PKI engine, and a fresh one before each has ended. */
  certificate(role: string, options: CertificateOptions): Promise<LiveCertificate> {
    return new KeptCertificate(role, options, this.#secretWorld()).begin()
  }

  /**
   * Releases locks, deregisters services, ends tokens that came from a login, and all else.
   * Takes two seconds at most where no server can be reached. Never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const leaving = [
      ...[...this.#locks].map(lock => lock.release()),
      ...[...this.#registrations].map(one => (one.keepOnClose ? one.stop() : one.deregister())),
    ]
    await this.#inTime(leaving)
    // Last, as the others need them.
    await this.#inTime(this.#logins.map(login => login.end()))
    this.#closed.abort(closedError())
    this.#pool.close()
  }

  /** Waits for them, but not for long. */
  async #inTime(work: readonly Promise<void>[]): Promise<void> {
    if (work.length === 0) return
    const done = new AbortController()
    await Promise.race([
      Promise.allSettled(work).then(() => done.abort()),
      pause(this.#world.clock, limits.clientCloseMs, done.signal),
    ])
  }

  #by(tokens: Tokens): Servers {
    return new Servers(this.#pool, tokens, this.#world)
  }

  #of(topic: TopicName): Servers {
    return OF_SECRETS.has(topic) ? this.#secrets : this.#registry
  }

  #secretWorld() {
    const { clock, random } = this.#world
    return { clock, random, servers: this.#secrets, namespace: this.#namespace }
  }

  #tokensOf({ token, login }: Credentials): Tokens {
    if (token !== undefined && login !== undefined) {
      throw new GatehouseError('INVALID_ARGUMENT', 'give a token or a login, not both')
    }
    if (login === undefined) return givenToken(token ?? '')
    const { clock, random } = this.#world
    const servers = (tokens: Tokens): Servers => this.#by(tokens)
    const source = new LoginToken(login, { clock, random, servers, namespace: this.#namespace })
    this.#logins.push(source)
    return source
  }

  /** Follows a locked key, so that its loss is known before the session would end. */
  #watch(key: string, session: string, at: number, gone: (why: string) => void): () => void {
    const asked = { topic: 'kv' as const, subject: key, filter: '' }
    const following = followTopic(this.#registry, asked, readers.kv, this.#world)
    const look = (): void => {
      const entry = following.get(key)
      if (entry?.session === session || following.revision < at) return
      gone(entry === undefined ? 'the key was deleted' : 'the key is held by nobody or another')
    }
    following.on('change', look)
    following.on('live', look)
    return () => following.close()
  }
}

const DEFAULT_SERVER = '127.0.0.1:8502'

const OF_SECRETS: ReadonlySet<TopicName> = new Set(['roots', 'certificates', 'leases'])

function checkedServers(servers: readonly string[]): readonly string[] {
  const wrong = servers.find(one => !/^(\[[0-9a-f:.%]+\]|[^\s:/[\]]+):\d{1,5}$/i.test(one))
  if (wrong !== undefined) {
    throw new GatehouseError('INVALID_ARGUMENT', `a server is host:port, not ${wrong}`)
  }
  if (servers.length === 0) throw new GatehouseError('INVALID_ARGUMENT', 'name a server at least')
  return [...new Set(servers)]
}
