/**
 * The simulated etcd: members with one log, a leader, leases, and everything that can befall them.
 *
 * Lawful but nasty: what it does, a real etcd may do (members lag, answers come late or never,
 * proposals are applied seconds after everybody gave up on them, leases end late), by the seed. A
 * `Bug` is something that etcd must not do and once did; each can be switched on alone. Consensus
 * is not simulated: the log is one list, and who may append to it is what elections are about.
 */
import { RpcError } from '../../../src/base/io/grpc.ts'
import type {
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
  WatchCreateRequest,
  WatchResponse,
} from '../../../src/store/etcd/client.ts'
import { Machine, type World } from '../world.ts'
import { Mvcc } from './mvcc.ts'
import { Watcher } from './watcher.ts'

/** What etcd once did and must not do, by the number of its report. */
export const bugs = {
  /** Answered before it was durable: gone after a crash. */
  lostWrite: '#14370',
  /** A resumed watch tells again what was before its start. */
  watchBack: '#15271',
  /** A stream that is slow loses events. */
  slowStream: '#17529',
  /** After a restart the revision is lower than it was. */
  revisionDown: '#17780',
  /** A watch that starts where was compacted lacks the deletions there. */
  compactDrop: '#18089',
  /** A member that was paused answers linearizable reads from what it had. */
  staleRead: '#20418',
} as const
export type Bug = keyof typeof bugs

export interface ClusterOptions {
  readonly members?: number
  readonly bugs?: readonly Bug[]
  /** How seldom things go wrong by themselves; 0: nothing does, and everything is prompt. */
  readonly nastiness?: number
  /** What it begins with. */
  readonly mvcc?: Mvcc
}

/** An entry of the log: how things are once it is applied. */
interface Entry {
  readonly revision: number
  readonly compacted: number
}

interface Lease {
  readonly ttlMs: number
  expiresAtMs: number
}

/** How a call to a member ends. */
export type Done<T> = (error: RpcError | undefined, result?: T) => void

export class Member {
  readonly at: number
  machine: Machine
  isCut = false
  /** How many entries of the log it has applied. */
  applied = 0
  /** Added to each of its answers and applications. */
  slowMs = 0
  /** Until then it answers reads from what it has, without asking anybody: a bug. */
  staleUntilMs = 0
  readonly watchers = new Set<Watcher>()
  readonly waiting = new Set<{ readonly index: number; readonly go: () => void }>()
  /** Told when it goes down, so that connections end. */
  readonly onDown = new Set<() => void>()

  constructor(at: number, machine: Machine) {
    this.at = at
    this.machine = machine
  }

  get isUp(): boolean {
    return !this.machine.isDead
  }
}

export class EtcdCluster {
  readonly world: World
  readonly mvcc: Mvcc
  readonly members: readonly Member[]
  readonly bugs: ReadonlySet<Bug>
  readonly nastiness: number
  #log: Entry[] = []
  #leader: Member | undefined
  #term = 0
  #isElecting = false
  readonly #leases = new Map<string, Lease>()
  #leaseIds = 0
  /** Puts are refused: the quota is reached. */
  isFull = false
  #isAlarmRaised = false
  /** Told of every new revision, in the moment in which it is decided. */
  onCommit: (revision: number) => void = () => {}
  /** Told when a bug has taken back what was committed. */
  onLoss: (revision: number) => void = () => {}

  constructor(world: World, options: ClusterOptions = {}) {
    this.world = world
    this.mvcc = options.mvcc ?? new Mvcc()
    this.bugs = new Set(options.bugs)
    this.nastiness = options.nastiness ?? 1
    this.members = Array.from(
      { length: options.members ?? 3 },
      (_, at) => new Member(at, new Machine(world, `e${at}`)),
    )
    this.#leader = this.members[0]
    this.#push()
    for (const member of this.members) member.applied = 1
    this.#watchLeases()
  }

  /** Another cluster that began as this one is now, as one made from its snapshot. */
  fork(): EtcdCluster {
    return new EtcdCluster(this.world, { nastiness: 0, mvcc: this.mvcc.fork() })
  }

  get leader(): Member | undefined {
    return this.#leader
  }

  /** True in `percent` of a hundred times, less where things are less nasty. */
  chance(percent: number): boolean {
    return this.nastiness > 0 && this.world.draw.chance(percent * this.nastiness)
  }

  #delay(): number {
    if (this.nastiness === 0) return 0.1
    const { draw } = this.world
    return this.chance(1) ? this.world.between(10, 100) : 0.2 + draw.below(3_000) / 1_000
  }

  // --- what members can do

  #isConnected(member: Member): boolean {
    return member.isUp && !member.machine.isPaused && !member.isCut
  }

  get #hasQuorum(): boolean {
    const connected = this.members.filter(member => this.#isConnected(member)).length
    return connected * 2 > this.members.length
  }

  /** Whether a proposal or a read of this member gets through. */
  #canAsk(member: Member): boolean {
    const leader = this.#leader
    return leader !== undefined && this.#isConnected(leader) && this.#isConnected(member)
  }

  /** Members have come or gone: there may be no leader any more, or one can be elected. */
  #changed(): void {
    const leader = this.#leader
    if (leader !== undefined && (!this.#isConnected(leader) || !this.#hasQuorum)) {
      this.world.trace('etcd', `e${leader.at} leads no more`)
      this.#leader = undefined
    }
    if (this.#leader !== undefined || this.#isElecting) return
    this.#isElecting = true
    this.world.after(this.world.between(300, 2_500), () => this.#elect())
  }

  #elect(): void {
    this.#isElecting = false
    if (this.#leader !== undefined) return
    const able = this.members.filter(member => this.#isConnected(member))
    if (able.length * 2 <= this.members.length) {
      this.#changed()
      return
    }
    this.#leader = this.world.draw.pick(able)
    this.#term++
    this.world.trace('etcd', `e${this.#leader.at} leads`)
    // A new leader knows of no renewal: every lease gets its whole time again.
    for (const lease of this.#leases.values()) {
      lease.expiresAtMs = this.world.nowMs + lease.ttlMs + this.world.between(0, 1_000)
    }
  }

  /** The leader hands its part on, as it may at any time. */
  changeLeader(): void {
    if (this.#leader === undefined) return
    this.#leader = undefined
    this.#changed()
  }

  cut(member: Member): void {
    member.isCut = true
    this.#changed()
    // A member without a leader ends the streams that asked for one.
    this.world.after(3_000, () => {
      if (member.isCut) this.#endStreams(member, 'etcdserver: no leader')
    })
  }

  mend(member: Member): void {
    member.isCut = false
    this.#changed()
    this.#catchUp(member)
  }

  pause(member: Member): void {
    member.machine.pause()
    this.#changed()
  }

  resume(member: Member): void {
    if (this.bugs.has('staleRead')) member.staleUntilMs = this.world.nowMs + 3_000
    member.machine.resume()
    this.#changed()
    this.#catchUp(member)
  }

  /** Kills a member. Its data stays; with a bug of ours not all of it. */
  crash(member: Member): void {
    member.machine.kill()
    member.watchers.clear()
    member.waiting.clear()
    for (const down of [...member.onDown]) down()
    if (this.bugs.has('lostWrite')) this.#lose(Math.max(1, this.mvcc.revision - 3))
    this.#changed()
  }

  restart(member: Member): void {
    member.machine = new Machine(this.world, `e${member.at}`)
    if (this.bugs.has('revisionDown')) {
      this.mvcc.forgetDeletions()
      this.#lose(this.mvcc.revision)
    }
    this.#changed()
    this.#catchUp(member)
  }

  #lose(revision: number): void {
    this.mvcc.loseAfter(revision)
    this.#log = this.#log.filter(entry => entry.revision <= revision)
    for (const member of this.members) {
      member.applied = Math.min(member.applied, this.#log.length)
      for (const watcher of member.watchers) watcher.goBackTo(revision)
    }
    this.onLoss(revision)
  }

  #endStreams(member: Member, reason: string): void {
    for (const watcher of [...member.watchers]) {
      watcher.end(new RpcError('UNAVAILABLE', reason, true))
    }
  }

  // --- the log

  #push(): number {
    this.#log.push({ revision: this.mvcc.revision, compacted: this.mvcc.compacted })
    return this.#log.length
  }

  /** Applies a change, and lets the members learn of it. Gives how long the log is then. */
  #commit<T>(change: (mvcc: Mvcc) => T): { readonly result: T; readonly index: number } {
    const before = this.mvcc.revision
    const result = change(this.mvcc)
    const index = this.#push()
    if (this.mvcc.revision > before) this.onCommit(this.mvcc.revision)
    for (const member of this.members) this.#catchUp(member)
    return { result, index }
  }

  /** Lets a member apply what it lacks, in a while. */
  #catchUp(member: Member): void {
    const index = this.#log.length
    const lagMs = this.chance(0.5) ? this.world.between(50, 3_000) : this.#delay()
    this.world.after(lagMs + member.slowMs, () => {
      if (!this.#isConnected(member) || member.applied >= index) return
      member.applied = Math.min(index, this.#log.length)
      for (const waiting of [...member.waiting]) {
        if (waiting.index > member.applied) continue
        member.waiting.delete(waiting)
        waiting.go()
      }
      for (const watcher of member.watchers) watcher.advance()
    })
  }

  /** How things are on a member. */
  stateOf(member: Member): Entry {
    return this.#log[member.applied - 1]!
  }

  #whenApplied(member: Member, index: number, go: () => void): void {
    if (member.applied >= index) go()
    else member.waiting.add({ index, go })
  }

  /**
   * A change that comes to a member: it is decided by the leader of that time, or never, or only
   * once there is another. The member answers when it has applied it itself.
   */
  propose<T>(member: Member, change: (mvcc: Mvcc) => T, done: Done<T>): void {
    if (!this.#canAsk(member)) {
      this.#stall(done)
      return
    }
    const term = this.#term
    const lateMs = this.chance(1.5) ? this.world.between(1_000, 9_000) : 0
    const delayMs = this.#delay() + (this.#leader?.slowMs ?? 0) + lateMs
    this.world.after(delayMs, () => {
      const isLed = this.#leader !== undefined && this.#term === term && this.#hasQuorum
      if (isLed) this.#decide(member, change, done)
      else this.#orphan(member, change, done)
    })
  }

  #decide<T>(member: Member, change: (mvcc: Mvcc) => T, done: Done<T>): void {
    try {
      const { result, index } = this.#commit(change)
      this.#whenApplied(member, index, () => done(undefined, result))
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      done(error)
    }
  }

  /** The leader went away with a proposal: the next one has it, or nobody. */
  #orphan<T>(member: Member, change: (mvcc: Mvcc) => T, done: Done<T>): void {
    if (this.world.draw.chance(50)) {
      const text = 'etcdserver: request timed out, possibly due to previous leader failure'
      done(new RpcError('UNAVAILABLE', text, true))
    }
    if (this.world.draw.chance(40)) return
    const retry = (): void => {
      if (this.#leader === undefined) this.world.after(200, retry)
      else this.#decide(member, change, done)
    }
    this.world.after(this.world.between(0, 3_000), retry)
  }

  /** Nobody leads: a member says so, or says nothing. */
  #stall(done: Done<never>): void {
    if (this.world.draw.chance(50)) done(new RpcError('UNAVAILABLE', 'etcdserver: no leader', true))
  }

  // --- what clients can ask of a member

  /** Reads what was decided before the call, unless it is `serializable`. */
  range(member: Member, request: RangeRequest, done: Done<RangeResponse>): void {
    const answer = (): void => {
      const { revision, compacted } = this.stateOf(member)
      try {
        done(undefined, this.mvcc.range(request, revision, compacted))
      } catch (error) {
        if (!(error instanceof RpcError)) throw error
        done(error)
      }
    }
    const isSerializable = 'serializable' in request && request.serializable === true
    if (isSerializable || this.world.nowMs < member.staleUntilMs) {
      answer()
      return
    }
    if (!this.#canAsk(member)) {
      this.#stall(done)
      return
    }
    const term = this.#term
    const index = this.#log.length
    this.world.after(this.#delay() + member.slowMs, () => {
      if (this.#leader === undefined || this.#term !== term || !this.#canAsk(member)) {
        this.#stall(done)
      } else this.#whenApplied(member, index, answer)
    })
  }

  txn(member: Member, request: TxnRequest, done: Done<TxnResponse>): void {
    const isPutting = hasPuts(request)
    this.propose(
      member,
      mvcc => {
        if (!this.isFull || !isPutting) return mvcc.txn(request)
        const text = 'etcdserver: mvcc: database space exceeded'
        const full = new RpcError('RESOURCE_EXHAUSTED', text, true)
        // The one that raises the alarm is applied, and answered as the later ones.
        if (!this.#isAlarmRaised) {
          this.#isAlarmRaised = true
          this.#commitAnyhow(() => mvcc.txn(request))
        }
        throw full
      },
      done,
    )
  }

  #commitAnyhow(change: () => unknown): void {
    this.#commit(change)
  }

  setFull(isFull: boolean): void {
    this.isFull = isFull
    this.#isAlarmRaised = false
  }

  compact(member: Member, revision: number, done: Done<undefined>): void {
    this.propose(
      member,
      mvcc => {
        mvcc.compact(revision)
        return undefined
      },
      done,
    )
  }

  grant(member: Member, ttlS: number, done: Done<{ id: string; ttlS: number }>): void {
    const id = String(7_587_000_000 + this.#leaseIds++)
    this.propose(
      member,
      mvcc => {
        if (this.isFull) {
          throw new RpcError(
            'RESOURCE_EXHAUSTED',
            'etcdserver: mvcc: database space exceeded',
            true,
          )
        }
        mvcc.grant(id)
        const ttlMs = ttlS * 1_000
        this.#leases.set(id, { ttlMs, expiresAtMs: this.world.nowMs + ttlMs })
        return { id, ttlS }
      },
      done,
    )
  }

  revoke(member: Member, id: string, done: Done<undefined>): void {
    this.propose(
      member,
      mvcc => {
        mvcc.revoke(id)
        this.#leases.delete(id)
        return undefined
      },
      done,
    )
  }

  /** Renewals go to the leader and into no log. */
  keepAlive(member: Member, id: string, done: Done<number>): void {
    if (!this.#canAsk(member)) {
      this.#stall(done)
      return
    }
    this.world.after(this.#delay(), () => {
      const lease = this.#leases.get(id)
      if (!this.#canAsk(member)) this.#stall(done)
      else if (lease === undefined) done(undefined, 0)
      else {
        lease.expiresAtMs = this.world.nowMs + lease.ttlMs
        done(undefined, lease.ttlMs / 1_000)
      }
    })
  }

  /** Ends leases: never early, often late. */
  #watchLeases(): void {
    const lateMs = this.chance(5) ? this.world.between(500, 6_000) : 500
    this.world.after(lateMs, () => {
      for (const [id, { expiresAtMs }] of this.#leases) {
        if (this.#leader === undefined || expiresAtMs > this.world.nowMs) continue
        this.#leases.delete(id)
        this.#commit(mvcc => mvcc.revoke(id))
      }
      this.#watchLeases()
    })
  }

  watch(
    member: Member,
    request: WatchCreateRequest,
    send: (response: WatchResponse) => void,
    end: (error: RpcError) => void,
  ): Watcher {
    const watcher = new Watcher(this, member, request, send, end)
    member.watchers.add(watcher)
    watcher.start()
    return watcher
  }
}

const hasPuts = ({ success, failure = [] }: TxnRequest): boolean =>
  [...success, ...failure].some(
    op => 'requestPut' in op || ('requestTxn' in op && hasPuts(op.requestTxn)),
  )
