/**
 * A lane: transactions of this server, numbered, one in flight. A server has several.
 *
 * Owns the lane's head row. Every transaction compares that the row is still the one of the
 * transaction before and puts its own number and token, so a transaction whose answer was lost can
 * be settled: its token is there, or a fence takes its place and it can never be applied any more.
 * Nothing is answered before that. The newest head row of all lanes is the linearizable point.
 */
import { assert } from '../../base/assert.ts'
import type { MonotonicMs } from '../../base/brand.ts'
import { toBuffer } from '../../base/bytes.ts'
import type { Clock, Random } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, type Outcome } from '../../base/errors.ts'
import { RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import type { Accord } from './accord.ts'
import type { Parcel } from './batch.ts'
import {
  type Etcd,
  isFull,
  isUnclear,
  type KeyValue,
  type RequestOp,
  type TxnResponse,
  toStoreError,
} from './client.ts'
import { putOp, unmoved } from './draft.ts'
import type { Keyspace } from './keys.ts'
import { newestOf } from './mark.ts'
import { patiently, untilSent } from './patience.ts'

/** What became of a transaction. `at` is its revision, or the newest head seen when it lost. */
export interface Sent {
  readonly applied: boolean
  readonly at: number
  /** What etcd answered; undefined where that was lost and is known from the head row alone. */
  readonly response?: TxnResponse
}

/** The lane's head row: revision 0 while there is none. */
interface Head {
  readonly number: number
  readonly token: string
  readonly revision: number
}

/** What a lane needs. No two servers have the same id. */
export interface LanePlace {
  readonly etcd: Etcd
  readonly keys: Keyspace
  readonly serverId: string
  readonly clock: Clock
  readonly random: Random
  /** Holds what etcd says against what it said before. */
  readonly accord: Accord
  /** Stops everything: etcd did what it must not do. */
  stop(error: unknown): void
}

const TOKEN_SIZE_BYTES = 12

export class Lane {
  readonly #etcd: Etcd
  readonly #keys: Keyspace
  readonly #key: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #accord: Accord
  readonly #stop: (error: unknown) => void
  /** Undefined when it must be read first: at the start, and after what could not be settled. */
  #head: Head | undefined
  #isBusy = false

  constructor(place: LanePlace, number: number) {
    const { etcd, keys, serverId, clock, random, accord } = place
    this.#etcd = etcd
    this.#keys = keys
    this.#key = keys.head(serverId, number)
    this.#clock = clock
    this.#random = random
    this.#accord = accord
    this.#stop = error => place.stop(error)
  }

  /**
   * Sends one transaction and settles it. Throws OperatingError: outcome `none` when it was not
   * applied and never will be, `unknown` when that could not be found out in time.
   */
  async commit({ compare, success }: Parcel, untilMs: MonotonicMs): Promise<Sent> {
    assert(!this.#isBusy, 'a lane has one transaction in flight')
    this.#isBusy = true
    try {
      this.#head ??= await patiently(this.#clock, untilMs, () => this.#readHead())
      return await this.#send(this.#head, { compare, success }, untilMs)
    } catch (error) {
      throw toStoreError(error)
    } finally {
      this.#isBusy = false
    }
  }

  async #send(head: Head, { compare, success }: Parcel, untilMs: MonotonicMs): Promise<Sent> {
    const next = { number: head.number + 1, token: this.#newToken() }
    const request = {
      compare: [unmoved(toBuffer(this.#key), head.revision), ...compare],
      success: [...success, this.#putHead(next)],
      failure: [
        { requestRange: { key: toBuffer(this.#key) } },
        { requestRange: newestOf(this.#keys) },
      ],
    }
    // What was shown before it was sent is older than it, whatever the lane itself has written.
    const before = Math.max(head.revision, this.#accord.shownRevision)
    try {
      const txn = (): Promise<TxnResponse> => this.#inTime(this.#etcd.txn(request))
      const response = await untilSent(this.#clock, untilMs, txn)
      return this.#note(response, next, { head, before })
    } catch (error) {
      return await this.#settle(error, head, next, untilMs)
    }
  }

  /** Does not wait for an answer that seems lost: what became of it can be found out. */
  #inTime(answer: Promise<TxnResponse>): Promise<TxnResponse> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(limits.etcdSettleMs, () => {
        reject(new RpcError('DEADLINE_EXCEEDED', 'it does not answer', true))
      })
      answer.then(resolve, reject).finally(() => timer.clear())
    })
  }

  #note(
    response: TxnResponse,
    next: Omit<Head, 'revision'>,
    { head, before }: { readonly head: Head; readonly before: number },
  ): Sent {
    const { succeeded, header, responses } = response
    if (succeeded) {
      const at = header.revision.toNumber()
      this.#checked('done', () => this.#accord.committed(at, before))
      this.#head = { ...next, revision: at }
      return { applied: true, at, response }
    }
    // Another one may write under this server's name: an earlier run of it, whose last
    // transaction came late. Its head is taken as it is.
    const now = decodeHead(responses[0]?.responseRange?.kvs[0])
    this.#checked('none', () => this.#accord.headRead(now.revision, head.revision))
    this.#head = now
    const newest = responses[1]?.responseRange?.kvs[0]
    return { applied: false, at: newest?.modRevision.toNumber() ?? 0 }
  }

  /** Finds out what became of a transaction that ended in an error. */
  async #settle(
    error: unknown,
    head: Head,
    next: Omit<Head, 'revision'>,
    untilMs: MonotonicMs,
  ): Promise<Sent> {
    const isOpen = error instanceof RpcError && error.sent && (isUnclear(error) || isFull(error))
    if (!isOpen) throw error
    let sent: Sent | undefined
    try {
      sent = await patiently(this.#clock, untilMs, () => this.#look(head, next, !isFull(error)))
    } catch (failure) {
      this.#head = undefined
      if (failure instanceof OperatingError) throw failure
      const text = `etcd did not say in time whether the write was applied: ${messageOf(failure)}`
      throw new OperatingError(OperatingCode.uncertain, text, 'unknown', error)
    }
    if (sent === undefined) throw error
    return sent
  }

  /**
   * Looks whether a transaction was applied. If not, and it may still be on its way, a fence takes
   * its number: once anyone wrote that number the lost one can never be applied.
   */
  async #look(
    head: Head,
    next: Omit<Head, 'revision'>,
    mayCome: boolean,
  ): Promise<Sent | undefined> {
    const now = await this.#readHead()
    this.#checked('unknown', () => this.#accord.headRead(now.revision, head.revision))
    this.#head = now
    if (now.token === next.token) return { applied: true, at: now.revision }
    if (now.number === next.number) return { applied: false, at: now.revision }
    if (now.revision !== head.revision) throw new Error('another server has the same name')
    if (!mayCome) return undefined
    const fence = { number: next.number, token: this.#newToken() }
    const response = await this.#etcd.txn({
      compare: [unmoved(toBuffer(this.#key), head.revision)],
      success: [this.#putHead(fence)],
      failure: [{ requestRange: { key: toBuffer(this.#key) } }],
    })
    if (this.#note(response, fence, { head, before: head.revision }).applied)
      return { applied: false, at: this.#head.revision }
    // Somebody was faster, maybe the lost one itself: the next look tells.
    throw new RpcError('ABORTED', 'its head row moved', true)
  }

  /** What etcd contradicts itself in stops everything; `outcome` is that of what was sent. */
  #checked(outcome: Outcome, check: () => void): void {
    try {
      check()
    } catch (error) {
      this.#stop(error)
      throw new OperatingError(OperatingCode.damaged, messageOf(error), outcome, error)
    }
  }

  async #readHead(): Promise<Head> {
    const { kvs } = await this.#etcd.range({ key: toBuffer(this.#key) })
    return decodeHead(kvs[0])
  }

  #putHead({ number, token }: Omit<Head, 'revision'>): RequestOp {
    return putOp(this.#key, Buffer.from(`${number} ${token} ${this.#accord.claim()}`))
  }

  #newToken(): string {
    return this.#random.bytes(TOKEN_SIZE_BYTES).toString('base64url')
  }
}

/**
 * The revision that is linearizable now: that of the newest head row of any lane. `now` is etcd's
 * own revision then.
 */
export async function readPoint(
  { etcd, keys, clock }: Pick<LanePlace, 'etcd' | 'keys' | 'clock'>,
  untilMs: MonotonicMs,
): Promise<{ at: number; now: number }> {
  const { kvs, header } = await patiently(clock, untilMs, () => etcd.range(newestOf(keys)))
  return { at: kvs[0]?.modRevision.toNumber() ?? 0, now: header.revision.toNumber() }
}

function decodeHead(kv: KeyValue | undefined): Head {
  if (kv === undefined) return { number: 0, token: '', revision: 0 }
  const [number = '', token = ''] = kv.value.toString('latin1').split(' ')
  return { number: Number(number), token, revision: kv.modRevision.toNumber() }
}
