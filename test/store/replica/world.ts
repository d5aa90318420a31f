/**
 * What the tests of replicas share: a store, servers that follow it at their own pace, and links
 * that deliver late, in pieces, or not at all.
 */
import { type Revision, revision } from '../../../src/base/brand.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { type Authority, openAuthority } from '../../../src/base/who.ts'
import { FeedRing } from '../../../src/store/feed.ts'
import { scopesOf, withSystemTables } from '../../../src/store/local.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import {
  Replica,
  type ReplicaOptions,
  replicaTables,
  type Upstream,
  type UpstreamListener,
} from '../../../src/store/replica/engine.ts'
import type { InterestKind } from '../../../src/store/replica/interest.ts'
import { catalogInterests } from '../../../src/store/replica/kinds.ts'
import type { ViewAnswer, ViewRequest } from '../../../src/store/replica/messages.ts'
import { type Follower, Publisher } from '../../../src/store/replica/publisher.ts'
import type { Change, Store } from '../../../src/store/store.ts'
import { registryTables } from '../../../src/store/tables/mod.ts'
import { Version } from '../../../src/store/view.ts'
import { Scopes } from '../../../src/store/wait.ts'
import { settled } from '../../fake/clock.ts'

const tables = withSystemTables(registryTables)

/** A server that sees the store's changes when it is told to. */
export class LateServer {
  readonly scopes = new Scopes()
  readonly publisher: Publisher
  readonly #store: Store
  readonly #waiting: Change[] = []
  #head = new Version(tables)
  #shown: Version
  #ring = new FeedRing(revision(0), async () => undefined)

  constructor(
    store: Store,
    clock: Clock,
    authority: Authority = openAuthority,
    kinds: readonly InterestKind[] = catalogInterests,
  ) {
    this.#store = store
    this.#shown = this.#head.cut(undefined)
    const own = {
      scopes: this.scopes,
      view: () => this.#shown,
      feed: (after: Revision) => this.#ring.open(after, revision(0)),
      status: () => store.status(),
      revisionOf: (index: number) => store.revisionOf(index),
    }
    const port = own as unknown as Store
    this.publisher = new Publisher({
      ...{ store: port, kinds, clock, authority, log: silentLog, ageMs: () => 0 },
    })
    void this.#listen()
  }

  async #listen(): Promise<void> {
    const cursor = this.#store.feed(revision(0))
    for (;;) {
      const change = await cursor.next(new AbortController().signal)
      if (change === undefined || change === 'resync') return
      this.#waiting.push(change)
    }
  }

  /** How many changes it has not seen. */
  get behind(): number {
    return this.#waiting.length
  }

  /** Sees so many changes more, and shows them at once. */
  catchUp(count = this.#waiting.length): void {
    const changes = this.#waiting.splice(0, count)
    const touched = new Map<string, Revision>()
    for (const { revision: at, events } of changes) {
      for (const { table, key, after } of events) this.#head.apply(table, key, after, at)
      this.#head.revision = at
      for (const event of events) {
        for (const name of scopesOf(event, this.#head)) touched.set(name, at)
      }
    }
    this.#shown = this.#head.cut(this.#shown)
    for (const change of changes) this.#ring.push(change)
    for (const [name, at] of touched) this.scopes.touch(name, at)
  }

  /** Forgets what it knows of its changes one by one, as after a compaction. */
  forget(): void {
    this.#ring.restart(this.#shown.revision)
  }

  /** Forgets what it knows of scopes, as after a restart. */
  restart(): void {
    this.scopes.reset(this.#shown.revision)
    this.#ring.restart(this.#shown.revision)
  }

  close(): void {
    this.publisher.close()
    this.#ring.close()
  }
}

/** A link to one server; messages wait until they are delivered. */
class Link {
  readonly #listener: UpstreamListener
  readonly #up: ViewRequest[] = []
  readonly #down: ViewAnswer[] = []
  readonly #follower: Follower
  readonly server: LateServer
  #isOver = false
  /** How many answers it takes before it is full. */
  readonly room: number

  constructor(server: LateServer, listener: UpstreamListener, room: number) {
    this.server = server
    this.#listener = listener
    this.room = room
    this.#follower = server.publisher.open({
      send: answer => {
        this.#down.push(answer)
        return this.#down.length < this.room
      },
      end: () => {},
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  send(request: ViewRequest): void {
    this.#up.push(request)
  }

  close(): void {
    this.#isOver = true
    this.#follower.close()
  }

  /** Delivers so many messages each way. */
  deliver(count = Number.POSITIVE_INFINITY): void {
    if (this.#isOver) return
    for (let left = count; left > 0 && this.#up.length > 0; left--) {
      this.#follower.receive(this.#up.shift()!)
    }
    for (let left = count; left > 0 && this.#down.length > 0 && !this.#isOver; left--) {
      this.#listener.onAnswer(this.#down.shift()!)
    }
    if (this.#down.length === 0 && !this.#isOver) this.#follower.drained()
  }

  cut(): void {
    if (this.#isOver) return
    this.close()
    this.#listener.onEnd('the link was cut')
  }
}

export interface TestReplica {
  readonly replica: Replica
  /** The link of now, if there is one. */
  link(): Link | undefined
  /** The server that the next link leads to; undefined for none. */
  aim(server: LateServer | undefined): void
}

/** A replica that follows servers of the test. */
export function openReplica(
  clock: Clock,
  server: LateServer | undefined,
  room = Number.POSITIVE_INFINITY,
  more: Partial<ReplicaOptions> = {},
): TestReplica {
  let aim = server
  let link: Link | undefined
  const replica = new Replica({
    tables: [...tables, ...replicaTables],
    kinds: catalogInterests,
    clock,
    random: { ...systemRandom, fraction: () => 0 },
    log: silentLog,
    ownToken: () => '',
    connect(listener) {
      if (aim === undefined) {
        listener.onEnd('nobody is there')
        return { send: () => {}, close: () => {} }
      }
      link = new Link(aim, listener, room)
      return link
    },
    ...more,
  })
  return {
    replica,
    link: () => (link?.isOver === true ? undefined : link),
    aim(next) {
      aim = next
    },
  }
}

/** Delivers everything both ways until nothing more comes. */
export async function flow(...replicas: readonly TestReplica[]): Promise<void> {
  for (let round = 0; round < 8; round++) {
    for (const { link } of replicas) link()?.deliver()
    await settled()
  }
}

/** A store in memory. */
export const openStore = (clock: Clock): Store =>
  openMemoryStore({ tables, clock, random: systemRandom })

/** A way to a publisher in this process that delivers by itself, until it is cut. */
export class DirectWay {
  readonly #publisher: Publisher
  readonly #ends = new Set<() => void>()
  /** Whether anybody can be reached. */
  isCut = false
  /** How many requests came. */
  requests = 0

  constructor(publisher: Publisher) {
    this.#publisher = publisher
  }

  readonly connect = (listener: UpstreamListener): Upstream => {
    if (this.isCut) {
      setImmediate(() => listener.onEnd('it is cut'))
      return { send: () => {}, close: () => {} }
    }
    let isOver = false
    const follower = this.#publisher.open({
      send(answer) {
        setImmediate(() => {
          if (!isOver) listener.onAnswer(structuredCloned(answer))
        })
        return true
      },
      end: () => {},
    })
    const close = (): void => {
      isOver = true
      follower.close()
      this.#ends.delete(end)
    }
    const end = (): void => {
      close()
      listener.onEnd('it was cut')
    }
    this.#ends.add(end)
    return {
      send: request => {
        this.requests++
        setImmediate(() => {
          if (!isOver) follower.receive(request)
        })
      },
      close,
    }
  }

  cut(): void {
    this.isCut = true
    for (const end of [...this.#ends]) end()
  }
}

/** What goes over a wire shares nothing with what was sent. */
const structuredCloned = (answer: ViewAnswer): ViewAnswer => ({
  ...answer,
  updates: answer.updates.map(update => ({ ...update, body: Buffer.from(update.body) })),
})

/** A publisher of a whole store. */
export const publish = (
  store: Store,
  clock: Clock,
  authority: Authority = openAuthority,
  kinds: readonly InterestKind[] = catalogInterests,
): Publisher => new Publisher({ store, kinds, clock, authority, log: silentLog, ageMs: () => 0 })

/** A replica that follows by a way of its own. */
export function replicaBy(
  way: Pick<ReplicaOptions, 'connect'>,
  clock: Clock,
  more: Partial<ReplicaOptions> = {},
): Replica {
  const replica = new Replica({
    tables: [...tables, ...replicaTables],
    kinds: catalogInterests,
    ...{ clock, random: systemRandom, log: silentLog, ownToken: () => '', connect: way.connect },
    ...more,
  })
  replica.start()
  return replica
}
