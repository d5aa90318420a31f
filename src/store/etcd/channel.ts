/**
 * The connection to etcd's members: one of them in use, another one when it fails.
 *
 * Owns the endpoints, TLS with certificates that are renewed under way, logging in, and leaving a
 * member that is cut off, stopped or paused, or that answers but has no quorum. Repeats a request
 * only when etcd did not even look at it since the login had run out: after any other failure the
 * caller alone knows whether it may be sent again. Passwords and tokens are in no error.
 */
import { type Clock, systemClock, type Timer } from '../../base/clock.ts'
import { same } from '../../base/equal.ts'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import {
  type ChannelSettings,
  type Metadata,
  openRpcClient,
  type RpcClient,
  type RpcCodecs,
  RpcError,
  type RpcListener,
} from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import type { TlsMaterial } from '../../base/tls.ts'
import { decodeRange, decodeTxn, decodeWatch, encodeRange, encodeTxn } from './codec.ts'
import type { Methods } from './messages.ts'

/** How etcd lets us in, where it asks. */
export interface EtcdAccess {
  /**
   * What is shown and trusted at `https` endpoints, as it is now: asked again and again, so that
   * renewed certificates are taken up. While it fails the last one stays. The system's authorities
   * and no certificate where it is not given.
   */
  readonly material?: () => TlsMaterial | Promise<TlsMaterial>
  /**
   * Where the members are now, where they come and go: asked again and again. The first is gone
   * back to whenever it serves.
   */
  readonly endpoints?: () => readonly string[]
  /** A user of etcd's; the password is asked for at each login. */
  readonly login?: { readonly username: string; readonly password: () => string | Promise<string> }
  /** The system's unless given. */
  readonly clock?: Clock
}

type Client = RpcClient<Methods>

/** What is under way at one of the members. */
interface UnderWay {
  readonly at: number
  readonly sinceMs: number
  fail(error: RpcError): void
}

const codecs: RpcCodecs<Methods> = {
  'etcdserverpb.KV/Range': { encode: encodeRange, decode: decodeRange },
  'etcdserverpb.KV/Txn': { encode: encodeTxn, decode: decodeTxn },
  'etcdserverpb.Watch/Watch': { decode: decodeWatch },
}

const AUTHENTICATE = 'etcdserverpb.Auth/Authenticate'
const RANGE = 'etcdserverpb.KV/Range'

/** Opens the endpoints' clients. Throws OperatingError `unavailable` for unusable material. */
export async function openChannel(
  endpoints: readonly string[],
  access: EtcdAccess,
): Promise<EtcdChannel> {
  let material: TlsMaterial | undefined
  try {
    material = await access.material?.()
  } catch (error) {
    const text = `the certificates for etcd cannot be used: ${(error as Error).message}`
    throw new OperatingError(OperatingCode.unavailable, text, 'none', error)
  }
  const clients = await openClients(endpoints, material)
  return new EtcdChannel(endpoints, clients, access, material)
}

function openClients(
  endpoints: readonly string[],
  material: TlsMaterial | undefined,
): Promise<Client[]> {
  return Promise.all(
    endpoints.map(endpoint =>
      openRpcClient<Methods>('etcd/rpc.proto', ...addressOf(endpoint, material), codecs),
    ),
  )
}

function addressOf(
  endpoint: string,
  material: TlsMaterial | undefined,
): readonly [string, ChannelSettings] {
  const isSecure = endpoint.startsWith('https://')
  // The resolver asks name servers alone, and this name is none of theirs.
  const address = endpoint
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/^localhost(?=:)/, '127.0.0.1')
  if (!isSecure) return [address, { isShared: false }]
  const name = new URL(endpoint).hostname.replace(/^\[|\]$/g, '')
  const pems = material?.pems()
  const tls = { name, rejectUnauthorized: true, ...(pems === undefined ? {} : { pems }) }
  return [address, { isShared: false, tls }]
}

export class EtcdChannel {
  #endpoints: readonly string[]
  readonly #access: EtcdAccess
  readonly #clock: Clock
  #clients: readonly Client[]
  #material: TlsMaterial | undefined
  /** Which of the clients is in use. */
  #at = 0
  readonly #calls = new Set<UnderWay>()
  readonly #streams = new Set<UnderWay>()
  /** The login's token; undefined: to be asked for. */
  #token: Promise<string> | undefined
  #isLooking = false
  #watchdog: Timer | undefined
  #materialTimer: Timer | undefined
  #isClosed = false

  constructor(
    endpoints: readonly string[],
    clients: readonly Client[],
    access: EtcdAccess,
    material: TlsMaterial | undefined,
  ) {
    this.#endpoints = endpoints
    this.#clients = clients
    this.#access = access
    this.#clock = access.clock ?? systemClock
    this.#material = material
    const { material: renewed, endpoints: moving } = access
    if (renewed !== undefined || moving !== undefined) this.#lookAroundLater()
  }

  /** What the connection is over, for logs and errors. */
  get endpoint(): string {
    return this.#endpoints[this.#at]!
  }

  /**
   * Asks every member the same. What each said, in the order of the endpoints; UNAUTHENTICATED,
   * with the reason, of one that answers nothing without a login that it accepts.
   */
  async all<N extends keyof Methods>(
    method: N,
    request: Methods[N]['request'],
    timeoutMs: number,
  ): Promise<PromiseSettledResult<Methods[N]['answer']>[]> {
    let metadata: Metadata = {}
    let unnamed = ''
    try {
      metadata = await this.#metadata()
    } catch (error) {
      unnamed = messageOf(error)
    }
    const answers = await Promise.allSettled(
      this.#clients.map(client => client.call(method, request, timeoutMs, metadata)),
    )
    return answers.map(answer => {
      if (answer.status === 'fulfilled' || !isLoginOver(answer.reason)) return answer
      const why = unnamed || messageOf(answer.reason)
      return { status: 'rejected', reason: new RpcError('UNAUTHENTICATED', why, false) }
    })
  }

  /** Goes on with this endpoint. */
  use(at: number): void {
    if (at !== this.#at) this.#move(at, 'another member is in use now')
  }

  /** One request to the member in use. Rejects with RpcError. */
  async call<N extends keyof Methods>(
    method: N,
    request: Methods[N]['request'],
    timeoutMs: number = limits.etcdRequestTimeoutMs,
  ): Promise<Methods[N]['answer']> {
    if (this.#access.login === undefined) return this.#once(method, request, timeoutMs, {})
    const login = this.#login()
    try {
      return await this.#once(method, request, timeoutMs, withToken(await login))
    } catch (error) {
      if (!isLoginOver(error)) throw error
      if (this.#token === login) this.#token = undefined
    }
    return this.#once(method, request, timeoutMs, await this.#metadata())
  }

  /** A stream to the member in use. It ends with UNAVAILABLE when that member is left. */
  open<N extends keyof Methods>(
    method: N,
    listener: RpcListener<Methods[N]['answer']>,
    options: { readonly metadata?: Metadata; readonly timeoutMs?: number } = {},
  ): { send(request: Methods[N]['request']): void; cancel(): void } {
    const at = this.#at
    const waiting: Methods[N]['request'][] = []
    let stream: { send(request: Methods[N]['request']): void; cancel(): void } | undefined
    let isOver = false
    const end = (error: RpcError | undefined): void => {
      if (isOver) return
      isOver = true
      this.#streams.delete(underWay)
      listener.onEnd(error)
    }
    const onEnd = (error: RpcError | undefined): void => {
      this.#leave(at, error)
      end(error)
    }
    const underWay: UnderWay = {
      at,
      sinceMs: this.#clock.monotonic(),
      fail: error => {
        stream?.cancel()
        end(error)
      },
    }
    this.#streams.add(underWay)
    const opened = { onMessage: listener.onMessage.bind(listener), onEnd }
    const begin = (token: Metadata): void => {
      if (isOver) return
      const metadata = { ...options.metadata, ...token }
      stream = this.#clients[at]!.open(method, opened, { ...options, metadata })
      for (const request of waiting) stream.send(request)
    }
    if (this.#access.login === undefined) begin({})
    else this.#metadata().then(begin, error => end(toRpcError(error)))
    return {
      send: request => {
        if (stream === undefined) waiting.push(request)
        else stream.send(request)
      },
      cancel: () => {
        isOver = true
        this.#streams.delete(underWay)
        stream?.cancel()
      },
    }
  }

  /** One request, many answers, from the member in use. */
  async *receive<N extends keyof Methods>(
    method: N,
    request: Methods[N]['request'],
    timeoutMs: number,
  ): AsyncGenerator<Methods[N]['answer']> {
    const metadata = await this.#metadata()
    yield* this.#clients[this.#at]!.receive(method, request, { timeoutMs, metadata })
  }

  /** The login is not good any more: the next call makes another one. */
  forgetLogin(): void {
    this.#token = undefined
  }

  close(): void {
    this.#isClosed = true
    this.#watchdog?.clear()
    this.#materialTimer?.clear()
    for (const client of this.#clients) client.close()
  }

  #once<N extends keyof Methods>(
    method: N,
    request: Methods[N]['request'],
    timeoutMs: number,
    metadata: Metadata,
  ): Promise<Methods[N]['answer']> {
    const at = this.#at
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#calls.delete(underWay)
      }
      const underWay: UnderWay = {
        at,
        sinceMs: this.#clock.monotonic(),
        fail: error => {
          over()
          reject(error)
        },
      }
      this.#calls.add(underWay)
      this.#watch()
      this.#clients[at]!.call(method, request, timeoutMs, metadata).then(
        answer => {
          over()
          resolve(answer)
        },
        error => {
          over()
          this.#leave(at, error)
          reject(error)
        },
      )
    })
  }

  // --- which member

  /** Goes on with the next endpoint when this one failed. */
  #leave(at: number, error: unknown): void {
    const failed = error instanceof RpcError && isUnclear(error)
    if (!failed || at !== this.#at || this.#clients.length === 1) return
    this.#move((at + 1) % this.#clients.length, error.message)
  }

  /** Leaves the member in use for another one: nothing is waited for at the old one. */
  #move(to: number, why: string): void {
    const from = this.#at
    this.#at = to
    const left = new RpcError('UNAVAILABLE', `${this.#endpoints[from]} was left: ${why}`, true)
    for (const underWay of [...this.#calls, ...this.#streams]) {
      if (underWay.at === from) underWay.fail(left)
    }
  }

  /** Looks now and then whether calls take suspiciously long. */
  #watch(): void {
    if (this.#watchdog !== undefined || this.#clients.length === 1) return
    this.#watchdog = this.#clock.after(limits.etcdSuspicionMs / 2, () => {
      this.#watchdog = undefined
      if (this.#calls.size === 0 || this.#isClosed) return
      const [oldest] = this.#calls
      const isSuspect = this.#clock.monotonic() - oldest!.sinceMs > limits.etcdSuspicionMs
      if (isSuspect) void this.#look()
      this.#watch()
    })
  }

  /**
   * Asks all members for what only one with a quorum can give, and leaves the one in use when it
   * cannot and another one can.
   */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const at = this.#at
    const answers = await this.all(RANGE, HEALTH, limits.etcdSuspicionMs)
    this.#isLooking = false
    if (this.#isClosed || at !== this.#at) return
    const isWell = answers.map(
      answer => answer.status === 'fulfilled' || !isUnclear(toRpcError(answer.reason)),
    )
    const better = isWell.indexOf(true)
    if (!isWell[at] && better >= 0) this.#move(better, 'it does not answer, and another one does')
  }

  // --- logging in

  async #metadata(): Promise<Metadata> {
    return withToken(this.#access.login && (await this.#login()))
  }

  #login(): Promise<string> {
    this.#token ??= this.#authenticate().catch((error: unknown) => {
      this.#token = undefined
      throw error
    })
    return this.#token
  }

  async #authenticate(): Promise<string> {
    const { username, password } = this.#access.login!
    let secret: string
    try {
      secret = await password()
    } catch (error) {
      throw new RpcError('UNAVAILABLE', `no password for etcd: ${(error as Error).message}`, false)
    }
    try {
      const request = { name: username, password: secret }
      const answer = await this.#once(AUTHENTICATE, request, limits.etcdRequestTimeoutMs, {})
      return answer.token
    } catch (error) {
      // As etcd's own clients do: a cluster on which logins are about to be switched on.
      if (error instanceof RpcError && /is not enabled/.test(error.message)) return ''
      // Whatever the call was for, it has not been sent.
      throw error instanceof RpcError ? new RpcError(error.code, error.message, false) : error
    }
  }

  // --- certificates, and members that come and go

  #lookAroundLater(): void {
    if (this.#isClosed) return
    this.#materialTimer = this.#clock.after(limits.etcdMaterialLookMs, () => {
      void this.#lookAround().finally(() => this.#lookAroundLater())
    })
  }

  async #lookAround(): Promise<void> {
    let material: TlsMaterial | undefined
    let clients: Client[]
    const stated = this.#access.endpoints?.() ?? []
    const endpoints = stated.length === 0 ? this.#endpoints : stated
    try {
      material = await this.#access.material?.()
      const isRenewed = material?.digest !== this.#material?.digest
      if (!isRenewed && same(endpoints, this.#endpoints)) {
        if (this.#access.endpoints !== undefined && this.#at !== 0) await this.#goBack()
        return
      }
      clients = await openClients(endpoints, material)
    } catch {
      // Half-written files, most likely: the next look finds them whole.
      return
    }
    const old = this.#clients
    if (this.#isClosed) {
      for (const client of clients) client.close()
      return
    }
    this.#at = Math.max(0, endpoints.indexOf(this.endpoint))
    this.#endpoints = endpoints
    this.#clients = clients
    this.#material = material
    // What is under way ends by itself, but streams would go on over the old connections for ever.
    const renewed = new RpcError('UNAVAILABLE', 'the connections to etcd were renewed', true)
    for (const stream of [...this.#streams]) stream.fail(renewed)
    for (const client of old) client.close()
  }

  /** Goes back to the first member when it serves: it is this server's own. */
  async #goBack(): Promise<void> {
    const first = this.#clients[0]!
    try {
      await first.call(RANGE, HEALTH, limits.etcdSuspicionMs, await this.#metadata())
    } catch {
      return
    }
    if (!this.#isClosed && first === this.#clients[0]) this.#move(0, 'the first one serves again')
  }
}

/** What a member without a quorum cannot answer; nobody has such a key, and it may be refused. */
const HEALTH = { key: Buffer.from('health') }

const withToken = (token: string | undefined): Metadata =>
  token === undefined || token === '' ? {} : { token }

/** Whether etcd refused before it looked at the request, since the login is not good any more. */
function isLoginOver(error: unknown): boolean {
  if (!(error instanceof RpcError)) return false
  return (
    error.code === 'UNAUTHENTICATED' ||
    /invalid auth token|revision of auth store is old|user name is empty/.test(error.message)
  )
}

const toRpcError = (error: unknown): RpcError =>
  error instanceof RpcError ? error : new RpcError('UNKNOWN', 'failed', true)

/** Whether a failure leaves open what became of the request. */
export function isUnclear({ code }: RpcError): boolean {
  return /^(UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED|UNKNOWN|INTERNAL|ABORTED)$/.test(code)
}
