/**
 * Who is alive: what the timekeeper's holder makes of the servers' differences.
 *
 * Owns the state of every node with an agent: heard by a server, quiet, looked after by others,
 * marked. Silence is checked before it is believed: only a node that several other agents could not
 * reach is marked, and not while the brake holds it. What the store says of a node is told to it,
 * and what should be written is told by it (`tick`); it must never mark a node that somebody hears.
 * Deadlines start over with a new holder, which begins with `known`. No clock, no randomness of its
 * own, no I/O; work on many nodes at once comes in bounded pieces.
 */
import type { Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { quickRandom, seedFrom } from '../base/prng.ts'
import { Rate } from '../base/rate.ts'
import { Wheel, type WheelEntry } from '../base/wheel.ts'
import { Brake, type BrakeState, type Fall, type Tally } from './liveness-brake.ts'
import { type ChoicePorts, chooseProbers, Hearers } from './probe-choice.ts'

const TICK_MS = 100

export const phases = [
  /** A server hears it. */
  'heard',
  /** Nobody does, for a moment: it may be on its way to another server. */
  'quiet',
  /** Others look after it. */
  'suspect',
  /** Nobody hears it, but others reach it. */
  'vouched',
  /** Nobody reaches it. */
  'condemned',
  /** It is marked, or about to be. */
  'dead',
  /** It said that it goes. */
  'left',
] as const
export type Phase = (typeof phases)[number]

/** What the store says: its check, no check, or no node of that id. */
export type Stored = 'passing' | 'critical' | 'none' | 'absent'

/** What should be written about a node. */
export interface Mark {
  readonly id: string
  /** Where its RPC is reached, `host:port`. */
  readonly address: string
  /** `left`: nothing is to be known of it any more. */
  readonly as: 'passing' | 'critical' | 'left'
}

/** Who is to look after whom. */
export interface ProbeOrder {
  readonly prober: string
  /** The server that the one who looks is connected to, or is. */
  readonly server: string
  readonly target: string
  readonly address: string
}

/** What changed at a server since its last report. */
export interface Difference {
  readonly came: readonly { readonly id: string; readonly address: string }[]
  readonly silent: readonly string[]
  readonly left: readonly string[]
  /** A report of everybody comes in pages. */
  readonly whole?: { readonly isFirst: boolean; readonly isLast: boolean }
}

export interface TickResult {
  readonly orders: readonly ProbeOrder[]
  readonly marks: readonly Mark[]
  /** There is more to do at once. */
  readonly isMore: boolean
}

interface Round {
  /** Who was asked and has not answered. */
  readonly asked: Set<string>
  readonly everAsked: Set<string>
  /** How many could not reach it. */
  no: number
  /** How many must fail to reach it. */
  readonly needed: number
  tries: number
}

class Node {
  readonly id: string
  /** How many nodes there had been before it. */
  readonly number: number
  address: string
  phase: Phase
  /** The store has a row that says where it is reached. */
  isListed = false
  stored: Stored = 'absent'
  /** The server that heard it last, '' for none. */
  lastServer = ''
  /** By how many servers it is heard. */
  hearers = 0
  /** It is reached elsewhere than the store says. */
  isMoved = false
  fall: Fall | undefined
  round: Round | undefined
  alarm: Alarm | undefined

  constructor(id: string, number: number, address: string, phase: Phase) {
    this.id = id
    this.number = number
    this.address = address
    this.phase = phase
  }
}

/** A time at which a node is to be looked at; the last one that was set counts. */
interface Alarm {
  readonly node: Node
  entry: WheelEntry | undefined
}

interface Reporter {
  atMs: number
  /** Those that were listed since the first page of a whole report. */
  listed: Set<string> | undefined
}

export interface LivenessPorts extends Omit<ChoicePorts, 'random'> {
  /** Gives the seed of all choices. */
  readonly random: Random
  /** What the store says of a node that is heard for the first time. */
  readonly storedOf: (id: string) => Stored
}

/** What stands between a node and being marked, for those who look. */
export interface LivenessStatus {
  readonly nodes: Readonly<Record<Phase, number>>
  readonly brake: BrakeState | undefined
}

export class Liveness {
  readonly #ports: Omit<LivenessPorts, 'random'> & ChoicePorts
  readonly #nodes = new Map<string, Node>()
  #added = 0
  readonly #hearers = new Hearers()
  readonly #reporters = new Map<string, Reporter>()
  readonly #brake = new Brake(server => this.#hearers.count(server))
  readonly #wheel: Wheel<Alarm>
  readonly #counts = Object.fromEntries(phases.map(phase => [phase, 0])) as Record<Phase, number>
  readonly #orderRate = new Rate(limits.probeOrdersPerSecond, limits.probeOrdersAtOnce)
  readonly #markRate = new Rate(limits.livenessMarksPerSecond, limits.livenessMarksPerSecond)
  readonly #condemned = new Set<Node>()
  /** Nodes about which the store should say something else. */
  readonly #owed = new Set<Node>()
  /** Nodes that a server no longer hears, one each time: looked up only when their turn comes. */
  readonly #lost = new Lost()
  /** What is due, and nodes that wait for others to be asked about them. */
  readonly #due = new Queue<Alarm>()
  readonly #toProbe = new Queue<Node>()
  #orders: ProbeOrder[] = []

  constructor(ports: LivenessPorts, nowMs: number) {
    this.#ports = { ...ports, random: quickRandom(seedFrom(ports.random)) }
    this.#wheel = new Wheel(TICK_MS, nowMs)
  }

  get status(): LivenessStatus {
    return { nodes: { ...this.#counts }, brake: this.#brake.state }
  }

  /** The phase of a node, for those who ask about one. */
  phaseOf(id: string): Phase | undefined {
    return this.#nodes.get(id)?.phase
  }

  /** Some of those who are heard, at random; fewer where not many are. */
  someHeard(count: number): { readonly id: string; readonly address: string }[] {
    const { random } = this.#ports
    const servers = this.#hearers.servers(random)
    const some = new Map<string, string>()
    for (let tries = 0; tries < count && servers.length > 0; tries++) {
      const id = this.#hearers.draw(servers[tries % servers.length]!, random)
      const node = id === undefined ? undefined : this.#nodes.get(id)
      if (node !== undefined) some.set(node.id, node.address)
    }
    return [...some].map(([id, address]) => ({ id, address }))
  }

  // --- what is told to it

  /** What the store says of a node: at the beginning, and whenever it changes. */
  known(id: string, address: string, stored: Stored, nowMs: number): void {
    let node = this.#nodes.get(id)
    if (node === undefined) {
      node = this.#add(id, address, stored === 'critical' ? 'dead' : 'quiet')
      if (node.phase === 'quiet') this.#wake(node, nowMs + limits.livenessSettleMs)
    }
    if (node.phase !== 'heard') node.address = address
    else node.isMoved = address !== node.address
    node.isListed = true
    node.stored = stored
    this.#settle(node)
  }

  /** The catalog changed what it says of a node that may have an agent. */
  changed(id: string, stored: Stored): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    node.stored = stored
    this.#settle(node)
  }

  /** The store lists an agent no more, as somebody removed it: until it is heard, forget it. */
  unlisted(id: string): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    node.isListed = false
    if (node.phase !== 'heard') this.#remove(node)
    else this.#settle(node)
  }

  /** What a server reports; that it does shows that it is alive. */
  report(server: string, difference: Difference, nowMs: number): void {
    const reporter = this.#reporters.get(server) ?? { atMs: nowMs, listed: undefined }
    this.#reporters.set(server, reporter)
    reporter.atMs = nowMs
    if (difference.whole?.isFirst) reporter.listed = new Set()
    for (const { id, address } of difference.came) {
      reporter.listed?.add(id)
      this.#hear(server, id, address)
    }
    for (const id of difference.silent) this.#lose(server, id, nowMs)
    for (const id of difference.left) this.#leave(id)
    if (!difference.whole?.isLast || reporter.listed === undefined) return
    const { listed } = reporter
    reporter.listed = undefined
    this.#lost.push(this.#hearers.takeAllBut(server, listed), this.#added)
  }

  /** What an agent found that was to look after another. */
  probed(prober: string, target: string, isReachable: boolean, nowMs: number): void {
    const node = this.#nodes.get(target)
    const round = node?.round
    if (node === undefined || round === undefined || !round.asked.delete(prober)) return
    if (isReachable) {
      this.#vouch(node, nowMs)
      return
    }
    round.no++
    if (round.no >= round.needed) this.#condemn(node, nowMs)
    else if (round.asked.size === 0) this.#ask(node, round.needed - round.no, nowMs)
  }

  /** A mark could not be written: it is owed again. */
  unwritten(id: string): void {
    const node = this.#nodes.get(id)
    if (node !== undefined && this.#wish(node) !== undefined) this.#owed.add(node)
  }

  // --- what it tells

  /** Moves on, and tells what is to be asked and written now. */
  tick(nowMs: number): TickResult {
    this.#orders = []
    for (const [server, { atMs }] of this.#reporters) {
      if (nowMs - atMs >= limits.livenessServerSilentMs) this.#loseServer(server)
    }
    let budget: number = limits.livenessNodesPerTick
    for (; budget > 0; budget--) {
      const lost = this.#lost.shift()
      if (lost === undefined) break
      const node = this.#nodes.get(lost.id)
      // One that was removed meanwhile and came again was not heard by that server.
      if (node !== undefined && node.number < lost.before) this.#unhear(node, nowMs)
    }
    const alarms = this.#wheel.advance(nowMs, limits.livenessAlarmsPerTick)
    for (const alarm of alarms) this.#due.push(alarm)
    for (; budget > 0; budget--) {
      const alarm = this.#due.shift()
      if (alarm === undefined) break
      if (alarm.node.alarm === alarm) this.#timeUp(alarm.node, nowMs)
    }
    this.#sendProbers(nowMs)
    this.#convict(nowMs)
    this.#brake.release(nowMs, this.#tally())
    const isFull = this.#orders.length >= limits.livenessOrdersPerTick && this.#toProbe.size > 0
    const isMore = isFull || this.#due.size > 0 || this.#lost.size > 0 || this.#wheel.isBehind
    return { orders: this.#orders, marks: this.#takeMarks(), isMore }
  }

  #takeMarks(): Mark[] {
    const marks: Mark[] = []
    for (const node of this.#owed) {
      if (marks.length === limits.livenessBatchNodes) break
      const as = this.#wish(node)
      this.#owed.delete(node)
      if (as === undefined) continue
      node.isMoved = false
      const { id, address } = node
      marks.push({ id, address, as })
    }
    return marks
  }

  // --- hearing

  #hear(server: string, id: string, address: string): void {
    const node = this.#nodes.get(id) ?? this.#addHeard(id, address)
    if (node.address !== address) {
      node.address = address
      node.isMoved = true
    }
    if (!this.#hearers.has(server, id)) {
      this.#hearers.add(server, id)
      node.hearers++
    }
    node.lastServer = server
    this.#enter(node, 'heard')
    this.#settle(node)
  }

  #lose(server: string, id: string, nowMs: number): void {
    const node = this.#nodes.get(id)
    if (node === undefined || !this.#hearers.has(server, id)) return
    this.#hearers.delete(server, id)
    this.#unhear(node, nowMs)
  }

  #unhear(node: Node, nowMs: number): void {
    node.hearers--
    if (node.hearers > 0 || node.phase !== 'heard') return
    this.#enter(node, 'quiet')
    // In step they would all be due in one tick.
    const spreadMs = (this.#lost.size / limits.livenessLostPerSecond) * 1000
    this.#wake(node, nowMs + limits.livenessHopMs + Math.min(spreadMs, limits.livenessWindowMs / 2))
    this.#settle(node)
  }

  #loseServer(server: string): void {
    this.#reporters.delete(server)
    this.#lost.push(this.#hearers.take(server), this.#added)
  }

  #leave(id: string): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    for (const server of this.#reporters.keys()) {
      if (!this.#hearers.has(server, id)) continue
      this.#hearers.delete(server, id)
      node.hearers--
    }
    this.#enter(node, 'left')
    this.#settle(node)
    if (this.#wish(node) === undefined) this.#remove(node)
  }

  // --- looking after silent ones

  #timeUp(node: Node, nowMs: number): void {
    if (node.round !== undefined) {
      this.#roundOver(node, nowMs)
    } else if (node.phase === 'quiet') {
      node.fall = this.#brake.fell(node.lastServer, nowMs, this.#tally())
      this.#enter(node, 'suspect')
      this.#toProbe.push(node)
    } else if (isSilent(node)) {
      this.#toProbe.push(node)
    }
  }

  #sendProbers(nowMs: number): void {
    while (this.#toProbe.size > 0 && this.#orders.length < limits.livenessOrdersPerTick) {
      if (!this.#orderRate.take(nowMs)) return
      const node = this.#toProbe.shift()!
      if (node.round !== undefined || !isSilent(node)) continue
      const needed = node.phase === 'condemned' ? 1 : limits.probers
      node.round = { asked: new Set(), everAsked: new Set(), no: 0, needed, tries: 0 }
      // Where many are silent one agent looks first: most are reached by it.
      const isBulk = node.phase !== 'suspect' || this.#brake.state !== undefined
      this.#ask(node, isBulk ? 1 : needed, nowMs)
    }
  }

  #ask(node: Node, count: number, nowMs: number): void {
    const round = node.round!
    const spare = [...this.#reporters.keys()]
    const not = round.everAsked
    const chosen = chooseProbers(this.#hearers, this.#ports, node.id, { count, not, spare })
    if (chosen.length === 0 && round.asked.size === 0) {
      // There is nobody else: what those said who were asked has to do.
      if (round.no > 0) this.#condemn(node, nowMs)
      else this.#retry(node, nowMs)
      return
    }
    for (const prober of chosen) {
      round.asked.add(prober)
      round.everAsked.add(prober)
      const server = this.#nodes.get(prober)?.lastServer ?? prober
      this.#orders.push({ prober, server, target: node.id, address: node.address })
    }
    this.#wake(node, nowMs + limits.probeAnswerMs)
  }

  /** Those who did not answer in time say nothing; others are asked instead, not for ever. */
  #roundOver(node: Node, nowMs: number): void {
    const round = node.round!
    round.asked.clear()
    round.tries++
    if (round.tries < limits.probeTries) this.#ask(node, round.needed - round.no, nowMs)
    else if (round.no > 0) this.#condemn(node, nowMs)
    else this.#retry(node, nowMs)
  }

  /** Nobody could say anything: it stays what it was. */
  #retry(node: Node, nowMs: number): void {
    node.round = undefined
    this.#wake(node, nowMs + limits.probeAgainMs)
  }

  #vouch(node: Node, nowMs: number): void {
    node.round = undefined
    this.#enter(node, 'vouched')
    this.#wake(node, nowMs + limits.probeAgainMs)
  }

  #condemn(node: Node, nowMs: number): void {
    // Those that were vouched for until now fall once more.
    if (node.phase === 'vouched') {
      if (node.fall !== undefined) this.#brake.rose(node.fall)
      node.fall = this.#brake.fell(node.lastServer, nowMs, this.#tally())
    }
    this.#enter(node, 'condemned')
    this.#condemned.add(node)
    // While the brake holds it, it is looked after on.
    node.round = undefined
    this.#wake(node, nowMs + limits.probeAgainMs)
  }

  /** Passes condemned nodes on to be marked, as far as brake and pace let them. */
  #convict(nowMs: number): void {
    for (const node of this.#condemned) {
      if (!this.#brake.mayMark(nowMs, this.#tally())) return
      if (!this.#markRate.take(nowMs)) return
      this.#brake.marked()
      this.#enter(node, 'dead')
      this.#settle(node)
      if (this.#wish(node) === undefined) this.#remove(node)
    }
  }

  // --- the states

  #tally(): Tally {
    const { dead, left, vouched, suspect, condemned } = this.#counts
    return { alive: this.#nodes.size - dead - left, vouched, unvouched: suspect + condemned }
  }

  #add(id: string, address: string, phase: Phase): Node {
    const node = new Node(id, this.#added++, address, phase)
    this.#nodes.set(id, node)
    this.#counts[phase]++
    return node
  }

  #addHeard(id: string, address: string): Node {
    const node = this.#add(id, address, 'quiet')
    node.stored = this.#ports.storedOf(id)
    return node
  }

  #remove(node: Node): void {
    node.alarm?.entry?.cancel()
    node.alarm = undefined
    node.round = undefined
    if (node.fall !== undefined) this.#brake.rose(node.fall)
    this.#condemned.delete(node)
    this.#owed.delete(node)
    this.#counts[node.phase]--
    // What still stands in a queue is passed over by its phase.
    node.phase = 'left'
    this.#nodes.delete(node.id)
  }

  #enter(node: Node, phase: Phase): void {
    if (node.phase === phase) return
    this.#counts[node.phase]--
    this.#counts[phase]++
    node.phase = phase
    node.alarm?.entry?.cancel()
    node.alarm = undefined
    node.round = undefined
    this.#condemned.delete(node)
    if (phase !== 'heard' || node.fall === undefined) return
    this.#brake.rose(node.fall)
    node.fall = undefined
  }

  #wake(node: Node, dueMs: number): void {
    node.alarm?.entry?.cancel()
    const alarm: Alarm = { node, entry: undefined }
    alarm.entry = this.#wheel.add(dueMs, alarm)
    node.alarm = alarm
  }

  /** What the store should say of a node; undefined where it may stay as it is. */
  #wish(node: Node): Mark['as'] | undefined {
    const { phase, stored, isListed } = node
    const isAbsent = stored === 'absent'
    if (phase === 'heard') return isAbsent ? undefined : 'passing'
    if (phase === 'dead' && !isAbsent) return 'critical'
    const isOver = phase === 'dead' || phase === 'left'
    return isOver && (isListed || !isAbsent) ? 'left' : undefined
  }

  #settle(node: Node): void {
    const wish = this.#wish(node)
    const isNew = node.isMoved || !node.isListed
    const isOtherwise = wish !== node.stored || (wish === 'passing' && isNew)
    if (wish !== undefined && isOtherwise) this.#owed.add(node)
    else this.#owed.delete(node)
  }
}

/** Whether others look after it. */
const isSilent = ({ phase }: Node): boolean =>
  phase === 'suspect' || phase === 'vouched' || phase === 'condemned'

/** Ids in whole lists, taken one by one: to add a list costs nothing, however long it is. */
class Lost {
  readonly #lists = new Queue<{ readonly ids: readonly string[]; readonly before: number }>()
  #list: { readonly ids: readonly string[]; readonly before: number } = { ids: [], before: 0 }
  #next = 0
  size = 0

  /** `before`: how many nodes there had been when these were lost. */
  push(ids: readonly string[], before: number): void {
    if (ids.length > 0) this.#lists.push({ ids, before })
    this.size += ids.length
  }

  shift(): { readonly id: string; readonly before: number } | undefined {
    if (this.#next === this.#list.ids.length) {
      const list = this.#lists.shift()
      if (list === undefined) return undefined
      this.#list = list
      this.#next = 0
    }
    this.size--
    return { id: this.#list.ids[this.#next++]!, before: this.#list.before }
  }
}

/** First in, first out; taking does not move the rest. */
class Queue<T> {
  #items: T[] = []
  #next = 0

  get size(): number {
    return this.#items.length - this.#next
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#next++]
    if (this.#next > 1_024 && this.#next * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#next)
      this.#next = 0
    }
    return item
  }
}
