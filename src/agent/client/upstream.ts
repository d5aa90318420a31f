/**
 * Keeps the catalog in line with what this agent has registered on its node.
 *
 * Owns when the servers are told: differences soon after they arise, everything when a connection
 * was made anew, when others did something on the node, and now and then, less often the more nodes
 * there are. What could not be told stays to be told. The agent's own store says what there is, so
 * that clients are answered and checks go on while no server is there.
 */

import { type Revision, revision } from '../../base/brand.ts'
import { type Clock, type Random, sleep } from '../../base/clock.ts'
import { messageOf, type Refusal } from '../../base/errors.ts'
import type { RpcStream } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import type { Log } from '../../base/log.ts'
import type { Counter, Metrics } from '../../base/metrics.ts'
import type { Timeout, Timeouts } from '../../base/timeouts.ts'
import type { SyncEntry, SyncOutcome } from '../../registry/agent-sync.ts'
import { dropCheckOps, dropServiceOps, SERF_HEALTH } from '../../registry/catalog.ts'
import { adoptTags, type Entry } from '../../registry/local.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import {
  entryMessage,
  nodeMessage,
  outcomeOf,
  type SyncQuestion,
  syncLeave,
  syncPut,
  syncWatch,
} from '../../rpc/sync.ts'
import { type Event, isRefusal, type Store } from '../../store/store.ts'
import { checks } from '../../store/tables/check.ts'
import { fold, onNode, underNode } from '../../store/tables/names.ts'
import { nodes } from '../../store/tables/node.ts'
import { services } from '../../store/tables/service.ts'
import type { Reader } from '../../store/view.ts'
import { idIn } from '../local-checks.ts'
import type { Publishers, TokenKind } from '../publishers.ts'

export interface UpstreamPorts {
  /** The agent's own. */
  readonly store: Store
  readonly channel: Pick<ServerChannel, 'call' | 'open'>
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /** Which token each entry is written with. */
  readonly publishers: Publishers
  /** One of the agent's own tokens: a secret, '' for none. */
  readonly tokenOf: (kind: TokenKind) => string
}

/** What may differ from what the servers have. */
class Pending {
  readonly services = new Set<string>()
  readonly checks = new Set<string>()
  isWhole = false
  /** The node itself. */
  hasNode = false

  get size(): number {
    return this.services.size + this.checks.size
  }

  get isEmpty(): boolean {
    return this.size === 0 && !this.isWhole && !this.hasNode
  }

  /** Takes back what was not told after all. */
  add(other: Pending): void {
    for (const id of other.services) this.services.add(id)
    for (const id of other.checks) this.checks.add(id)
    this.isWhole ||= other.isWhole
    this.hasNode ||= other.hasNode
  }
}

/** One entry on its way, and how its name is told in the log. */
interface Sent {
  readonly entry: SyncEntry
  readonly name: Entry
}

export class Upstream {
  readonly #ports: UpstreamPorts
  readonly #node: string
  readonly #intervalMs: number
  readonly #sent: Counter
  readonly #stopping = new AbortController()
  #pending = new Pending()
  /** What clients registered since it was last told. */
  readonly #freshServices = new Set<string>()
  readonly #freshChecks = new Set<string>()
  #delay: Timeout | undefined
  #running: Promise<void> | undefined
  #following: Promise<void> = Promise.resolve()
  #watching: RpcStream<{ node: string }> | undefined
  #interval: Timeout | undefined
  #failures = 0
  #nodes = 1
  #awaySinceMs: number | undefined
  #toldProblem = ''
  /** The revision of the own store up to which the feed was read, and up to which it was told. */
  #seen: Revision
  #told: Revision
  readonly #waiting = new Set<{ readonly at: Revision; readonly done: () => void }>()

  constructor(ports: UpstreamPorts, node: string, intervalMs: number) {
    this.#ports = ports
    this.#node = node
    this.#intervalMs = intervalMs
    this.#awaySinceMs = ports.clock.monotonic()
    this.#seen = ports.store.view().revision
    this.#told = revision(0)
    this.#sent = ports.metrics.counter('client.sync.entries', 'Entries told to the servers.')
  }

  /** Since when no server is reached, by the monotonic clock; undefined while one is. */
  get awaySinceMs(): number | undefined {
    return this.#awaySinceMs
  }

  /** Entries that the servers were not told of yet. */
  get pending(): number {
    return this.#pending.size
  }

  /** Begins to tell the servers, as soon as one is there. */
  start(): void {
    this.#following = this.#follow()
    this.#watch()
    this.#repeat()
  }

  /** Starts nothing any more; resolves when what is under way is over, or took too long. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#delay?.cancel()
    this.#interval?.cancel()
    this.#watching?.cancel()
    const rest = Promise.all([this.#following, this.#running])
    await Promise.race([rest, sleep(this.#ports.clock, limits.agentStopMs)])
  }

  /** Has the node removed from the catalog. Never rejects: what cannot be told is logged. */
  async leave(): Promise<void> {
    const { channel, log } = this.#ports
    const options = { timeoutMs: limits.agentLeaveMs, repeatable: true }
    await this.stop()
    try {
      await channel.call(syncLeave, { node: this.#node }, options)
      log.info('left: the node is removed from the catalog', { node: this.#node })
    } catch (error) {
      log.warn('the node stays in the catalog: no server could be told that this agent leaves', {
        error: messageOf(error),
      })
    }
  }

  /** A client registered these, if only again: it is newer than a removal by others. */
  registered(serviceIds: readonly string[], checkIds: readonly string[]): void {
    for (const id of serviceIds) {
      this.#freshServices.add(id)
      this.#pending.services.add(id)
    }
    for (const id of checkIds) {
      this.#freshChecks.add(id)
      this.#pending.checks.add(id)
    }
    this.#soon()
  }

  /**
   * Resolves when the servers were told of all that stands here now, so that whoever was answered
   * finds it in the catalog; not later than a moment, and at once while no server is reached.
   */
  async told(): Promise<void> {
    const at = this.#ports.store.view().revision
    if (this.#told >= at || this.#awaySinceMs !== undefined) return
    const { promise, resolve: done } = Promise.withResolvers<void>()
    const waiter = { at, done }
    this.#waiting.add(waiter)
    const timeout = this.#ports.timeouts.after(limits.syncAnswerMs, done)
    this.#soon(0)
    await promise
    timeout.cancel()
    this.#waiting.delete(waiter)
  }

  /** Everything up to a revision was told. */
  #reachedAt(at: Revision): void {
    if (at > this.#told) this.#told = at
    for (const { at: wanted, done } of this.#waiting) if (wanted <= this.#told) done()
  }

  /** Anything may differ. */
  suspectAll(): void {
    this.#pending.isWhole = true
    this.#soon()
  }

  #soon(delayMs: number = limits.syncDelayMs): void {
    if (this.#stopping.signal.aborted || this.#running !== undefined) return
    if (delayMs === 0) {
      this.#delay?.cancel()
      this.#delay = undefined
    }
    this.#delay ??= this.#ports.timeouts.after(delayMs, () => {
      this.#delay = undefined
      this.#running = this.#run().finally(() => {
        this.#running = undefined
        if (!this.#pending.isEmpty) this.#soon(this.#pauseMs)
        else this.#reachedAt(this.#seen)
      })
    })
  }

  get #pauseMs(): number {
    if (this.#failures === 0) return limits.syncDelayMs
    const longestMs = Math.min(
      limits.syncRetryMaxMs,
      limits.syncRetryMs * 2 ** (this.#failures - 1),
    )
    return longestMs * (1 + this.#ports.random.fraction()) * 0.5
  }

  /** The interval of full syncs, as Consul's: longer with each doubling of the cluster. */
  get #scaledMs(): number {
    const doublings = Math.log2(Math.max(1, this.#nodes / limits.syncScaleNodes))
    const scale = this.#nodes > limits.syncScaleNodes ? Math.ceil(doublings) + 1 : 1
    return this.#intervalMs * scale * (1 + this.#ports.random.fraction())
  }

  #repeat(): void {
    this.#interval = this.#ports.timeouts.after(this.#scaledMs, () => {
      this.suspectAll()
      this.#repeat()
    })
  }

  async #run(): Promise<void> {
    const told = this.#pending
    const at = this.#seen
    this.#pending = new Pending()
    const { log } = this.#ports
    try {
      await this.#tell(told)
      this.#failures = 0
      this.#reachedAt(at)
    } catch (error) {
      this.#pending.add(told)
      this.#failures++
      if (this.#failures === 1) {
        log.warn('the servers were not told of what is registered here; it is tried again', {
          error: messageOf(error),
        })
      }
    }
  }

  async #tell(told: Pending): Promise<void> {
    const view = this.#ports.store.view()
    const row = view.get(nodes, fold(this.#node))?.row
    if (row === undefined) return
    const all = told.isWhole ? this.#everything(view, told) : told
    const sent = this.#entriesOf(view, all)
    const node = nodeMessage(row)
    for (let at = 0; at < sent.length; at += limits.syncEntries) {
      const isLast = at + limits.syncEntries >= sent.length
      const whole = told.isWhole && isLast ? this.#wholeOf(view) : null
      if (!(await this.#put(node, sent.slice(at, at + limits.syncEntries), whole))) return
    }
    if (sent.length > 0 || all.isEmpty) return
    await this.#put(node, [], told.isWhole ? this.#wholeOf(view) : null)
  }

  #everything(view: Reader, told: Pending): Pending {
    const all = new Pending()
    all.add(told)
    const under = underNode(this.#node)
    for (const { row } of view.prefix(services, under)) all.services.add(row.id)
    for (const { row } of view.prefix(checks, under)) {
      if (row.checkId !== SERF_HEALTH) all.checks.add(row.checkId)
    }
    return all
  }

  #wholeOf(view: Reader) {
    const under = underNode(this.#node)
    return {
      token: this.#agentToken,
      services: view.prefix(services, under).map(({ row }) => row.id),
      checks: view.prefix(checks, under).map(({ row }) => row.checkId),
    }
  }

  get #agentToken(): string {
    const { tokenOf } = this.#ports
    return tokenOf('agent') || tokenOf('default') || ANONYMOUS
  }

  /** Services before their checks, and what is gone last. */
  #entriesOf(view: Reader, { services: serviceIds, checks: checkIds }: Pending): Sent[] {
    const sent: Sent[] = []
    const gone: Sent[] = []
    for (const id of serviceIds) {
      const service = view.get(services, onNode(this.#node, id))?.row
      const isFresh = this.#freshServices.has(id)
      if (service === undefined) gone.push({ entry: { goneService: id }, name: { service: id } })
      else sent.push({ entry: { service, isFresh }, name: { service: id } })
    }
    for (const id of checkIds) {
      const check = view.get(checks, onNode(this.#node, id))?.row
      const isFresh = this.#freshChecks.has(id)
      if (check === undefined) gone.push({ entry: { goneCheck: id }, name: { check: id } })
      else sent.push({ entry: { check, isFresh }, name: { check: id } })
    }
    return [...sent, ...gone]
  }

  /** Tells of entries and takes in what became of them. False where the node is refused. */
  async #put(
    node: SyncQuestion['node'],
    sent: readonly Sent[],
    whole: SyncQuestion['whole'],
  ): Promise<boolean> {
    const { channel, log } = this.#ports
    const { groups, order } = this.#grouped(sent)
    const options = { timeoutMs: limits.syncTimeoutMs, repeatable: true }
    const reply = await channel.call(syncPut, { node, groups, whole: whole ?? null }, options)
    this.#reached()
    this.#tellProblem(reply.refusal)
    if (reply.refusal !== '') return false
    this.#nodes = reply.nodes
    this.#sent.add(order.length)
    if (reply.dropped > 0) {
      log.warn('removed from the catalog what this agent does not know on its node', {
        entries: reply.dropped,
      })
    }
    for (const [at, message] of reply.outcomes.entries()) {
      const one = order[at]
      if (one !== undefined) await this.#settle(one, outcomeOf(message))
    }
    return true
  }

  #tellProblem(refusal: string): void {
    if (refusal !== '' && refusal !== this.#toldProblem) {
      this.#ports.log.error('the servers do not take this node', { reason: refusal })
    }
    this.#toldProblem = refusal
  }

  /** Entries by the tokens that they are written with; what has none is held back here. */
  #grouped(sent: readonly Sent[]): {
    groups: SyncQuestion['groups']
    order: readonly Sent[]
  } {
    const { publishers, store } = this.#ports
    const view = store.view()
    const byToken = new Map<string, Sent[]>()
    for (const one of sent) {
      const token = this.#tokenFor(view, one)
      if (isRefusal(token)) publishers.heldBack(one.name, token)
      else byToken.set(token, [...(byToken.get(token) ?? []), one])
    }
    // What is gone goes last: a check may have moved to another service.
    return {
      groups: [...byToken].map(([token, ones]) => ({
        token,
        entries: ones.map(({ entry }) => entryMessage(entry)),
      })),
      order: [...byToken.values()].flat(),
    }
  }

  #tokenFor(view: Reader, { entry, name }: Sent): string | Refusal {
    const { publishers, tokenOf } = this.#ports
    if ('goneService' in entry || 'goneCheck' in entry) return this.#agentToken
    const shown = publishers.shownFor(view, name)
    if (isRefusal(shown)) return shown
    if ('token' in shown) return shown.token
    return tokenOf(shown.kind) || tokenOf('default') || ANONYMOUS
  }

  async #settle({ entry, name }: Sent, outcome: SyncOutcome): Promise<void> {
    const { publishers, log } = this.#ports
    switch (outcome.kind) {
      case 'stands':
        publishers.settled(name)
        this.#unfresh(entry)
        if (outcome.tags !== undefined) await this.#adopt(name, outcome.tags)
        return
      case 'removed':
        publishers.settled(name)
        await this.#drop(name)
        return
      case 'refused':
        publishers.heldBack(name, outcome)
        log.debug('an entry is refused', { ...name, status: outcome.status })
    }
  }

  /** It is told; what is registered from now on is newer. */
  #unfresh(entry: SyncEntry): void {
    if ('service' in entry && entry.isFresh) this.#freshServices.delete(entry.service.id)
    if ('check' in entry && entry.isFresh) this.#freshChecks.delete(entry.check.checkId)
  }

  async #adopt(name: Entry, tags: readonly string[]): Promise<void> {
    if (!('service' in name)) return
    await this.#ports.store.write(view => ({
      txn: adoptTags(view, this.#node, name.service, tags),
      answer: true,
    }))
  }

  /** Somebody deregistered it: the agent's definition goes too, and LocalState tells of it. */
  async #drop(name: Entry): Promise<void> {
    await this.#ports.store.write(view => ({
      txn:
        'service' in name
          ? dropServiceOps(view, this.#node, name.service)
          : dropCheckOps(view, this.#node, 'check' in name ? name.check : ''),
      answer: true,
    }))
  }

  /** Follows the agent's own store until the agent stops. */
  async #follow(): Promise<void> {
    const { store, clock, log } = this.#ports
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        this.#seen = store.view().revision
        const feed = store.feed(this.#seen)
        this.suspectAll()
        let change = await feed.next(signal)
        while (change !== undefined && change !== 'resync') {
          for (const event of change.events) this.#note(event)
          this.#seen = change.revision
          if (this.#pending.isEmpty && this.#running === undefined) this.#reachedAt(this.#seen)
          else if (this.#waiting.size > 0) this.#soon(0)
          change = await feed.next(signal)
        }
        if (change === undefined) return
      } catch (error) {
        log.warn('following the own store', { error: messageOf(error) })
        await sleep(clock, limits.agentSyncDelayMs)
      }
    }
  }

  #note({ table, key }: Event): void {
    if (table === nodes && key === fold(this.#node)) this.#pending.hasNode = true
    else if (!key.startsWith(underNode(this.#node))) return
    else if (table === services) this.#pending.services.add(idIn(key, this.#node))
    else if (table === checks) {
      const id = idIn(key, this.#node)
      if (id === SERF_HEALTH) return
      this.#pending.checks.add(id)
    } else return
    this.#soon()
  }

  /** Listens to what others do on the node, and so learns whether a server is there. */
  #watch(): void {
    if (this.#stopping.signal.aborted) return
    const { channel, timeouts } = this.#ports
    let pauseMs: number = limits.syncRetryMs
    const stream = channel.open(syncWatch, {
      onMessage: () => {
        if (stream !== this.#watching) return
        pauseMs = 0
        this.#reached()
        this.suspectAll()
      },
      onEnd: () => {
        if (stream !== this.#watching) return
        this.#lost()
        timeouts.after(pauseMs, () => this.#watch())
      },
    })
    this.#watching = stream
    stream.send({ node: this.#node })
  }

  #reached(): void {
    if (this.#awaySinceMs === undefined) return
    const { clock, log } = this.#ports
    const awayMs = clock.monotonic() - this.#awaySinceMs
    this.#awaySinceMs = undefined
    log.info('a server is reached', { awaySeconds: Math.round(awayMs / 1_000) })
  }

  #lost(): void {
    if (this.#awaySinceMs !== undefined || this.#stopping.signal.aborted) return
    const { clock, log } = this.#ports
    this.#awaySinceMs = clock.monotonic()
    log.warn('no server is reached: what is local goes on, and is told once one is back')
  }
}

/** The secret of the anonymous token: a server must not take what has none for its own. */
const ANONYMOUS = 'anonymous'
