/**
 * Locks and semaphores over sessions, key by key as Consul's clients do it, so that we and they
 * exclude each other.
 *
 * Owns when a hold is lost: when another reader would say so, when the agent cannot be asked any
 * more, or when a renewal is not confirmed within the session's time. Whoever holds is told at
 * once, and never later than the server gives the lock to another.
 */
import { posix } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { type Client, ClientError, type Query, unexpected } from './client.ts'
import { collect } from './exchange.ts'
import { exactJson, parseExact } from './json.ts'
import { pathOf } from './kv.ts'

/** What kind of lock a key is for, as Consul's clients mark it. */
const LOCK_FLAGS = 0x2ddccbc058a50c18n
const SEMAPHORE_FLAGS = 0xe0f69a2baa414de0n

/** The key of both kinds below a prefix: whoever mixes them up is told. */
export const LOCK_NAME = '.lock'

export interface LockOptions {
  readonly prefix: string
  /** Holders at a time; more than one makes a semaphore. */
  readonly limit: number
  readonly sessionName: string
  /** How long to try; for ever unless given. */
  readonly timeoutMs: number | undefined
  /** Failures in a row that a holder sits out while it looks whether it still holds. */
  readonly monitorRetries: number
}

export interface Held {
  /** Never goes back from holder to holder; undefined for a semaphore, which has several. */
  readonly fencingIndex: string | undefined
  /** Settles when the lock is not ours any more. */
  readonly lost: Promise<void>
  /** Gives it back, and removes what nobody uses any more. Says whether others use it. */
  release(): Promise<'removed' | 'in use'>
}

interface Pair {
  readonly Key: string
  readonly Value: string | null
  readonly Flags: number | bigint
  readonly Session?: string
  readonly ModifyIndex: number
}

/** Tries until it holds; undefined when the time is over or `stop` says so. */
export async function acquire(
  client: Client,
  clock: Clock,
  options: LockOptions,
  stop: AbortSignal,
): Promise<Held | undefined> {
  const session = await Session.create(client, clock, options)
  try {
    const kind = options.limit === 1 ? new Lock(client, options) : new Semaphore(client, options)
    const isHeld = await contend(kind, session, { clock, options, stop })
    if (!isHeld) {
      await kind.giveUp(session.id)
      await session.end()
      return undefined
    }
    const fencingIndex = await kind.fencingIndex(session.id)
    const watching = new AbortController()
    const gone = monitor(kind, session.id, { clock, options, stop: watching.signal })
    return {
      fencingIndex,
      lost: Promise.race([gone, session.lost]),
      async release() {
        watching.abort()
        await kind.release(session.id)
        await session.end()
        return (await kind.remove()) ? 'removed' : 'in use'
      },
    }
  } catch (error) {
    await session.end()
    throw error
  }
}

type Tried = 'held' | 'delayed' | { readonly index: string }

interface Seen {
  readonly isHeld: boolean
  readonly index: string
}

/** What a lock and a semaphore do differently. */
interface Kind {
  /** Tries once; else what to wait for: a change after this index, or the end of a lock delay. */
  try(session: string, query: Query, stop: AbortSignal): Promise<Tried>
  /** Whether this session still holds, answered after a change or a while. */
  look(session: string, query: Query, stop: AbortSignal): Promise<Seen>
  fencingIndex(session: string): Promise<string | undefined>
  release(session: string): Promise<void>
  giveUp(session: string): Promise<void>
  /** Removes the key that nobody holds; whether it is gone. */
  remove(): Promise<boolean>
}

interface Surroundings {
  readonly clock: Clock
  readonly options: LockOptions
  readonly stop: AbortSignal
}

async function contend(
  kind: Kind,
  session: Session,
  { clock, options, stop }: Surroundings,
): Promise<boolean> {
  const startMs = clock.monotonic()
  let index: string | undefined
  for (let tries = 0; !stop.aborted; tries++) {
    const leftMs = (options.timeoutMs ?? Number.POSITIVE_INFINITY) - (clock.monotonic() - startMs)
    if (tries > 0 && leftMs <= 0) return false
    const waitMs = Math.max(1, Math.min(limits.lockWaitMs, leftMs))
    const query = { index, wait: waitText(waitMs) }
    const found = await kind.try(session.id, query, stop).catch(error => {
      if (stop.aborted) return undefined
      throw error
    })
    if (found === undefined) return false
    if (found === 'held') return true
    index = found === 'delayed' ? undefined : found.index
    if (found === 'delayed') await pause(clock, Math.min(limits.lockRetryMs, leftMs), stop)
  }
  return false
}

/** Settles when the lock is seen to be gone, or cannot be seen any more. */
async function monitor(
  kind: Kind,
  session: string,
  { clock, options, stop }: Surroundings,
): Promise<void> {
  let failures = 0
  let index: string | undefined
  while (!stop.aborted) {
    try {
      const query = { consistent: '', index, wait: waitText(limits.lockWaitMs) }
      const seen = await kind.look(session, query, stop)
      if (!seen.isHeld) return
      failures = 0
      index = seen.index
    } catch {
      if (stop.aborted) break
      if (++failures > options.monitorRetries) return
      index = undefined
      await pause(clock, limits.lockMonitorRetryMs, stop)
    }
  }
  // Given back: nothing is lost any more.
  return new Promise(() => {})
}

/** Keeps a session alive, and knows when it may not be any more. */
class Session {
  readonly id: string
  readonly #client: Client
  readonly #clock: Clock
  readonly #ended = new AbortController()
  readonly #lost = Promise.withResolvers<void>()

  static async create(client: Client, clock: Clock, options: LockOptions): Promise<Session> {
    const sentMs = clock.monotonic()
    const body = {
      Name: options.sessionName,
      TTL: `${limits.lockSessionTtlMs / 1_000}s`,
      ...(options.limit > 1 ? { Behavior: 'delete' } : {}),
    }
    try {
      const bytes = Buffer.from(JSON.stringify(body))
      const answer = await client.send('PUT', '/v1/session/create', {}, bytes)
      return new Session(client, clock, JSON.parse(answer).ID, sentMs)
    } catch (error) {
      throw new ClientError(`failed to create session: ${messageOf(error)}`)
    }
  }

  private constructor(client: Client, clock: Clock, id: string, sentMs: number) {
    this.id = id
    this.#client = client
    this.#clock = clock
    void this.#renew(sentMs)
  }

  get lost(): Promise<void> {
    return this.#lost.promise
  }

  /** Destroys it; the server ends what we cannot reach any more by itself. */
  async end(): Promise<void> {
    this.#ended.abort()
    try {
      await this.#client.send('PUT', `/v1/session/destroy/${this.id}`)
    } catch {
      // Its time runs out.
    }
  }

  async #renew(createdMs: number): Promise<void> {
    const ttlMs = limits.lockSessionTtlMs
    const stop = this.#ended.signal
    let confirmedMs = createdMs
    let delayMs = ttlMs / 2
    while (!stop.aborted) {
      const leftMs = confirmedMs + ttlMs - this.#clock.monotonic()
      if (leftMs <= 0) return this.#lost.resolve()
      await pause(this.#clock, Math.min(delayMs, leftMs), stop)
      if (stop.aborted) return
      const sentMs = this.#clock.monotonic()
      const asked = this.#client.ask('PUT', `/v1/session/renew/${this.id}`).then(
        ({ status }) => status,
        () => 0,
      )
      const bound = pause(this.#clock, confirmedMs + ttlMs - sentMs, stop).then(() => 0)
      const status = await Promise.race([asked, bound])
      if (status === 404) return this.#lost.resolve()
      if (status === 200) confirmedMs = sentMs
      delayMs = status === 200 ? ttlMs / 2 : limits.lockMonitorRetryMs
    }
  }
}

class Keys {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /** Entries under a key, none for a 404, with the index of the answer. */
  async read(
    key: string,
    query: Query,
    stop?: AbortSignal,
  ): Promise<{ pairs: Pair[]; index: string }> {
    const options = stop === undefined ? {} : { signal: stop }
    const answer = await this.#client.open('GET', pathOf(key), query, options)
    const body = await collect(answer.body)
    const index = String(answer.headers['x-consul-index'] ?? '')
    if (answer.status === 404) return { pairs: [], index }
    if (answer.status !== 200) throw unexpected({ status: answer.status, body })
    return { pairs: parseExact(body.toString('utf8')), index }
  }

  async write(key: string, query: Query, value = ''): Promise<boolean> {
    const answer = await this.#client.send('PUT', pathOf(key), query, Buffer.from(value))
    return answer.includes('true')
  }

  async delete(key: string, query: Query = {}): Promise<boolean> {
    return (await this.#client.send('DELETE', pathOf(key), query)).includes('true')
  }
}

class Lock implements Kind {
  readonly #keys: Keys
  readonly #key: string

  constructor(client: Client, { prefix }: LockOptions) {
    this.#keys = new Keys(client)
    this.#key = posix.join(prefix, LOCK_NAME)
  }

  async try(session: string, query: Query, stop: AbortSignal): Promise<Tried> {
    const { pairs, index } = await this.#keys.read(this.#key, query, stop)
    const holder = holderOf(pairs[0])
    if (holder === session) return 'held'
    if (holder !== '') return { index }
    const mark = { acquire: session, flags: String(LOCK_FLAGS) }
    if (await this.#keys.write(this.#key, mark)) return 'held'
    const after = await this.#keys.read(this.#key, {})
    return holderOf(after.pairs[0]) === '' ? 'delayed' : { index: after.index }
  }

  async look(session: string, query: Query, stop: AbortSignal): Promise<Seen> {
    const { pairs, index } = await this.#keys.read(this.#key, query, stop)
    return { isHeld: pairs[0]?.Session === session, index }
  }

  /** Not the LockIndex: that begins anew when the key was removed in between. */
  async fencingIndex(session: string): Promise<string | undefined> {
    const { pairs } = await this.#keys.read(this.#key, { consistent: '' })
    if (pairs[0]?.Session !== session) throw new ClientError('the lock was lost at once')
    return String(pairs[0].ModifyIndex)
  }

  async release(session: string): Promise<void> {
    await this.#keys.write(this.#key, { release: session, flags: String(LOCK_FLAGS) })
  }

  async giveUp(): Promise<void> {}

  async remove(): Promise<boolean> {
    const { pairs } = await this.#keys.read(this.#key, {})
    if (pairs[0] === undefined) return true
    if (holderOf(pairs[0]) !== '') return false
    return this.#keys.delete(this.#key, { cas: String(pairs[0].ModifyIndex) })
  }
}

function holderOf(pair: Pair | undefined): string {
  if (pair !== undefined && BigInt(pair.Flags) !== LOCK_FLAGS) {
    throw new ClientError('existing key does not match lock use')
  }
  return pair?.Session ?? ''
}

interface Holders {
  readonly Limit: number
  readonly Holders: Record<string, boolean>
}

class Semaphore implements Kind {
  readonly #keys: Keys
  readonly #prefix: string
  readonly #lockKey: string
  readonly #limit: number
  #isContender = false

  constructor(client: Client, { prefix, limit }: LockOptions) {
    this.#keys = new Keys(client)
    this.#prefix = prefix.replace(/\/*$/, '/')
    this.#lockKey = posix.join(prefix, LOCK_NAME)
    this.#limit = limit
  }

  async try(session: string, query: Query, stop: AbortSignal): Promise<Tried> {
    if (!this.#isContender) {
      const mark = { acquire: session, flags: String(SEMAPHORE_FLAGS) }
      this.#isContender = await this.#keys.write(this.#contender(session), mark)
      if (!this.#isContender) throw new ClientError('failed to make contender entry')
    }
    const { holders, modifyIndex, index } = await this.#read(query, stop)
    if (holders.Limit !== this.#limit) {
      throw new ClientError(
        `semaphore limit conflict (lock: ${holders.Limit}, local: ${this.#limit})`,
      )
    }
    if (Object.keys(holders.Holders).length >= this.#limit) return { index }
    const mine = { ...holders, Holders: { ...holders.Holders, [session]: true } }
    // Of two that write at a time one comes too late, and looks again at once.
    return (await this.#write(mine, modifyIndex)) ? 'held' : { index: '0' }
  }

  async look(session: string, query: Query, stop: AbortSignal): Promise<Seen> {
    const { holders, index } = await this.#read(query, stop)
    return { isHeld: holders.Holders[session] === true, index }
  }

  async fencingIndex(): Promise<undefined> {
    return undefined
  }

  async release(session: string): Promise<void> {
    for (let tries = 0; tries < limits.semaphoreTries; tries++) {
      const { holders, modifyIndex } = await this.#read({})
      const { [session]: held, ...others } = holders.Holders
      if (held === undefined) break
      if (await this.#write({ ...holders, Holders: others }, modifyIndex)) break
    }
    await this.giveUp(session)
  }

  async giveUp(session: string): Promise<void> {
    await this.#keys.delete(this.#contender(session))
  }

  async remove(): Promise<boolean> {
    const { holders, modifyIndex } = await this.#read({})
    if (modifyIndex === 0) return true
    if (Object.keys(holders.Holders).length > 0) return false
    return this.#keys.delete(this.#lockKey, { cas: String(modifyIndex) })
  }

  #contender(session: string): string {
    return this.#prefix + session
  }

  /** The holders whose sessions live: each has an entry of its own that goes with its session. */
  async #read(
    query: Query,
    stop?: AbortSignal,
  ): Promise<{ holders: Holders; modifyIndex: number; index: string }> {
    const { pairs, index } = await this.#keys.read(this.#prefix, { ...query, recurse: '' }, stop)
    const lock = pairs.find(({ Key }) => Key === this.#lockKey)
    if (lock === undefined) {
      return { holders: { Limit: this.#limit, Holders: {} }, modifyIndex: 0, index }
    }
    if (BigInt(lock.Flags) !== SEMAPHORE_FLAGS) {
      throw new ClientError('existing key does not match semaphore use')
    }
    const text = Buffer.from(lock.Value ?? '', 'base64').toString('utf8')
    const { Limit, Holders } = parseExact<Holders>(text)
    const alive = new Set(pairs.flatMap(({ Session = '' }) => [Session]))
    const living = Object.entries(Holders ?? {}).filter(([session]) => alive.has(session))
    return {
      holders: { Limit, Holders: Object.fromEntries(living) },
      modifyIndex: lock.ModifyIndex,
      index,
    }
  }

  #write(holders: Holders, modifyIndex: number): Promise<boolean> {
    const query = { cas: String(modifyIndex), flags: String(SEMAPHORE_FLAGS) }
    return this.#keys.write(this.#lockKey, query, exactJson(holders, 0))
  }
}

const waitText = (waitMs: number): string => `${Math.ceil(waitMs)}ms`
