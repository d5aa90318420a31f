/**
 * The cluster as this server sees it, and what operators do to it: the truth behind members, peers,
 * the leader and the autopilot's answers.
 *
 * Owns the joining of rows, leases, the role and what servers told each other last. Decides nothing
 * itself: the rules are cluster/ and registry/. On a store that nobody else can open there is one
 * server, which needs no row.
 */
import { type WallMs, wallMs } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Timeouts } from '../base/timeouts.ts'
import type { Who } from '../base/who.ts'
import type { ClientFacts, ClusterPort, ServerFacts } from '../cluster/port.ts'
import {
  failureTolerance,
  forgetServer,
  type KnownServer,
  knownServers,
  ServerStatus,
  undoubted,
} from '../cluster/servers.ts'
import { autopilotDefaults } from '../registry/autopilot.ts'
import { SERF_HEALTH } from '../registry/catalog.ts'
import { withdrawServer } from '../registry/self.ts'
import type { View } from '../store/ask.ts'
import type { Age } from '../store/freshness.ts'
import { roles, wishRole } from '../store/role.ts'
import { isRefusal, type Store } from '../store/store.ts'
import { AUTOPILOT_KEY, autopilot } from '../store/tables/autopilot.ts'
import { CheckStatus, checks } from '../store/tables/check.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import type { ServerRow } from '../store/tables/server.ts'
import type { Writer } from '../store/writer.ts'
import { expelled, joined, ofItsNode } from './server-duty.ts'
import type { ServerHealth } from './server-health.ts'

/** What another server said of itself last. */
export interface ServerReport {
  readonly revision: number
  /** How old its view was, and how long ago it said so. */
  readonly viewAgeMs: number
  readonly saidMsAgo: number
  /** Why it cannot write or may not keep time, '' when all is well. */
  readonly trouble: string
}

export interface ClusterPorts {
  readonly store: Store
  readonly writer: Writer
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly age: Age
  /** For how long leases do not tell who is dead yet. */
  readonly judgesInMs: () => number
  /** This server's row. */
  readonly own: () => ServerRow
  readonly health: () => ServerHealth
  /** What other servers said last; undefined where nothing was heard. */
  readonly reportOf: (nodeId: string) => ServerReport | undefined
  /** Whether each server has a member of the store. */
  readonly isManaged: boolean
  /** Whether a server's member of the store has a vote; undefined where it is not known. */
  readonly hasVote: (nodeId: string) => boolean | undefined
  /** Whether a server's member of the store is well, as far as is known. */
  readonly isMemberWell: (nodeId: string) => boolean
  /** Takes what a server held of the store away, once it is off the list. */
  readonly removeMember: (server: ServerRow) => Promise<void>
}

/** The role whose holder is shown as the leader. */
export const LEADING_ROLE = 'registry'

export class Cluster implements ClusterPort {
  readonly #ports: ClusterPorts
  /** Since when each server is as healthy as it is. */
  readonly #since = new Map<string, { readonly isHealthy: boolean; readonly at: WallMs }>()

  constructor(ports: ClusterPorts) {
    this.#ports = ports
  }

  servers(): readonly ServerFacts[] {
    return this.known().map(one => this.#factsOf(one))
  }

  /** Rows and how they are; of this server alone where nobody else can be. */
  known(): readonly KnownServer[] {
    const { store, own, judgesInMs } = this.#ports
    const row = own()
    if (!store.supports.shared) return [{ row, status: ServerStatus.alive }]
    const list = knownServers(store.view())
    return judgesInMs() > 0 ? undoubted(list) : list
  }

  leader(): ServerFacts | undefined {
    const holder = this.#holder()
    return holder === undefined ? undefined : this.servers().find(one => one.nodeId === holder)
  }

  /** Who holds the role; nobody that this server could vouch for once its view is old. */
  #holder(): string | undefined {
    const { store, age, own } = this.#ports
    if (!store.supports.shared) return own().nodeId
    return age.isDegraded ? undefined : store.view().get(roles, LEADING_ROLE)?.row.holder
  }

  #factsOf({ row, status }: KnownServer): ServerFacts {
    const { store, own, health, clock, hasVote, isMemberWell } = this.#ports
    const isOwn = row.nodeId === own().nodeId
    const { generation, revision } = health()
    const { lastContactMs, lastIndex, ...state } = isOwn
      ? this.#ownState(revision)
      : this.#stateOf(row, status)
    const isHealthy = state.isHealthy && isMemberWell(row.nodeId)
    const known = this.#since.get(row.nodeId)
    const start = isHealthy ? wallMs(row.sinceMs) : wallMs(row.stateAtMs)
    const since =
      known === undefined
        ? { isHealthy, at: start }
        : known.isHealthy === isHealthy
          ? known
          : { isHealthy, at: clock.wall() }
    this.#since.set(row.nodeId, since)
    const isGone = status === ServerStatus.left
    return {
      nodeId: row.nodeId,
      name: row.name,
      address: row.address,
      ports: row.ports,
      secretsUrl: row.secretsUrl,
      hasAcl: row.hasAcl,
      meta: row.meta,
      status,
      isLeader: this.#holder() === row.nodeId,
      isVoter: !isGone && (hasVote(row.nodeId) ?? true),
      isHealthy: isHealthy && !isGone,
      stableSince: since.at,
      lastContactMs,
      term: generation,
      lastIndex: store.supports.shared ? lastIndex : revision,
      level: row.level,
    }
  }

  #ownState(revision: number): Pick<ServerFacts, 'isHealthy' | 'lastContactMs' | 'lastIndex'> {
    const { age, health } = this.#ports
    const isHealthy = health().isHealthy && !age.isDegraded
    return { isHealthy, lastContactMs: age.ageMs(), lastIndex: revision }
  }

  /** What this server can say of another: its lease, and what it said itself. */
  #stateOf(
    row: ServerRow,
    status: ServerStatus,
  ): Pick<ServerFacts, 'isHealthy' | 'lastContactMs' | 'lastIndex'> {
    const { store, clock, reportOf } = this.#ports
    const isAlive = status === ServerStatus.alive || status === ServerStatus.leaving
    const report = reportOf(row.nodeId)
    if (report === undefined) {
      const lastContactMs = isAlive ? 0 : Math.max(0, clock.wall() - row.stateAtMs)
      return { isHealthy: isAlive, lastContactMs, lastIndex: isAlive ? store.view().revision : 0 }
    }
    const lastContactMs = report.viewAgeMs + report.saidMsAgo
    const settings = store.view().get(autopilot, AUTOPILOT_KEY)?.row ?? autopilotDefaults
    // What is heard once a second cannot be held against less than that.
    const leastMs = limits.viewDegradedMs + limits.serverBeatMs + limits.serverBeatTimeoutMs
    const isNear = lastContactMs <= Math.max(settings.lastContactThresholdMs, leastMs)
    const isHealthy = isAlive && isNear && report.trouble === ''
    return { isHealthy, lastContactMs, lastIndex: report.revision }
  }

  failureTolerance(): number {
    const voters = this.servers().filter(({ isVoter }) => isVoter)
    const healthy = voters.filter(({ isHealthy }) => isHealthy).length
    return failureTolerance(voters.length, healthy, this.#ports.isManaged)
  }

  *clients(): Iterable<ClientFacts | undefined> {
    const view = this.#ports.store.view() as View
    const servers = new Set(this.known().map(({ row }) => fold(row.name)))
    for (const { key, row } of view.entries(nodes)) {
      const health = view.get(checks, onNode(row.node, SERF_HEALTH))?.row
      const version = row.meta['consul-version']
      // Nodes that only say that they are healthy are no agents.
      if (health === undefined || version === undefined || servers.has(key)) yield undefined
      else {
        const isAlive = health.status !== CheckStatus.critical
        yield { name: row.node, nodeId: row.id, address: row.address, isAlive, version }
      }
    }
  }

  async transfer(who: Who, nodeId: string): Promise<true | Refusal> {
    const { writer, store } = this.#ports
    const others = this.servers().filter(
      ({ status, isLeader }) => status === ServerStatus.alive && !isLeader,
    )
    if (nodeId !== '' && this.#holder() === nodeId) {
      return new Refusal(500, 'cannot transfer leadership to itself')
    }
    const isKnown = nodeId === '' ? others.length > 0 : others.some(one => one.nodeId === nodeId)
    if (!isKnown) return new Refusal(500, 'cannot find peer')
    const before = store.view().get(roles, LEADING_ROLE)?.row.holder
    const wished = await writer.write(who, view => wishRole(view, LEADING_ROLE, nodeId))
    if (isRefusal(wished)) return wished
    if (!wished.answer) return new Refusal(500, 'No cluster leader')
    const isMoved = await this.#untilMoved(before)
    return isMoved || new Refusal(500, 'leadership transfer timeout')
  }

  /** Whether another server took the role before the time is over. */
  async #untilMoved(before: string | undefined): Promise<boolean> {
    const { store, timeouts } = this.#ports
    const holder = (): string | undefined => store.view().get(roles, LEADING_ROLE)?.row.holder
    let isLate = false
    const late = timeouts.after(limits.roleHandoverMs, () => {
      isLate = true
      wake()
    })
    let wake = (): void => {}
    while (!isLate && (holder() === undefined || holder() === before)) {
      const changed = Promise.withResolvers<void>()
      wake = changed.resolve
      const waiter = store.scopes.wait({ table: roles.name, key: LEADING_ROLE }, wake)
      await changed.promise
      waiter.cancel()
    }
    late.cancel()
    return !isLate
  }

  async removePeer(who: Who, server: ServerFacts): Promise<true | Refusal> {
    if (server.status !== ServerStatus.failed) {
      const text = `server ${server.name} is alive: have it leave by /v1/agent/leave instead`
      return new Refusal(500, text)
    }
    return this.#expel(who, server.nodeId)
  }

  async #expel(who: Who, nodeId: string): Promise<true | Refusal> {
    const { writer, removeMember } = this.#ports
    const row = this.known().find(one => one.row.nodeId === nodeId)?.row
    if (row === undefined) return true
    await removeMember(row)
    const written = await writer.write(who, (view, _by, now) => expelled(view, row, now))
    return isRefusal(written) ? written : true
  }

  async forceLeave(who: Who, name: string, prune: boolean): Promise<true | Refusal | undefined> {
    const { writer } = this.#ports
    const server = this.known().find(({ row }) => fold(row.name) === fold(name))
    if (server === undefined) return this.#forceClient(who, name)
    const { row, status } = server
    if (status === ServerStatus.failed) {
      const expelling = await this.#expel(who, row.nodeId)
      if (isRefusal(expelling)) return expelling
    }
    const isGone = status === ServerStatus.failed || status === ServerStatus.left
    if (!prune || !isGone) return true
    const written = await writer.write(who, view =>
      joined(forgetServer(view, row.nodeId), () => ofItsNode(view, row, withdrawServer)),
    )
    return isRefusal(written) ? written : true
  }

  /** A client agent that failed goes from the catalog; one that lives stays. */
  async #forceClient(who: Who, name: string): Promise<true | Refusal | undefined> {
    const { store, writer } = this.#ports
    const health = store.view().get(checks, onNode(name, SERF_HEALTH))?.row
    if (health === undefined) return undefined
    if (health.status !== CheckStatus.critical) return true
    const written = await writer.write(who, view => {
      const now = view.get(checks, onNode(name, SERF_HEALTH))?.row
      const txn = now?.status === CheckStatus.critical ? withdrawServer(view, name) : []
      return { txn, answer: true }
    })
    return isRefusal(written) ? written : true
  }
}
