/**
 * etcd's interface as the engine sees it: typed requests over one connection at a time.
 *
 * Owns what the store may ask of etcd, and which versions of it are good enough. Never repeats a
 * request: after a failure only the caller knows whether it may be sent again. `Etcd` is the port
 * that tests wrap to add faults.
 */
import { messageOf, OperatingCode, OperatingError, type Outcome } from '../../base/errors.ts'
import { RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import { type EtcdAccess, type EtcdChannel, isUnclear, openChannel } from './channel.ts'
import type {
  Int64,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchResponse,
} from './messages.ts'

export type { EtcdAccess } from './channel.ts'
export { isUnclear } from './channel.ts'
export type * from './messages.ts'

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

/** How full etcd is. */
export interface Usage {
  /** The file of the member in use, with its holes. */
  readonly sizeBytes: number
  /** What it may hold at most; 0 where etcd does not say (before 3.6). */
  readonly quotaSizeBytes: number
  /** Some member has reached its quota: nothing can be put until that alarm is taken back. */
  readonly isFull: boolean
  /** Members differ. */
  readonly isCorrupt: boolean
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
  usage(): Promise<Usage>
  close(): void
}

const STATUS = 'etcdserverpb.Maintenance/Status'

/**
 * Connects to the first of the endpoints (`http://host:port` or `https://…`) that answers and knows
 * of a leader. Throws OperatingError `unavailable` when none answers or etcd is too old.
 */
export async function connectEtcd(
  endpoints: readonly string[],
  access: EtcdAccess = {},
): Promise<Etcd> {
  const channel = await openChannel(endpoints, access)
  try {
    return new Connection(channel, await findAnswering(channel, endpoints))
  } catch (error) {
    channel.close()
    throw error
  }
}

/** Goes on with the best of the members; gives what to warn of. */
async function findAnswering(
  channel: EtcdChannel,
  endpoints: readonly string[],
): Promise<readonly string[]> {
  const answers = await channel.all(STATUS, {}, limits.etcdRequestTimeoutMs)
  const said = answers.map(answer => (answer.status === 'fulfilled' ? answer.value : undefined))
  const led = said.findIndex(status => status !== undefined && !status.leader.isZero())
  const best = led >= 0 ? led : said.findIndex(status => status !== undefined)
  if (best < 0) {
    for (const [at, answer] of answers.entries()) {
      if (answer.status === 'rejected' && isShut(answer.reason)) {
        throw notLetIn(endpoints[at]!, answer.reason.message)
      }
    }
    const reasons = answers.map((answer, at) => {
      const reason = answer.status === 'rejected' ? messageOf(answer.reason) : ''
      return `${endpoints[at]} (${reason})`
    })
    throw unreachable(reasons)
  }
  channel.use(best)
  const versions = said.flatMap(status => (status === undefined ? [] : [status.version]))
  return [...new Set(versions.flatMap(warningsFor))]
}

const isShut = (error: unknown): error is RpcError =>
  error instanceof RpcError && /^(UNAUTHENTICATED|PERMISSION_DENIED)$/.test(error.code)

/** Newer versions do not even tell of themselves without a login, where they have any. */
function notLetIn(endpoint: string, reason: string): OperatingError {
  return new OperatingError(
    OperatingCode.unavailable,
    `etcd at ${endpoint} does not let this server in: ${reason}. Its login is ` +
      '`username` and `password_file` in the etcd stanza of the store',
  )
}

function unreachable(reasons: readonly string[]): OperatingError {
  return new OperatingError(
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
  readonly #channel: EtcdChannel

  constructor(channel: EtcdChannel, warnings: readonly string[]) {
    this.#channel = channel
    this.warnings = warnings
  }

  range(request: RangeRequest): Promise<RangeResponse> {
    return this.#channel.call('etcdserverpb.KV/Range', request)
  }

  txn(request: TxnRequest): Promise<TxnResponse> {
    return this.#channel.call('etcdserverpb.KV/Txn', request)
  }

  async compact(revision: number): Promise<void> {
    await this.#channel.call('etcdserverpb.KV/Compact', { revision, physical: false })
  }

  async grant(ttlS: number): Promise<GrantedLease> {
    const { ID, TTL } = await this.#channel.call('etcdserverpb.Lease/LeaseGrant', { TTL: ttlS })
    return { id: ID.toString(), ttlS: TTL.toNumber() }
  }

  async revoke(lease: string): Promise<void> {
    await this.#channel.call('etcdserverpb.Lease/LeaseRevoke', { ID: lease })
  }

  keepAlive(lease: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const listener = {
        onMessage: ({ TTL }: { TTL: Int64 }) => {
          stream.cancel()
          resolve(TTL.toNumber())
        },
        onEnd: (error: RpcError | undefined) => {
          reject(error ?? new RpcError('UNAVAILABLE', 'etcd ended the stream', true))
        },
      }
      const options = { timeoutMs: limits.etcdRequestTimeoutMs }
      const stream = this.#channel.open('etcdserverpb.Lease/LeaseKeepAlive', listener, options)
      stream.send({ ID: lease })
    })
  }

  watch(request: WatchCreateRequest, listener: WatchListener): { cancel(): void } {
    const onMessage = (response: WatchResponse): void => {
      // etcd says so of a watch that it refuses, be it for want of rights or of a login.
      if (response.canceled && response.compactRevision.isZero()) this.#channel.forgetLogin()
      listener.onResponse(response)
    }
    const onEnd = (error: RpcError | undefined): void => listener.onEnd(error)
    // A member that is cut off from the others ends the stream instead of falling silent.
    const options = { metadata: { hasleader: 'true' } }
    const stream = this.#channel.open('etcdserverpb.Watch/Watch', { onMessage, onEnd }, options)
    stream.send({ createRequest: request })
    return stream
  }

  async usage(): Promise<Usage> {
    const [status, { alarms }] = await Promise.all([
      this.#channel.call(STATUS, {}),
      this.#channel.call('etcdserverpb.Maintenance/Alarm', { action: 'GET' }),
    ])
    return {
      sizeBytes: status.dbSize.toNumber(),
      quotaSizeBytes: status.dbSizeQuota.toNumber(),
      isFull: alarms.some(({ alarm }) => alarm === 'NOSPACE'),
      isCorrupt: alarms.some(({ alarm }) => alarm === 'CORRUPT'),
    }
  }

  close(): void {
    this.#channel.close()
  }
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
