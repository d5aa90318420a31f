/**
 * The simulated etcd's storage: what every member comes to once it has applied the same log.
 *
 * Owns revisions, ranges, transactions, leases' rows and compaction, as etcd 3.4 to 3.6 do them
 * (mvcc.test.ts compares it with the real one). Everything that ever was is kept, so that a member
 * that lags is this at an older revision. Synchronous: no time, no members, no faults.
 */
import { RpcError } from '../../../src/base/io/grpc.ts'
import type {
  EtcdCompare,
  Header,
  Int64,
  KeyValue,
  RangeRequest,
  RangeResponse,
  RequestOp,
  TxnRequest,
  TxnResponse,
  WatchEvent,
} from '../../../src/store/etcd/client.ts'

/** A number as answers carry it. */
export function int64(value: number): Int64 {
  return { toNumber: () => value, toString: () => String(value), isZero: () => value === 0 }
}

/** What answers begin with. */
export function headerAt(revision: number, cluster: number): Header {
  return { revision: int64(revision), clusterId: int64(cluster), memberId: int64(1) }
}

/** A key as it was from a revision on. `value` undefined: it was not there. */
interface Held {
  readonly mod: number
  readonly create: number
  readonly version: number
  readonly value: Buffer | undefined
  readonly lease: string
}

interface Row extends Held {
  readonly key: string
  readonly value: Buffer
}

const NONE: Omit<Held, 'value'> = { mod: 0, create: 0, version: 0, lease: '' }

/** An answer to one operation, named as etcd names it. */
export interface OpAnswer {
  readonly responseRange?: RangeResponse
  readonly responsePut?: object
  readonly responseDeleteRange?: { readonly deleted: number }
  readonly responseTxn?: TxnResponse & { readonly responses: readonly OpAnswer[] }
}

export class Mvcc {
  /** The newest revision; an empty etcd begins at 1. */
  revision = 1
  /** What is older cannot be read, nor watched from. */
  compacted = 0
  /** The id of the cluster that it is of. */
  cluster = 1
  readonly #rows = new Map<string, Held[]>()
  /** All keys that ever were, in byte order. */
  #sorted: string[] = []
  readonly #events = new Map<number, WatchEvent[]>()
  /** Leases that were granted and have not ended, with the keys that hang on each. */
  readonly #leases = new Map<string, Set<string>>()

  /** What a member shows that has applied everything up to `at`. */
  range(request: RangeRequest, at = this.revision, compacted = this.compacted): RangeResponse {
    checkKey(request.key)
    const { revision = 0 } = request
    if (revision > at) throw outOfRange('etcdserver: mvcc: required revision is a future revision')
    if (revision > 0 && revision < compacted) throw isCompacted()
    return this.#read(request, revision > 0 ? revision : at, at)
  }

  #read(
    request: RangeRequest,
    at: number,
    now: number,
  ): RangeResponse & { readonly count: number } {
    const { key, rangeEnd, limit = 0, sortOrder, sortTarget, keysOnly = false } = request
    let rows = this.#rowsOf(key, rangeEnd, at)
    const count = rows.length
    if (sortTarget === 'MOD') rows = rows.sort((a, b) => a.mod - b.mod)
    if (sortOrder === 'DESCEND') rows.reverse()
    const more = limit > 0 && rows.length > limit
    if (more) rows = rows.slice(0, limit)
    const isCounting = 'countOnly' in request && request.countOnly === true
    const kvs = isCounting ? [] : rows.map(row => keyValue(row, keysOnly))
    return { header: headerAt(now, this.cluster), kvs, more: more && !isCounting, count }
  }

  #rowsOf(key: Buffer, rangeEnd: Buffer | undefined, at: number): Row[] {
    return this.#keysOf(key, rangeEnd).flatMap(name => {
      const held = this.#at(name, at)
      return held?.value === undefined ? [] : [{ ...held, value: held.value, key: name }]
    })
  }

  #keysOf(key: Buffer, rangeEnd: Buffer | undefined): string[] {
    const from = key.toString('latin1')
    if (rangeEnd === undefined || rangeEnd.length === 0) return [from]
    const first = this.#place(from)
    // An end of one zero byte stands for the end of everything.
    const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0
    const last = isOpen ? this.#sorted.length : this.#place(rangeEnd.toString('latin1'))
    return this.#sorted.slice(first, Math.max(first, last))
  }

  /** Where a key stands, or would stand, among all. */
  #place(key: string): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#sorted[middle]! < key) low = middle + 1
      else high = middle
    }
    return low
  }

  #at(key: string, at: number): Held | undefined {
    return this.#rows.get(key)?.findLast(({ mod }) => mod <= at)
  }

  /**
   * Applies a transaction: its compares and those of all nested ones are judged before anything is
   * written, and all that is written has one revision.
   */
  txn(request: TxnRequest): TxnResponse & { readonly responses: readonly OpAnswer[] } {
    checkTxn(request)
    const paths = new Map<TxnRequest, boolean>()
    this.#judge(request, paths)
    this.#checkOps(request, paths)
    const next = this.revision + 1
    const changes: WatchEvent[] = []
    const responses = this.#apply(request, paths, next, changes)
    if (changes.length > 0) this.#commit(next, changes)
    const header = headerAt(this.revision, this.cluster)
    return { header, succeeded: paths.get(request)!, responses: withHeader(responses, header) }
  }

  #judge(request: TxnRequest, paths: Map<TxnRequest, boolean>): void {
    const holds = (request.compare ?? []).every(compare => this.#holds(compare))
    paths.set(request, holds)
    for (const op of chosen(request, holds)) {
      if ('requestTxn' in op) this.#judge(op.requestTxn, paths)
    }
  }

  /** A range of no keys is compared as a key that is not there. */
  #holds(compare: EtcdCompare): boolean {
    const rows = this.#rowsOf(compare.key, compare.rangeEnd, this.revision)
    const { result, target } = compare
    const wanted = (target === 'MOD' ? compare.modRevision : compare.createRevision) ?? 0
    return (rows.length === 0 ? [NONE] : rows).every(row => {
      const is = target === 'MOD' ? row.mod : row.create
      return result === 'EQUAL' ? is === wanted : is < wanted
    })
  }

  /** What makes the whole fail before anything is written. */
  #checkOps(request: TxnRequest, paths: ReadonlyMap<TxnRequest, boolean>): void {
    for (const op of chosen(request, paths.get(request)!)) {
      if ('requestTxn' in op) this.#checkOps(op.requestTxn, paths)
      else if ('requestPut' in op) this.#checkLease(op.requestPut.lease)
      else if ('requestRange' in op) this.range({ ...op.requestRange, limit: 1 })
    }
  }

  #checkLease(lease = '0'): void {
    if (lease === '0' || this.#leases.has(lease)) return
    throw new RpcError('NOT_FOUND', 'etcdserver: requested lease not found', true)
  }

  #apply(
    request: TxnRequest,
    paths: ReadonlyMap<TxnRequest, boolean>,
    next: number,
    changes: WatchEvent[],
  ): OpAnswer[] {
    return chosen(request, paths.get(request)!).map((op): OpAnswer => {
      if ('requestPut' in op) {
        const { key, value, lease = '0' } = op.requestPut
        this.#put(key.toString('latin1'), value, lease === '0' ? '' : lease, next, changes)
        return { responsePut: {} }
      }
      if ('requestDeleteRange' in op) {
        const { key, rangeEnd } = op.requestDeleteRange
        const rows = this.#rowsOf(key, rangeEnd, next)
        for (const row of rows) this.#delete(row.key, next, changes)
        return { responseDeleteRange: { deleted: rows.length } }
      }
      if ('requestRange' in op) {
        const { revision = 0 } = op.requestRange
        // What the transaction has written so far is seen by its reads.
        return { responseRange: this.#read(op.requestRange, revision || next, next) }
      }
      const responses = this.#apply(op.requestTxn, paths, next, changes)
      const succeeded = paths.get(op.requestTxn)!
      return { responseTxn: { header: headerAt(next, this.cluster), succeeded, responses } }
    })
  }

  #put(key: string, value: Buffer, lease: string, next: number, changes: WatchEvent[]): void {
    const before = this.#at(key, next)
    const isNew = before?.value === undefined
    const held: Held = {
      mod: next,
      create: isNew ? next : before.create,
      version: isNew ? 1 : before.version + 1,
      value: Buffer.from(value),
      lease,
    }
    this.#keep(key, held, before)
    changes.push({ type: 'PUT', kv: keyValue({ ...held, value: held.value!, key }, false) })
  }

  #delete(key: string, next: number, changes: WatchEvent[]): void {
    const gone: Held = { ...NONE, mod: next, value: undefined }
    this.#keep(key, gone, this.#at(key, next))
    const kv = keyValue({ ...gone, value: Buffer.alloc(0), key }, false)
    changes.push({ type: 'DELETE', kv })
  }

  #keep(key: string, held: Held, before: Held | undefined): void {
    const known = this.#rows.get(key)
    if (known === undefined) {
      this.#rows.set(key, [held])
      this.#sorted.splice(this.#place(key), 0, key)
    } else known.push(held)
    if (before !== undefined && before.lease !== '') this.#leases.get(before.lease)?.delete(key)
    if (held.lease !== '') this.#leases.get(held.lease)?.add(key)
  }

  #commit(at: number, events: WatchEvent[]): void {
    this.revision = at
    this.#events.set(at, events)
  }

  /** The events of one revision, in the order in which they were written. */
  eventsAt(revision: number): readonly WatchEvent[] {
    return this.#events.get(revision) ?? []
  }

  compact(revision: number): void {
    if (revision <= this.compacted) throw isCompacted()
    if (revision > this.revision) {
      throw outOfRange('etcdserver: mvcc: required revision is a future revision')
    }
    this.compacted = revision
  }

  grant(lease: string): void {
    this.#leases.set(lease, new Set())
  }

  hasLease(lease: string): boolean {
    return this.#leases.has(lease)
  }

  /** Ends a lease: the keys that hang on it go in one revision. */
  revoke(lease: string): void {
    const keys = this.#leases.get(lease)
    if (keys === undefined) {
      throw new RpcError('NOT_FOUND', 'etcdserver: requested lease not found', true)
    }
    const next = this.revision + 1
    const changes: WatchEvent[] = []
    for (const key of [...keys].sort()) this.#delete(key, next, changes)
    this.#leases.delete(lease)
    if (changes.length > 0) this.#commit(next, changes)
  }

  /** The same up to here, in a cluster of its own from now on: what a snapshot makes elsewhere. */
  fork(): Mvcc {
    const copy = new Mvcc()
    copy.revision = this.revision
    copy.compacted = this.compacted
    copy.cluster = this.cluster + 1
    for (const [key, known] of this.#rows) copy.#rows.set(key, [...known])
    copy.#sorted = [...this.#sorted]
    for (const [at, events] of this.#events) copy.#events.set(at, events)
    for (const [lease, keys] of this.#leases) copy.#leases.set(lease, new Set(keys))
    return copy
  }

  /** Forgets keys that are gone, and counts on from the newest that is left: a fault too. */
  forgetDeletions(): void {
    let newest = 1
    for (const [key, known] of this.#rows) {
      const { value, mod } = known.at(-1)!
      if (value !== undefined) newest = Math.max(newest, mod)
      else {
        this.#rows.delete(key)
        this.#sorted.splice(this.#place(key), 1)
      }
    }
    this.loseAfter(newest)
  }

  /** Goes back to a revision as if nothing had come after it: a fault, never etcd's design. */
  loseAfter(revision: number): void {
    for (const [key, known] of this.#rows) {
      const kept = known.filter(({ mod }) => mod <= revision)
      if (kept.length === known.length) continue
      if (kept.length > 0) this.#rows.set(key, kept)
      else {
        this.#rows.delete(key)
        this.#sorted.splice(this.#place(key), 1)
      }
    }
    for (let at = revision + 1; at <= this.revision; at++) this.#events.delete(at)
    this.revision = revision
  }
}

function keyValue({ key, value, create, mod, version, lease }: Row, keysOnly: boolean): KeyValue {
  const id = BigInt(lease === '' ? 0 : lease)
  return {
    key: Buffer.from(key, 'latin1'),
    value: keysOnly ? Buffer.alloc(0) : Buffer.from(value),
    createRevision: int64(create),
    modRevision: int64(mod),
    version: int64(version),
    lease: { toNumber: () => Number(id), toString: () => String(id), isZero: () => id === 0n },
  }
}

function withHeader(answers: readonly OpAnswer[], header: Header): OpAnswer[] {
  return answers.map(answer => {
    if (answer.responseRange !== undefined) {
      return { responseRange: { ...answer.responseRange, header } }
    }
    if (answer.responseTxn === undefined) return answer
    const responses = withHeader(answer.responseTxn.responses, header)
    return { responseTxn: { ...answer.responseTxn, header, responses } }
  })
}

const chosen = ({ success, failure = [] }: TxnRequest, holds: boolean): readonly RequestOp[] =>
  holds ? success : failure

/** etcd's bound on operations, and on compares, of one transaction. */
const MOST_OPS = 128

/** What etcd refuses before it looks at any key. */
function checkTxn(request: TxnRequest): void {
  checkShape(request, MOST_OPS)
  writtenBy(request.success)
  writtenBy(request.failure ?? [])
}

/** The widest list of each level takes from what is left for those below it. */
function checkShape({ compare = [], success, failure = [] }: TxnRequest, most: number): void {
  const width = Math.max(compare.length, success.length, failure.length)
  if (width > most) throw invalid('etcdserver: too many operations in txn request')
  for (const { key } of compare) checkKey(key)
  for (const op of [...success, ...failure]) {
    if ('requestTxn' in op) checkShape(op.requestTxn, most - width)
    else checkKey((Object.values(op)[0] as { key: Buffer }).key)
  }
}

function checkKey(key: Buffer): void {
  if (key.length === 0) throw invalid('etcdserver: key is not provided')
}

interface Written {
  readonly puts: Set<string>
  readonly spans: { readonly from: string; readonly to: string | undefined }[]
}

/** The keys that a list of operations writes. Throws where one would be written twice. */
function writtenBy(ops: readonly RequestOp[]): Written {
  const spans = ops.flatMap(op =>
    'requestDeleteRange' in op ? [spanOf(op.requestDeleteRange)] : [],
  )
  const puts = new Set<string>()
  const add = (key: string, isShared: boolean): void => {
    if ((puts.has(key) && !isShared) || covers(spans, key)) throw twice()
    puts.add(key)
  }
  for (const op of ops) {
    if (!('requestTxn' in op)) continue
    const sides = [op.requestTxn.success, op.requestTxn.failure ?? []].map(writtenBy)
    const [then, otherwise] = [sides[0]!, sides[1]!]
    for (const key of then.puts) add(key, false)
    // Of the two sides one is done, so they may write the same key.
    for (const key of otherwise.puts) add(key, then.puts.has(key))
    spans.push(...then.spans, ...otherwise.spans)
  }
  for (const op of ops) {
    if ('requestPut' in op) add(op.requestPut.key.toString('latin1'), false)
  }
  return { puts, spans }
}

function spanOf({ key, rangeEnd }: { readonly key: Buffer; readonly rangeEnd?: Buffer }) {
  const from = key.toString('latin1')
  if (rangeEnd === undefined) return { from, to: `${from}\u0000` }
  const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0
  return { from, to: isOpen ? undefined : rangeEnd.toString('latin1') }
}

const covers = (spans: Written['spans'], key: string): boolean =>
  spans.some(({ from, to }) => key >= from && (to === undefined || key < to))

const invalid = (text: string): RpcError => new RpcError('INVALID_ARGUMENT', text, true)
const twice = (): RpcError => invalid('etcdserver: duplicate key given in txn request')
const outOfRange = (text: string): RpcError => new RpcError('OUT_OF_RANGE', text, true)
const isCompacted = (): RpcError =>
  outOfRange('etcdserver: mvcc: required revision has been compacted')
