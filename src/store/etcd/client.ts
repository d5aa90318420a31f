/**
 * etcd's interface as the engine sees it: typed requests over one connection at a time.
 *
 * Owns the endpoints (on a failure the next one is used), the deadline of each request, and which
 * versions of etcd are good enough. Never repeats a request: after a failure only the caller knows
 * whether it may be sent again. `Etcd` is the port that tests wrap to add faults.
 */
import { messageOf, OperatingCode, OperatingError, type Outcome } from '../../base/errors.ts'
import { openRpcClient, type RpcClient, RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'

/** A 64-bit number of an answer. */
export interface Int64 {
  toNumber(): number
  toString(): string
  isZero(): boolean
}

/** What every answer begins with: the revision of the whole etcd, others' keys included. */
export interface Header {
  readonly revision: Int64
}

/** A stored key. */
export interface KeyValue {
  readonly key: Buffer
  readonly value: Buffer
  readonly createRevision: Int64
  readonly modRevision: Int64
  readonly version: Int64
  readonly lease: Int64
}

/** Keys from `key` up to, not including, `rangeEnd`; without an end the one key. */
export interface RangeRequest {
  readonly key: Buffer
  readonly rangeEnd?: Buffer
  readonly limit?: number
  readonly revision?: number
  readonly sortOrder?: 'ASCEND' | 'DESCEND'
  readonly sortTarget?: 'KEY' | 'MOD'
  readonly keysOnly?: boolean
}

/** The keys found, in order; `more` when `limit` cut them off. */
export interface RangeResponse {
  readonly header: Header
  readonly kvs: readonly KeyValue[]
  readonly more: boolean
}

/** Puts one key. */
export interface PutRequest {
  readonly key: Buffer
  readonly value: Buffer
  /** A lease's id in decimal digits. */
  readonly lease?: string
}

/** One operation of a transaction. */
export type RequestOp =
  | { readonly requestPut: PutRequest }
  | { readonly requestDeleteRange: { readonly key: Buffer; readonly rangeEnd?: Buffer } }
  | { readonly requestRange: RangeRequest }
  | { readonly requestTxn: TxnRequest }

/** One condition of a transaction: on a key, or on every key of a range. */
export interface EtcdCompare {
  readonly key: Buffer
  readonly rangeEnd?: Buffer
  readonly target: 'MOD' | 'CREATE'
  readonly result: 'EQUAL' | 'LESS'
  readonly modRevision?: number
  readonly createRevision?: number
}

/** All of `success` when every compare holds, else all of `failure`; one revision. */
export interface TxnRequest {
  readonly compare?: readonly EtcdCompare[]
  readonly success: readonly RequestOp[]
  readonly failure?: readonly RequestOp[]
}

/** Which of the two was done, and what its operations gave. */
export interface TxnResponse {
  readonly header: Header
  readonly succeeded: boolean
  readonly responses: readonly { readonly responseRange?: RangeResponse }[]
}

/** What to watch, from which revision on. */
export interface WatchCreateRequest {
  readonly key: Buffer
  readonly rangeEnd: Buffer
  readonly startRevision: number
  readonly fragment: true
  readonly progressNotify: true
}

/** A key was put or deleted, at its `modRevision`. */
export interface WatchEvent {
  readonly type: 'PUT' | 'DELETE'
  readonly kv: KeyValue
}

/** Events, or what became of the watch. */
export interface WatchResponse {
  readonly header: Header
  readonly created: boolean
  readonly canceled: boolean
  readonly compactRevision: Int64
  readonly cancelReason: string
  readonly fragment: boolean
  readonly events: readonly WatchEvent[]
}

/** Who listens to a watch. `onEnd` comes once, last, and not at all after `cancel`. */
export interface WatchListener {
  onResponse(response: WatchResponse): void
  onEnd(error: RpcError | undefined): void
}

/** A lease as etcd granted it: its id in decimal digits, and its time. */
export interface GrantedLease {
  readonly id: string
  readonly ttlS: number
}

/** etcd. Every call rejects with RpcError; reads are linearizable. */
export interface Etcd {
  /** What an operator should know about this etcd. */
  readonly warnings: readonly string[]
  range(request: RangeRequest): Promise<RangeResponse>
  txn(request: TxnRequest): Promise<TxnResponse>
  compact(revision: number): Promise<void>
  grant(ttlS: number): Promise<GrantedLease>
  /** The time that the lease has from now on, in seconds; 0 when it has ended. */
  keepAlive(lease: string): Promise<number>
  revoke(lease: string): Promise<void>
  watch(request: WatchCreateRequest, listener: WatchListener): { cancel(): void }
  close(): void
}

// Written as a type, since an interface is not a record.
type Methods = {
  'etcdserverpb.KV/Range': { request: RangeRequest; answer: RangeResponse }
  'etcdserverpb.KV/Txn': { request: TxnRequest; answer: TxnResponse }
  'etcdserverpb.KV/Compact': { request: { revision: number; physical: boolean }; answer: object }
  'etcdserverpb.Lease/LeaseGrant': {
    request: { TTL: number }
    answer: { ID: Int64; TTL: Int64 }
  }
  'etcdserverpb.Lease/LeaseRevoke': { request: { ID: string }; answer: object }
  'etcdserverpb.Lease/LeaseKeepAlive': { request: { ID: string }; answer: { TTL: Int64 } }
  'etcdserverpb.Watch/Watch': {
    request: { createRequest: WatchCreateRequest }
    answer: WatchResponse
  }
  'etcdserverpb.Maintenance/Status': { request: object; answer: { version: string } }
}
type Client = RpcClient<Methods>

/**
 * Connects to the first of the endpoints (`host:port`, or `http://host:port`) that answers.
 * Throws OperatingError `unavailable` when none does or etcd is too old.
 */
export async function connectEtcd(endpoints: readonly string[]): Promise<Etcd> {
  const clients = await Promise.all(
    endpoints.map(endpoint => openRpcClient<Methods>('etcd/rpc.proto', addressOf(endpoint))),
  )
  try {
    const { at, version } = await findAnswering(clients, endpoints)
    return new Connection(clients, at, warningsFor(version))
  } catch (error) {
    for (const client of clients) client.close()
    throw error
  }
}

function addressOf(endpoint: string): string {
  if (endpoint.startsWith('https://')) {
    throw new OperatingError(
      OperatingCode.unavailable,
      `the etcd endpoint ${endpoint} asks for TLS, which is not served yet: use http://`,
    )
  }
  // The resolver asks name servers alone, and this name is none of theirs.
  return endpoint.replace(/^http:\/\//, '').replace(/^localhost(?=:)/, '127.0.0.1')
}

async function findAnswering(
  clients: readonly Client[],
  endpoints: readonly string[],
): Promise<{ at: number; version: string }> {
  const reasons: string[] = []
  for (const [at, client] of clients.entries()) {
    try {
      const status = 'etcdserverpb.Maintenance/Status'
      const { version } = await client.call(status, {}, limits.etcdRequestTimeoutMs)
      return { at, version }
    } catch (error) {
      reasons.push(`${endpoints[at]} (${messageOf(error)})`)
    }
  }
  throw new OperatingError(
    OperatingCode.unavailable,
    `cannot reach etcd at ${reasons.join(', ')}. Start it (Debian's package etcd-server), for ` +
      'example: etcd --data-dir etcd-data --listen-client-urls http://127.0.0.1:2379 ' +
      '--advertise-client-urls http://127.0.0.1:2379; or name another one with `endpoints` in ' +
      'the store stanza',
  )
}

/** In each line of versions, the first release with all known fixes. */
const FIXED: Readonly<Record<string, number>> = { '3.5': 33, '3.6': 14, '3.7': 1 }

/** What to warn of with a version of etcd. Throws OperatingError `unavailable` for too old ones. */
export function warningsFor(version: string): readonly string[] {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+-]/).map(Number)
  if (major < 3 || (major === 3 && minor < 4)) {
    const text = `etcd ${version} is too old: 3.4 or newer is needed`
    throw new OperatingError(OperatingCode.unavailable, text)
  }
  const fixed = major > 3 || minor > 7 ? 0 : FIXED[`${major}.${minor}`]
  if (fixed !== undefined && patch >= fixed) return []
  return [
    `etcd ${version} lacks fixes of known faults and advisories: ` +
      'upgrade it to 3.5.33, 3.6.14, 3.7.1 or newer',
  ]
}

class Connection implements Etcd {
  readonly warnings: readonly string[]
  readonly #clients: readonly Client[]
  /** Which of the clients is in use. */
  #at: number

  constructor(clients: readonly Client[], at: number, warnings: readonly string[]) {
    this.#clients = clients
    this.#at = at
    this.warnings = warnings
  }

  range(request: RangeRequest): Promise<RangeResponse> {
    return this.#call('etcdserverpb.KV/Range', request)
  }

  txn(request: TxnRequest): Promise<TxnResponse> {
    return this.#call('etcdserverpb.KV/Txn', request)
  }

  async compact(revision: number): Promise<void> {
    await this.#call('etcdserverpb.KV/Compact', { revision, physical: false })
  }

  async grant(ttlS: number): Promise<GrantedLease> {
    const { ID, TTL } = await this.#call('etcdserverpb.Lease/LeaseGrant', { TTL: ttlS })
    return { id: ID.toString(), ttlS: TTL.toNumber() }
  }

  async revoke(lease: string): Promise<void> {
    await this.#call('etcdserverpb.Lease/LeaseRevoke', { ID: lease })
  }

  keepAlive(lease: string): Promise<number> {
    const at = this.#at
    return new Promise((resolve, reject) => {
      const listener = {
        onMessage: ({ TTL }: { TTL: Int64 }) => {
          stream.cancel()
          resolve(TTL.toNumber())
        },
        onEnd: (error: RpcError | undefined) => {
          this.#leave(at, error)
          reject(error ?? new RpcError('UNAVAILABLE', 'etcd ended the stream', true))
        },
      }
      const options = { timeoutMs: limits.etcdRequestTimeoutMs }
      const stream = this.#clients[at]!.open('etcdserverpb.Lease/LeaseKeepAlive', listener, options)
      stream.send({ ID: lease })
    })
  }

  watch(request: WatchCreateRequest, listener: WatchListener): { cancel(): void } {
    const at = this.#at
    const stream = this.#clients[at]!.open(
      'etcdserverpb.Watch/Watch',
      {
        onMessage: response => listener.onResponse(response),
        onEnd: error => {
          this.#leave(at, error)
          listener.onEnd(error)
        },
      },
      // A member that is cut off from the others ends the stream instead of falling silent.
      { metadata: { hasleader: 'true' } },
    )
    stream.send({ createRequest: request })
    return stream
  }

  close(): void {
    for (const client of this.#clients) client.close()
  }

  async #call<N extends keyof Methods>(
    method: N,
    request: Methods[N]['request'],
  ): Promise<Methods[N]['answer']> {
    const at = this.#at
    try {
      return await this.#clients[at]!.call(method, request, limits.etcdRequestTimeoutMs)
    } catch (error) {
      this.#leave(at, error)
      throw error
    }
  }

  /** Goes on with the next endpoint when this one failed. */
  #leave(at: number, error: unknown): void {
    const failed = error instanceof RpcError && isUnclear(error)
    if (failed && at === this.#at) this.#at = (at + 1) % this.#clients.length
  }
}

/** Whether a failure leaves open what became of the request. */
export function isUnclear({ code }: RpcError): boolean {
  return /^(UNAVAILABLE|DEADLINE_EXCEEDED|CANCELLED|UNKNOWN|INTERNAL|ABORTED)$/.test(code)
}

/** Whether a read or a watch asked for what etcd has compacted. */
export function isCompacted(error: unknown): boolean {
  return error instanceof RpcError && error.code === 'OUT_OF_RANGE' && /compact/.test(error.message)
}

/** Whether a lease has ended, or never was. */
export function isLeaseGone(error: unknown): boolean {
  return error instanceof RpcError && error.code === 'NOT_FOUND' && /lease/.test(error.message)
}

/** Whether a write was refused since etcd has reached its quota. It may have been applied still. */
export function isFull(error: unknown): boolean {
  return error instanceof RpcError && error.code === 'RESOURCE_EXHAUSTED'
}

/**
 * What the store's callers are told of a failure of etcd's; anything else thrown stays what it is.
 * `outcome` is for a request that was sent and not clearly refused.
 */
export function toStoreError(error: unknown, outcome: Outcome = 'none'): unknown {
  if (!(error instanceof RpcError)) return error
  const { message } = error
  const text = message.startsWith('etcd') ? message : `etcd: ${message}`
  const isOpen = error.sent && isUnclear(error)
  return new OperatingError(operatingCode(error), text, isOpen ? outcome : 'none', error)
}

function operatingCode(error: RpcError): OperatingCode {
  const { code, message } = error
  if (isCompacted(error)) return OperatingCode.compacted
  if (isLeaseGone(error)) return OperatingCode.lease
  if (code === 'INVALID_ARGUMENT' && /too (large|many)/.test(message)) return OperatingCode.limit
  if (isFull(error)) return /space/.test(message) ? OperatingCode.disk : OperatingCode.busy
  return OperatingCode.unavailable
}
