/**
 * A watch on one member of the simulated etcd.
 *
 * Owns what it has told so far. Tells events in order once its member has applied them: several
 * revisions at a time, in fragments, late, and says where it is when nothing happens, all by the
 * seed. Holds the switches of the bugs that were of watches.
 */
import type { RpcError } from '../../../src/base/io/grpc.ts'
import type {
  WatchCreateRequest,
  WatchEvent,
  WatchResponse,
} from '../../../src/store/etcd/client.ts'
import type { EtcdCluster, Member } from './cluster.ts'
import { headerAt, int64 } from './mvcc.ts'

export class Watcher {
  readonly #cluster: EtcdCluster
  readonly #member: Member
  readonly #from: string
  readonly #to: string
  readonly #send: (response: WatchResponse) => void
  readonly #end: (error: RpcError) => void
  readonly #start: number
  /** The first revision that was not told. */
  #next: number
  #isFlushing = false
  #isOver = false

  constructor(
    cluster: EtcdCluster,
    member: Member,
    { key, rangeEnd, startRevision }: WatchCreateRequest,
    send: (response: WatchResponse) => void,
    end: (error: RpcError) => void,
  ) {
    this.#cluster = cluster
    this.#member = member
    this.#from = key.toString('latin1')
    this.#to = rangeEnd.toString('latin1')
    this.#send = send
    this.#end = end
    this.#start = startRevision
    this.#next = startRevision
  }

  start(): void {
    const { revision } = this.#cluster.stateOf(this.#member)
    this.#tell({ created: true })
    // What a member has not applied yet is in the future for it.
    if (this.#cluster.bugs.has('watchBack') && this.#start > revision + 1) {
      this.#next = Math.max(2, revision - 2)
    }
    this.advance()
    this.#tellProgress()
  }

  cancel(): void {
    this.#isOver = true
    this.#member.watchers.delete(this)
  }

  end(error: RpcError): void {
    this.cancel()
    this.#end(error)
  }

  goBackTo(revision: number): void {
    this.#next = Math.min(this.#next, revision + 1)
  }

  /** Its member has applied more. */
  advance(): void {
    if (this.#isFlushing || this.#isOver) return
    this.#isFlushing = true
    const { world, nastiness } = this.#cluster
    const isSlow = this.#member.slowMs > 0 || this.#cluster.chance(1)
    const delayMs = nastiness === 0 ? 0.1 : isSlow ? world.between(50, 2_000) : world.between(0, 3)
    world.after(delayMs + this.#member.slowMs, () =>
      this.#member.machine.reach(() => {
        this.#isFlushing = false
        if (!this.#isOver) this.#flush(isSlow)
      }),
    )
  }

  #flush(isSlow: boolean): void {
    const { revision, compacted } = this.#cluster.stateOf(this.#member)
    if (this.#next < compacted) {
      this.#tell({ canceled: true, compactRevision: int64(compacted) })
      this.cancel()
      return
    }
    let events: WatchEvent[] = []
    for (let at = this.#next; at <= revision; at++) events.push(...this.#eventsAt(at, compacted))
    this.#next = Math.max(this.#next, revision + 1)
    if (this.#cluster.bugs.has('slowStream') && isSlow) {
      events = events.slice(0, Math.floor(events.length / 2))
    }
    if (events.length > 0) this.#tellEvents(events)
  }

  #eventsAt(at: number, compacted: number): WatchEvent[] {
    const { mvcc, bugs } = this.#cluster
    const isLossy = bugs.has('compactDrop') && at === this.#start && at === compacted
    return mvcc.eventsAt(at).filter(({ type, kv }) => {
      const key = kv.key.toString('latin1')
      return key >= this.#from && key < this.#to && !(isLossy && type === 'DELETE')
    })
  }

  /** In one response, or cut anywhere into fragments. */
  #tellEvents(events: readonly WatchEvent[]): void {
    const { draw } = this.#cluster.world
    let rest = events
    while (rest.length > 1 && this.#cluster.chance(10)) {
      const count = 1 + draw.below(rest.length - 1)
      this.#tell({ events: rest.slice(0, count), fragment: true })
      rest = rest.slice(count)
    }
    this.#tell({ events: rest })
  }

  #tell(what: Partial<WatchResponse>): void {
    const { revision } = this.#cluster.stateOf(this.#member)
    this.#send({
      header: headerAt(revision, this.#cluster.mvcc.cluster),
      created: false,
      canceled: false,
      compactRevision: int64(0),
      cancelReason: '',
      fragment: false,
      events: [],
      ...what,
    })
  }

  /** Says up to where everything was told, when it was. */
  #tellProgress(): void {
    const { world } = this.#cluster
    world.after(world.between(2_000, 12_000), () =>
      this.#member.machine.reach(() => {
        if (this.#isOver) return
        if (this.#next > this.#cluster.stateOf(this.#member).revision) this.#tell({})
        this.#tellProgress()
      }),
    )
  }
}
