/**
 * A server's connection to the simulated etcd: the port `Etcd`, over links that can fail.
 *
 * Owns latency, cuts (one-way or both), clogs, resets and the deadline of each request, and goes on
 * with the next member after a failure, as the real connection does. A link keeps the order of what
 * a stream carries: it is late or ends, but never loses a part from the middle.
 */
import { RpcError } from '../../../src/base/io/grpc.ts'
import { limits } from '../../../src/base/limits.ts'
import {
  type Etcd,
  type GrantedLease,
  isUnclear,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
  type Usage,
  type WatchCreateRequest,
  type WatchListener,
  type WatchResponse,
} from '../../../src/store/etcd/client.ts'
import type { Machine } from '../world.ts'
import type { Done, EtcdCluster, Member } from './cluster.ts'
import type { Watcher } from './watcher.ts'

/** The way between one server and one member. */
export class Link {
  /** What the server sends does not arrive; what the member sends does not. */
  cutThere = false
  cutBack = false
  /** Until then everything waits. */
  clogUntilMs = 0
  /** Added to each message. */
  slowMs = 0
  /** Calls and streams that a reset ends. */
  readonly open = new Set<(error: RpcError) => void>()

  get isCut(): boolean {
    return this.cutThere || this.cutBack
  }

  reset(): void {
    const error = new RpcError('UNAVAILABLE', 'read ECONNRESET', true)
    for (const end of [...this.open]) end(error)
  }
}

/** After so long without an answer to a ping a connection is given up. */
const SILENCE_MS = 15_000
const PUMP_MS = 100
const RESEND_MS = 200
/** Longer than any cut lasts. */
const MOST_RESENT = 150

export class SimConnection implements Etcd {
  readonly warnings: readonly string[] = []
  readonly #cluster: EtcdCluster
  readonly #machine: Machine
  readonly #links: readonly Link[]
  #at: number
  #isClosed = false

  /** `links`: the server's, one for each member. */
  constructor(cluster: EtcdCluster, machine: Machine, links: readonly Link[], first: number) {
    this.#cluster = cluster
    this.#machine = machine
    this.#links = links
    this.#at = first % links.length
  }

  range(request: RangeRequest): Promise<RangeResponse> {
    return this.#call((member, done) => this.#cluster.range(member, request, done))
  }

  txn(request: TxnRequest): Promise<TxnResponse> {
    return this.#call((member, done) => this.#cluster.txn(member, request, done))
  }

  async compact(revision: number): Promise<void> {
    await this.#call<undefined>((member, done) => this.#cluster.compact(member, revision, done))
  }

  grant(ttlS: number): Promise<GrantedLease> {
    return this.#call((member, done) => this.#cluster.grant(member, ttlS, done))
  }

  keepAlive(lease: string): Promise<number> {
    return this.#call((member, done) => this.#cluster.keepAlive(member, lease, done))
  }

  async revoke(lease: string): Promise<void> {
    await this.#call<undefined>((member, done) => this.#cluster.revoke(member, lease, done))
  }

  usage(): Promise<Usage> {
    const { isFull } = this.#cluster
    return this.#call<Usage>((_member, done) => {
      const sizeBytes = isFull ? 2_000_000 : 1_000_000
      done(undefined, {
        ...{ sizeBytes, quotaSizeBytes: 2_000_000 },
        ...{ isFull, isCorrupt: false },
      })
    })
  }

  close(): void {
    this.#isClosed = true
  }

  /** Goes on with the next member when this one failed. */
  #leave(at: number, error: RpcError | undefined): void {
    const failed = error !== undefined && isUnclear(error)
    if (failed && at === this.#at) this.#at = (at + 1) % this.#links.length
  }

  #latencyMs(link: Link): number {
    const { world } = this.#cluster
    const clogMs = Math.max(0, link.clogUntilMs - world.nowMs)
    const isLong = this.#cluster.chance(0.5)
    return (isLong ? world.between(5, 100) : world.between(0.05, 0.5)) + link.slowMs + clogMs
  }

  #call<T>(ask: (member: Member, done: Done<T>) => void): Promise<T> {
    const at = this.#at
    const link = this.#links[at]!
    const member = this.#cluster.members[at]!
    const { world } = this.#cluster
    return new Promise<T>((resolve, reject) => {
      let isOver = false
      const settle = (error: RpcError | undefined, result?: T): void => {
        if (isOver) return
        isOver = true
        timer.clear()
        link.open.delete(settle)
        this.#leave(at, error)
        if (error === undefined) resolve(result as T)
        else reject(error)
      }
      const timer = this.#machine.after(limits.etcdRequestTimeoutMs, () =>
        settle(new RpcError('DEADLINE_EXCEEDED', 'Deadline exceeded', true)),
      )
      link.open.add(settle)
      const answer: Done<T> = (error, result) => {
        world.after(this.#latencyMs(link), () => {
          if (!link.cutBack) this.#machine.reach(() => settle(error, result))
        })
      }
      this.#deliver(link, member, settle, () => ask(member, answer))
    })
  }

  /** Brings a request to a member, unless it cannot get there. */
  #deliver(
    link: Link,
    member: Member,
    settle: (error: RpcError) => void,
    arrive: () => void,
  ): void {
    const { world } = this.#cluster
    const isRefused = !member.isUp || (link.isCut && world.draw.chance(30))
    if (isRefused || this.#isClosed) {
      const text = 'No connection established. Last error: connect ECONNREFUSED'
      const refused = new RpcError('UNAVAILABLE', text, false)
      world.after(0.1, () => this.#machine.reach(() => settle(refused)))
      return
    }
    const { machine } = member
    let tries = 0
    const come = (): void => {
      // What was on its way is sent again until it gets through, or nobody remembers it.
      if (link.cutThere && tries++ < MOST_RESENT) world.after(RESEND_MS, come)
      if (link.cutThere) return
      if (machine.isDead) {
        this.#machine.reach(() => settle(new RpcError('UNAVAILABLE', 'read ECONNRESET', true)))
      } else machine.reach(arrive)
    }
    world.after(this.#latencyMs(link), come)
    const down = (): void => {
      member.onDown.delete(down)
      const reset = new RpcError('UNAVAILABLE', 'read ECONNRESET', true)
      world.after(this.#latencyMs(link), () => this.#machine.reach(() => settle(reset)))
    }
    member.onDown.add(down)
    world.after(limits.etcdRequestTimeoutMs * 2, () => member.onDown.delete(down))
  }

  watch(request: WatchCreateRequest, listener: WatchListener): { cancel(): void } {
    const at = this.#at
    const link = this.#links[at]!
    const member = this.#cluster.members[at]!
    const stream = new Stream(this.#cluster, this.#machine, link, member, listener, error =>
      this.#leave(at, error),
    )
    this.#deliver(link, member, stream.fail, () => stream.open(request))
    return { cancel: () => stream.cancel() }
  }
}

/** One watch over a link. */
class Stream {
  readonly #cluster: EtcdCluster
  readonly #machine: Machine
  readonly #link: Link
  readonly #member: Member
  readonly #listener: WatchListener
  readonly #left: (error: RpcError) => void
  readonly #queue: WatchResponse[] = []
  #watcher: Watcher | undefined
  #isPumping = false
  #isOver = false
  #silentSinceMs: number

  constructor(
    cluster: EtcdCluster,
    machine: Machine,
    link: Link,
    member: Member,
    listener: WatchListener,
    left: (error: RpcError) => void,
  ) {
    this.#cluster = cluster
    this.#machine = machine
    this.#link = link
    this.#member = member
    this.#listener = listener
    this.#left = left
    this.#silentSinceMs = cluster.world.nowMs
    link.open.add(this.fail)
    member.onDown.add(this.#down)
    this.#ping()
  }

  open(request: WatchCreateRequest): void {
    if (this.#isOver) return
    const send = (response: WatchResponse): void => {
      this.#queue.push(response)
      this.#pump()
    }
    this.#watcher = this.#cluster.watch(this.#member, request, send, this.#endedThere)
  }

  /** The member ends it: told behind what it has sent before, if the link lets it. */
  readonly #endedThere = (error: RpcError): void => {
    this.#cluster.world.after(5, () => this.#machine.reach(() => this.fail(error)))
  }

  readonly #down = (): void => {
    const reset = new RpcError('UNAVAILABLE', 'read ECONNRESET', true)
    this.#cluster.world.after(1, () => this.#machine.reach(() => this.fail(reset)))
  }

  /** Ends it on the server's side. */
  readonly fail = (error: RpcError): void => {
    if (this.#isOver) return
    this.cancel()
    this.#left(error)
    this.#listener.onEnd(error)
  }

  cancel(): void {
    this.#isOver = true
    this.#queue.length = 0
    this.#watcher?.cancel()
    this.#link.open.delete(this.fail)
    this.#member.onDown.delete(this.#down)
  }

  /** A connection over which nothing comes back is noticed after a while. */
  #ping(): void {
    const { world } = this.#cluster
    world.after(5_000, () => {
      if (this.#isOver || this.#machine.isDead) return
      const isSilent = this.#link.isCut || this.#member.machine.isPaused
      if (!isSilent) this.#silentSinceMs = world.nowMs
      if (world.nowMs - this.#silentSinceMs >= SILENCE_MS) {
        this.#machine.reach(() =>
          this.fail(new RpcError('UNAVAILABLE', 'Connection dropped', true)),
        )
      } else this.#ping()
    })
  }

  #pump(): void {
    if (this.#isPumping || this.#isOver || this.#queue.length === 0) return
    this.#isPumping = true
    const { world } = this.#cluster
    const clogMs = Math.max(0, this.#link.clogUntilMs - world.nowMs)
    const latencyMs = world.between(0.05, 0.5) + this.#link.slowMs + clogMs
    world.after(this.#link.cutBack ? PUMP_MS : latencyMs, () => {
      this.#isPumping = false
      if (this.#isOver) return
      if (!this.#link.cutBack) {
        const response = this.#queue.shift()!
        this.#machine.reach(() => {
          if (!this.#isOver) this.#listener.onResponse(response)
        })
      }
      this.#pump()
    })
  }
}
