/**
 * The server's side of views: what each follower stands on, and what changed of it.
 *
 * Owns who follows what. Works in rounds: a round takes one version of the store and brings every
 * follower that is ready to it, so that nobody ever has half of a revision. A change is encoded
 * once for each interest and shared by all who follow it. Nothing waits for a slow follower: its
 * changes become one, and are rendered when it is ready. Must never show anybody a row that he
 * may not see.
 */
import { type Revision, revision } from '../../base/brand.ts'
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import { afterPoll, inSlices } from '../../base/slices.ts'
import type { Authority, Who } from '../../base/who.ts'
import type { Cursor, Event, Store } from '../store.ts'
import { encodeMarks, encodePart } from './codec.ts'
import { type Interest, type InterestKind, interestKey, type View } from './interest.ts'
import type {
  ViewAnswer,
  ViewHello,
  ViewRequest,
  ViewState,
  ViewSubscription,
  ViewUpdate,
} from './messages.ts'

/** Where a follower's answers go. */
export interface Outlet {
  /** Sends, and tells whether more may come at once; if not, `drained` is called later. */
  send(answer: ViewAnswer): boolean
  /** Ends the stream: the follower should turn to another server. */
  end(reason: string): void
}

export interface PublisherOptions {
  readonly store: Store
  readonly kinds: readonly InterestKind[]
  readonly clock: Clock
  readonly log: Log
  readonly authority: Pick<Authority, 'authenticate' | 'byView' | 'watch'>
  /** Milliseconds since the view was the newest for sure. */
  readonly ageMs: () => number
}

/** What happened since the start. */
export interface PublisherStats {
  followers: number
  interests: number
  /** Parts and wholes that were encoded, and how often they were sent. */
  encoded: number
  sent: number
}

/** An interest that somebody follows. */
interface Followed {
  readonly key: string
  readonly interest: Interest
  readonly kind: InterestKind
  readonly subscriptions: Set<Subscription>
  /** All of it, for those who may see all; undefined once something changed. */
  whole: readonly Buffer[] | undefined
}

interface Subscription {
  readonly id: number
  readonly follower: Follower
  readonly followed: Followed
  readonly token: string
  who: Who | Refusal
  /** Everything must be sent, or parts of it; nothing where it is undefined. */
  dirty: 'whole' | ReadonlySet<Bytes> | undefined
  /** What the follower has of it; 0 for nothing. */
  since: number
  unwatch: () => void
}

export class Publisher {
  readonly #options: PublisherOptions
  readonly #kinds: ReadonlyMap<string, InterestKind>
  readonly #followed = new Map<string, Followed>()
  readonly #followers = new Set<Follower>()
  readonly #needy = new Set<Follower>()
  /** Who has seen more than this server's view shows: he waits for later rounds. */
  readonly #ahead = new Set<Follower>()
  readonly #abort = new AbortController()
  #cursor: Cursor | undefined
  #events: Event[] = []
  #isScheduled = false
  #isRunning = false
  #isHeartbeatDue = false
  #heartbeat: Timer | undefined
  #wholes = new Map<Followed, number>()
  #wholesSizeBytes = 0
  readonly #stats = { encoded: 0, sent: 0 }

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#kinds = new Map(options.kinds.map(kind => [kind.kind, kind]))
  }

  get stats(): PublisherStats {
    return {
      ...this.#stats,
      followers: this.#followers.size,
      interests: this.#followed.size,
    }
  }

  /** A follower that just came. Throws OperatingError `limit`, or `closed`. */
  open(outlet: Outlet): Follower {
    if (this.#abort.signal.aborted) {
      throw new OperatingError(OperatingCode.closed, 'the server stops')
    }
    if (this.#followers.size >= limits.viewFollowers) {
      throw new OperatingError(OperatingCode.limit, 'too many agents follow this server')
    }
    const follower = new Follower(outlet, {
      subscribe: (of, subscription) => this.#subscribe(of, subscription),
      unsubscribe: subscription => this.#unsubscribe(subscription),
      needs: of => this.#need(of),
      confirm: () => this.#options.store.readIndex(),
      left: of => {
        this.#followers.delete(of)
        this.#needy.delete(of)
        this.#ahead.delete(of)
      },
    })
    this.#followers.add(follower)
    if (this.#cursor === undefined) void this.#follow()
    this.#heartbeat ??= this.#options.clock.after(limits.viewHeartbeatMs, () => this.#beat())
    return follower
  }

  close(): void {
    this.#abort.abort()
    this.#heartbeat?.clear()
    for (const follower of [...this.#followers]) follower.close()
  }

  #beat(): void {
    this.#heartbeat = undefined
    if (this.#abort.signal.aborted || this.#followers.size === 0) return
    this.#isHeartbeatDue = true
    this.#schedule()
    this.#heartbeat = this.#options.clock.after(limits.viewHeartbeatMs, () => this.#beat())
  }

  #need(follower: Follower): void {
    this.#needy.add(follower)
    this.#schedule()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    const { store } = this.#options
    while (!signal.aborted) {
      const cursor = store.feed(store.view().revision)
      this.#cursor = cursor
      this.#startOver()
      for (;;) {
        const soon = cursor.next(signal)
        const change = soon instanceof Promise ? await soon : soon
        if (change === undefined) return
        if (change === 'resync') break
        if (this.#followed.size > 0) this.#events.push(...change.events)
        if (this.#events.length > limits.viewPendingEvents) this.#startOver()
        this.#schedule()
      }
    }
  }

  /** What changed is not known one by one: everybody is sent everything. */
  #startOver(): void {
    this.#events = []
    for (const followed of this.#followed.values()) {
      this.#forgetWhole(followed)
      for (const one of followed.subscriptions) {
        one.dirty = 'whole'
        one.since = 0
        this.#needy.add(one.follower)
      }
    }
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isRunning) return
    this.#isScheduled = true
    afterPoll(() => {
      this.#isScheduled = false
      // What the view shows already is still on its way: the round begins when it came.
      if (this.#cursor?.isAtEnd() !== true || this.#abort.signal.aborted) return
      this.#isRunning = true
      this.#round()
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          this.#isRunning = false
          if (this.#events.length > 0 || this.#needy.size > 0) this.#schedule()
        })
    })
  }

  /** Nobody goes on from half a round: all turn to another server, or begin anew. */
  #fail(error: unknown): void {
    this.#options.log.error('views could not be told', { error: messageOf(error) })
    for (const follower of [...this.#followers]) follower.close()
  }

  async #round(): Promise<void> {
    const { store } = this.#options
    const view = store.view() as View
    const events = this.#events
    this.#events = []
    const round = new Round(this.#options, view, this.#stats, this.#isHeartbeatDue)
    const changed = new Map<Followed, Set<Bytes>>()
    // Nothing that comes meanwhile is of this round: the version does not change.
    await inSlices(events, event => this.#collect(event, view, changed))
    const ready = new Set(this.#isHeartbeatDue ? this.#followers : this.#needy)
    for (const follower of [...this.#needy, ...this.#ahead]) ready.add(follower)
    this.#needy.clear()
    this.#ahead.clear()
    this.#isHeartbeatDue = false
    for (const [followed, parts] of changed) {
      this.#forgetWhole(followed)
      for (const one of followed.subscriptions) {
        note(one, parts)
        ready.add(one.follower)
      }
    }
    const wholeOf = (followed: Followed): readonly Buffer[] => this.#wholeOf(followed, round)
    await inSlices(
      ready,
      follower => {
        if (!follower.flush(round, wholeOf)) this.#ahead.add(follower)
      },
      1,
    )
  }

  #collect(event: Event, view: View, changed: Map<Followed, Set<Bytes>>): void {
    for (const kind of this.#kinds.values()) {
      const names = () => this.#namesOf(kind)
      for (const { name, part } of kind.touched(event, view, names)) {
        const followed = this.#followed.get(interestKey({ kind: kind.kind, name }))
        if (followed === undefined) continue
        const parts = changed.get(followed)
        if (parts === undefined) changed.set(followed, new Set([part]))
        else parts.add(part)
      }
    }
  }

  *#namesOf(kind: InterestKind): Iterable<Bytes> {
    for (const followed of this.#followed.values()) {
      if (followed.kind === kind) yield followed.interest.name
    }
  }

  #wholeOf(followed: Followed, round: Round): readonly Buffer[] {
    if (followed.whole !== undefined) return followed.whole
    const whole = round.whole(followed)
    const sizeBytes = whole.reduce((total, { length }) => total + length, 0)
    // Something may have changed after the version of this round: then it is not what holds next.
    if (round.isNewest()) {
      followed.whole = whole
      this.#wholes.set(followed, sizeBytes)
      this.#wholesSizeBytes += sizeBytes
      for (const oldest of this.#wholes.keys()) {
        if (this.#wholesSizeBytes <= limits.viewWholesSizeBytes) break
        this.#forgetWhole(oldest)
      }
    }
    return whole
  }

  #forgetWhole(followed: Followed): void {
    followed.whole = undefined
    this.#wholesSizeBytes -= this.#wholes.get(followed) ?? 0
    this.#wholes.delete(followed)
  }

  #subscribe(follower: Follower, given: ViewSubscription): Subscription | Refusal {
    const kind = this.#kinds.get(given.kind)
    if (kind === undefined) return new Refusal(501, `not served yet: views of ${given.kind}`)
    const interest = { kind: given.kind, name: fromBuffer(given.name) }
    const key = interestKey(interest)
    let followed = this.#followed.get(key)
    if (followed === undefined) {
      followed = { key, interest, kind, subscriptions: new Set(), whole: undefined }
      this.#followed.set(key, followed)
    }
    const { id, token, since } = given
    const one: Subscription = {
      ...{ id, follower, followed, token, since, dirty: 'whole' },
      who: this.#whoOf(token),
      unwatch: () => {},
    }
    followed.subscriptions.add(one)
    this.#watch(one)
    return one
  }

  /** Whoever follows is told how old the view is, and judges by that himself. */
  #whoOf(token: string): Who | Refusal {
    const { authority } = this.#options
    return authority.byView?.(token) ?? authority.authenticate(token)
  }

  /** Rights that change are looked at again, and what they show is sent anew. */
  #watch(one: Subscription): void {
    const { authority } = this.#options
    one.unwatch()
    if (one.who instanceof Refusal) {
      one.unwatch = this.#lookAgain(one, one.who)
      return
    }
    one.unwatch = authority.watch(one.who, () => {
      one.who = this.#whoOf(one.token)
      one.dirty = 'whole'
      one.since = 0
      this.#watch(one)
      this.#need(one.follower)
    })
  }

  /** Whose token cannot be told now is asked for again; one that is nobody's is not. */
  #lookAgain(one: Subscription, { status }: Refusal): () => void {
    if (status !== UNAVAILABLE) return () => {}
    const timer = this.#options.clock.after(limits.viewRefusedLookMs, () => {
      const who = this.#whoOf(one.token)
      const isSame = who instanceof Refusal && who.status === status
      one.who = who
      this.#watch(one)
      if (isSame) return
      one.dirty = 'whole'
      one.since = 0
      this.#need(one.follower)
    })
    return () => timer.clear()
  }

  #unsubscribe(one: Subscription): void {
    one.unwatch()
    const { followed } = one
    followed.subscriptions.delete(one)
    if (followed.subscriptions.size > 0) return
    this.#forgetWhole(followed)
    this.#followed.delete(followed.key)
  }
}

/** Parts that changed; the set is shared by all who have nothing else to be told. */
function note(one: Subscription, parts: ReadonlySet<Bytes>): void {
  if (one.dirty === 'whole') return
  one.dirty = one.dirty === undefined ? parts : one.dirty.union(parts)
  if (one.dirty.size > limits.viewPendingParts) {
    one.dirty = 'whole'
    one.since = 0
  }
}

/** One version of the store, and what was encoded of it. */
class Round {
  readonly view: View
  readonly indexOffset: number
  readonly #options: PublisherOptions
  readonly #stats: { encoded: number; sent: number }
  /** What changed of an interest, by the set of its parts. */
  readonly #changes = new Map<Followed, Map<ReadonlySet<Bytes>, Buffer>>()
  /** By interest and rights. */
  readonly #partial = new Map<string, readonly Buffer[]>()
  readonly clusterId: string
  readonly generation: number

  /** Whether everybody hears of it, also who has nothing to be told. */
  readonly isBeat: boolean

  constructor(
    options: PublisherOptions,
    view: View,
    stats: { encoded: number; sent: number },
    isBeat: boolean,
  ) {
    this.isBeat = isBeat
    const { clusterId, generation } = options.store.status()
    this.#options = options
    this.view = view
    this.#stats = stats
    this.clusterId = clusterId
    this.generation = generation
    this.indexOffset = -options.store.revisionOf(0)
  }

  get revision(): Revision {
    return this.view.revision
  }

  isNewest(): boolean {
    return this.#options.store.view().revision === this.view.revision
  }

  answer(updates: readonly ViewUpdate[], isLast: boolean, confirmed = 0): ViewAnswer {
    const { clusterId, generation, indexOffset } = this
    const ageMs = Math.max(0, Math.ceil(this.#options.ageMs()))
    this.#stats.sent += updates.length
    const shown = { clusterId, generation, indexOffset, revision: this.revision }
    return { ...shown, ageMs, isLast, updates, confirmed }
  }

  /** Whether nothing of it can have changed since a revision. */
  isSame({ kind, interest }: Followed, since: number): boolean {
    const { scopes } = this.#options.store
    return since > 0 && kind.changedAt(this.view, scopes, interest.name) <= since
  }

  marks({ kind, interest }: Followed): Buffer {
    const { scopes } = this.#options.store
    const marks = kind.marks(this.view, scopes, interest.name)
    // What a later version touched is told with that version.
    return encodeMarks(
      marks.map(([name, at]) => [name, revision(Math.min(at, this.revision))] as const),
    )
  }

  /** All parts, in pieces of a bounded size; the first has the marks. */
  whole(followed: Followed, who?: Who): readonly Buffer[] {
    const { kind, interest } = followed
    const pieces: Buffer[] = []
    let open: Buffer[] = [this.marks(followed)]
    let sizeBytes = 0
    for (const part of kind.parts(this.view, interest.name)) {
      const encoded = this.#part(followed, part, who)
      if (encoded === undefined) continue
      if (sizeBytes > limits.viewPieceSizeBytes) {
        pieces.push(Buffer.concat(open))
        open = [NO_MARKS]
        sizeBytes = 0
      }
      open.push(encoded)
      sizeBytes += encoded.length
    }
    this.#stats.encoded++
    pieces.push(Buffer.concat(open))
    return pieces
  }

  /** The same as somebody with few rights sees it. */
  wholeFor(followed: Followed, who: Who): readonly Buffer[] {
    const key = `${who.rights}\n${followed.key}`
    let found = followed.kind.isPersonal ? undefined : this.#partial.get(key)
    if (found === undefined) {
      found = this.whole(followed, who)
      this.#partial.set(key, found)
    }
    return found
  }

  /** Those parts that changed, as they are now. */
  change(followed: Followed, parts: ReadonlySet<Bytes>): Buffer {
    let made = this.#changes.get(followed)
    if (made === undefined) {
      made = new Map()
      this.#changes.set(followed, made)
    }
    let body = made.get(parts)
    if (body === undefined) {
      body = this.changeFor(followed, parts)
      made.set(parts, body)
    }
    return body
  }

  changeFor(followed: Followed, parts: ReadonlySet<Bytes>, who?: Who): Buffer {
    this.#stats.encoded++
    const gone = (key: Bytes): Buffer => encodePart({ key, rows: [] }, this.indexOffset)
    return Buffer.concat([
      this.marks(followed),
      ...[...parts].map(part => this.#part(followed, part, who) ?? gone(part)),
    ])
  }

  #part({ kind, interest }: Followed, key: Bytes, who: Who | undefined): Buffer | undefined {
    const all = kind.rows(this.view, interest.name, key)
    const rows = who === undefined ? all : kind.seen(who, interest.name, key, all)
    return rows.length === 0 ? undefined : encodePart({ key, rows }, this.indexOffset)
  }
}

/** HTTP's: it may be asked again. */
const UNAVAILABLE = 503
const NO_MARKS = encodeMarks([])
const NO_BODY = Buffer.alloc(0)

interface FollowerPorts {
  subscribe(of: Follower, given: ViewSubscription): Subscription | Refusal
  unsubscribe(subscription: Subscription): void
  /** A revision that shows all that was acknowledged before. Rejects with OperatingError. */
  confirm(): Promise<Revision>
  /** It has something to be sent. */
  needs(of: Follower): void
  left(of: Follower): void
}

/** One agent that follows, on one stream. */
export class Follower {
  readonly #outlet: Outlet
  readonly #ports: FollowerPorts
  readonly #subscriptions = new Map<number, Subscription>()
  #refused: ViewUpdate[] = []
  /** What is not sent yet of a version, in its order. */
  #queue: ViewAnswer[] = []
  /** The newest of its wishes, and the revision that meets it. */
  #confirmed = { wish: 0, at: revision(0) }
  #isReady = true
  #isOver = false
  #hasAnswered = false
  /** What it has seen of which store; it must not be shown less. Undefined until it said so. */
  #seen: ViewHello | undefined

  constructor(outlet: Outlet, ports: FollowerPorts) {
    this.#outlet = outlet
    this.#ports = ports
  }

  /** Takes what the agent says. */
  receive({ hello, subscribe, unsubscribe, confirm }: ViewRequest): void {
    if (this.#isOver) return
    if (hello !== undefined && hello !== null) this.#seen = hello
    for (const id of unsubscribe) {
      const one = this.#subscriptions.get(id)
      this.#subscriptions.delete(id)
      if (one !== undefined) this.#ports.unsubscribe(one)
    }
    for (const given of subscribe) {
      if (this.#subscriptions.has(given.id)) continue
      const one =
        this.#subscriptions.size < limits.viewInterests
          ? this.#ports.subscribe(this, given)
          : new Refusal(429, 'too many interests on one stream')
      if (one instanceof Refusal) this.#refused.push(refusedUpdate(given.id, one))
      else this.#subscriptions.set(given.id, one)
    }
    if (confirm > 0) this.#confirm(confirm)
    if (hello || subscribe.length > 0) this.#ports.needs(this)
  }

  /** A server that cannot tell what is the newest says nothing. */
  #confirm(wish: number): void {
    this.#ports.confirm().then(
      at => {
        if (wish > this.#confirmed.wish) this.#confirmed = { wish, at }
        this.#ports.needs(this)
      },
      () => {},
    )
  }

  /** All that was sent is on its way. */
  drained(): void {
    this.#isReady = true
    this.#pump()
    if (this.#isReady && this.#queue.length === 0 && !this.#isOver) this.#ports.needs(this)
  }

  /** The agent is gone, or the server stops. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#queue = []
    for (const one of this.#subscriptions.values()) this.#ports.unsubscribe(one)
    this.#subscriptions.clear()
    this.#ports.left(this)
    this.#outlet.end('the server stops')
  }

  /** Brings it to the version of a round. False: it has seen a later one and waits for that. */
  flush(round: Round, wholeOf: (followed: Followed) => readonly Buffer[]): boolean {
    // What it has is of another revision until it said what it follows.
    if (this.#isOver || !this.#isReady || this.#queue.length > 0) return true
    if (this.#seen === undefined) return true
    const { clusterId, generation, revision: seen } = this.#seen
    const isSameStore = clusterId === round.clusterId && generation === round.generation
    if (isSameStore && seen > round.revision) return false
    const isFirst = !this.#hasAnswered
    const answers = this.#answersOf(round, wholeOf, isSameStore)
    const isNews = answers.some(({ updates, confirmed }) => updates.length > 0 || confirmed > 0)
    if (!isNews && !isFirst && isSameStore && !round.isBeat) return true
    this.#hasAnswered = true
    const { revision: shown } = round
    this.#seen = { clusterId: round.clusterId, generation: round.generation, revision: shown }
    this.#queue.push(...answers)
    this.#pump()
    return true
  }

  #answersOf(
    round: Round,
    wholeOf: (followed: Followed) => readonly Buffer[],
    isSameStore: boolean,
  ): ViewAnswer[] {
    const answers: ViewAnswer[] = []
    let updates: ViewUpdate[] = this.#refused.splice(0)
    let sizeBytes = 0
    for (const one of this.#subscriptions.values()) {
      if (one.dirty === undefined) continue
      for (const update of updatesOf(one, round, wholeOf, isSameStore)) {
        if (sizeBytes > limits.viewPieceSizeBytes) {
          answers.push(round.answer(updates, false))
          updates = []
          sizeBytes = 0
        }
        updates.push(update)
        sizeBytes += update.body.length
      }
      one.dirty = undefined
      one.since = 0
    }
    const { wish, at } = this.#confirmed
    const isMet = wish > 0 && at <= round.revision
    if (isMet) this.#confirmed = { wish: 0, at }
    answers.push(round.answer(updates, true, isMet ? wish : 0))
    return answers
  }

  #pump(): void {
    while (this.#isReady && !this.#isOver) {
      const next = this.#queue.shift()
      if (next === undefined) return
      this.#isReady = this.#outlet.send(next)
    }
  }
}

const refusedUpdate = (id: number, { status, text }: Refusal): ViewUpdate => ({
  ...{ id, state: 'REFUSED', isPartial: true, body: NO_BODY, status, text },
})

function* updatesOf(
  one: Subscription,
  round: Round,
  wholeOf: (followed: Followed) => readonly Buffer[],
  isSameStore: boolean,
): Generator<ViewUpdate> {
  const { id, followed, who, dirty, since } = one
  if (who instanceof Refusal) {
    yield refusedUpdate(id, who)
    return
  }
  const isPartial = !followed.kind.seesAll(who, followed.interest.name)
  const update = (state: ViewState, body: Buffer): ViewUpdate => ({
    ...{ id, state, isPartial, body, status: 0, text: '' },
  })
  if (dirty !== 'whole') {
    const parts = dirty ?? new Set<Bytes>()
    const body = isPartial ? round.changeFor(followed, parts, who) : round.change(followed, parts)
    yield update('CHANGE', body)
  } else if (!isPartial && isSameStore && round.isSame(followed, since)) {
    yield update('SAME', round.marks(followed))
  } else {
    const pieces = isPartial ? round.wholeFor(followed, who) : wholeOf(followed)
    for (const [i, body] of pieces.entries()) yield update(i === 0 ? 'WHOLE' : 'CHANGE', body)
  }
}
