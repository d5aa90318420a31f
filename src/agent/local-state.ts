/**
 * The agent's own side of the registry: what it was asked to keep registered, and what its checks
 * say right now.
 *
 * Owns the order of its parts' life: its entries, the definitions of files, then the checks. The
 * definitions are rows of the store and the checks follow its feed, so that a deregistration by
 * anybody stops a check, and a restart brings all of them back. Holds no rule: registry/local.ts.
 */
import type { Revision } from '../base/brand.ts'
import { type Bytes, fromText } from '../base/bytes.ts'
import { sleep } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Timeout } from '../base/timeouts.ts'
import { access, everybody, type Who } from '../base/who.ts'
import { advisoriesOf, asRegistration, type Defined } from '../registry/asked.ts'
import { deregister, SERF_HEALTH } from '../registry/catalog.ts'
import {
  type AgentPort,
  type CheckEntry,
  type CheckRegistration,
  deregisterLocalCheck,
  deregisterLocalService,
  type Entry,
  type Maintenance,
  moveLocal,
  type Owner,
  reapCritical,
  refuseTtlUpdate,
  registerLocalCheck,
  registerLocalService,
  rowOf,
  type Said,
  type ServiceRegistration,
  setMaintenance,
} from '../registry/local.ts'
import { SELF_SERVICE, type Self } from '../registry/self.ts'
import { type Event, isRefusal } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { aclTables } from '../store/tables/acl.ts'
import { conditions } from '../store/tables/acl-condition.ts'
import { type CheckRow, checks } from '../store/tables/check.ts'
import { localChecks, localServices } from '../store/tables/local.ts'
import { fold, onNode, underNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import { type ServiceRow, services } from '../store/tables/service.ts'
import type { DecideFor } from '../store/writer.ts'
import type { Config } from './config.ts'
import { idIn, LocalChecks, type LocalChecksPorts, programProblem } from './local-checks.ts'
import { LocalSync } from './local-sync.ts'
import { Losses } from './losses.ts'
import { isLack, type PublisherPorts, Publishers } from './publishers.ts'

/** What the agent needs of its configuration. */
export type LocalConfig = Pick<
  Config,
  | 'nodeName'
  | 'datacenter'
  | 'nodeMeta'
  | 'advertiseAddress'
  | 'taggedAddresses'
  | 'ports'
  | 'services'
  | 'checks'
  | 'checkUpdateIntervalMs'
  | 'checkOutputMaxSizeBytes'
  | 'discardCheckOutput'
  | 'scriptChecks'
  | 'checkReapIntervalMs'
  | 'checkDeregisterMinMs'
  | 'antiEntropyIntervalMs'
  | 'isServer'
> & { readonly nodeId: string }

export interface LocalPorts extends Omit<LocalChecksPorts, 'publishers'>, PublisherPorts {
  /** Reads definitions of files, as the HTTP endpoints of the agent read bodies. */
  readonly read: {
    service(body: unknown): ServiceRegistration | Refusal
    check(body: unknown): CheckRegistration | Refusal
  }
}

/** See AgentPort. */
export class LocalState implements AgentPort {
  readonly node: string
  /** What the keys of all that is on it begin with. */
  readonly #under: Bytes
  readonly nodeId: string
  readonly datacenter: string
  readonly #ports: LocalPorts
  #config: LocalConfig
  #isDraining = false
  readonly #publishers: Publishers
  readonly #checks: LocalChecks
  readonly #sync: LocalSync
  readonly #losses: Losses
  readonly #stopping = new AbortController()
  readonly #timers = new Set<Timeout>()
  #following: Promise<void> = Promise.resolve()

  constructor(ports: LocalPorts, config: LocalConfig) {
    this.node = config.nodeName
    this.#under = underNode(this.node)
    this.nodeId = config.nodeId
    this.datacenter = config.datacenter
    this.#ports = ports
    this.#config = config
    const publishers = new Publishers(this.node, ports)
    this.#publishers = publishers
    this.#checks = new LocalChecks(
      { ...ports, publishers },
      {
        node: this.node,
        outputDelayMs: config.checkUpdateIntervalMs,
        outputMaxSizeBytes: config.checkOutputMaxSizeBytes,
        discardsOutput: config.discardCheckOutput,
        programs: config.scriptChecks,
        deregisterMinMs: config.checkDeregisterMinMs,
      },
    )
    this.#losses = new Losses(ports)
    const said = (id: string): Said | undefined => this.#checks.said(id)
    this.#sync = new LocalSync({ ...ports, publishers, said }, selfOf(config))
  }

  /**
   * Announces this server, registers what the files say, and starts all checks. Throws when a
   * living server has this one's name, or a file's definition is refused; the text says why.
   */
  async start(): Promise<void> {
    await this.#takeOver()
    const announced = await this.#sync.announce()
    if (isRefusal(announced)) {
      throw new OperatingError(OperatingCode.locked, announced.text)
    }
    await this.#registerFiles()
    this.#following = this.#follow()
    this.#every(this.#config.checkReapIntervalMs, () => this.#reap())
    this.#every(this.#config.antiEntropyIntervalMs, async () => this.#sync.suspectAll())
  }

  /** What is wrong with the definitions of a changed configuration. */
  problemOf(config: LocalConfig): string | undefined {
    const { read } = this.#ports
    const owner = { node: this.node, fromFile: true }
    const texts = [
      ...config.services.map(({ body, where }) => ({ where, given: read.service(body) })),
      ...config.checks.map(({ body, where }) => ({ where, given: read.check(body) })),
    ]
    const wrong = texts.flatMap(({ where, given }) => {
      if (isRefusal(given)) return [`${where}: ${given.text}`]
      const refusal = this.#refusePrograms(owner, 'checks' in given ? given.checks : [given])
      return refusal === undefined ? [] : [`${where}: ${refusal.text}`]
    })
    return wrong.length === 0 ? undefined : wrong.join('\n')
  }

  /** Takes over changed definitions and metadata; what no file holds any more goes. */
  async configure(config: LocalConfig): Promise<void> {
    this.#config = config
    this.#sync.describe({ ...selfOf(config), isDraining: this.#isDraining })
    const announced = await this.#sync.announce()
    if (isRefusal(announced)) throw new OperatingError(OperatingCode.locked, announced.text)
    await this.#registerFiles()
  }

  /** Takes this server out of the service of servers: nobody should look it up any more. */
  async drain(): Promise<void> {
    this.#isDraining = true
    this.#sync.describe({ ...selfOf(this.#config), isDraining: true })
    await this.#sync.announce()
  }

  /** Stops all checks. What is being written is waited for, for a bounded time. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const timer of this.#timers) timer.cancel()
    this.#losses.stop()
    await this.#checks.stop()
    const rest = Promise.all([this.#sync.stop(), this.#following])
    await Promise.race([rest, sleep(this.#ports.clock, limits.agentStopMs)])
  }

  /** The agent's services that the asker may see. */
  services(who: Who): readonly Cell<ServiceRow>[] {
    return this.#ports.store
      .view()
      .prefix(localServices, underNode(this.node))
      .filter(({ row }) => who.may(access('read', 'service', row.service.name)))
      .map(cell => ({ ...cell, row: cell.row.service }))
  }

  /** The ids of a service's checks. */
  checkIdsOf(serviceId: string): string[] {
    const view = this.#ports.store.view()
    const found = view.find(localChecks, 'instance', onNode(this.node, serviceId))
    return found.map(({ row }) => row.check.checkId)
  }

  /** The agent's checks that the asker may see, with what they say right now. */
  checks(who: Who): readonly CheckRow[] {
    const view = this.#ports.store.view()
    const rows: CheckRow[] = []
    for (const { key, row } of view.prefix(localChecks, underNode(this.node))) {
      const { checkId, serviceId } = row.check
      const service = view.get(localServices, onNode(this.node, serviceId))?.row.service
      const wanted =
        service === undefined
          ? access('read', 'node', this.node)
          : access('read', 'service', service.name)
      if (!who.may(wanted)) continue
      const now = this.#checks.said(checkId) ?? view.get(checks, key)?.row
      if (now !== undefined) rows.push(rowOf(this.node, row.check, service, now))
    }
    return rows
  }

  /** Registers a service with its checks, or registers it anew. */
  async registerService(who: Who, request: ServiceRegistration): Promise<true | Refusal> {
    const owner = { node: this.node, fromFile: false }
    return this.#registered(await this.#writeService(who, owner, request))
  }

  async #writeService(
    who: Who,
    owner: Owner,
    given: ServiceRegistration,
  ): Promise<readonly string[] | Refusal> {
    const refusal = this.#refusePrograms(owner, given.checks)
    const known = this.#ports.store.view().get(localServices, onNode(this.node, given.service.id))
    const token = this.#publishers.sealed(given.token, known?.row.token)
    const request = { ...given, token }
    const { service } = given
    const decide: DecideFor<readonly string[]> = (view, by) =>
      registerLocalService(view, by, owner, request)
    if (refusal !== undefined || !owner.fromFile) return refusal ?? this.#write(who, decide)
    return this.#writeDefined(who, { service }, decide)
  }

  async deregisterService(who: Who, id: string): Promise<true | Refusal> {
    return this.#write(who, (view, by) => deregisterLocalService(view, by, this.node, id))
  }

  /** Registers a check of the node or of one of its services, or registers it anew. */
  async registerCheck(who: Who, request: CheckRegistration): Promise<true | Refusal> {
    const owner = { node: this.node, fromFile: false }
    const id = await this.#writeCheck(who, owner, request)
    return this.#registered(isRefusal(id) ? id : [id])
  }

  async #writeCheck(who: Who, owner: Owner, given: CheckRegistration): Promise<string | Refusal> {
    const refusal = this.#refusePrograms(owner, [given])
    const id = given.check.checkId || given.check.name
    const request = { ...given, token: this.#sealedOfCheck(given.token, id) }
    const { check } = given
    const decide: DecideFor<string> = (view, by) => registerLocalCheck(view, by, owner, request)
    if (refusal !== undefined || !owner.fromFile) return refusal ?? this.#write(who, decide)
    return this.#writeDefined(who, { check: { ...check, checkId: id } }, decide)
  }

  /** A check's token as it is kept. */
  #sealedOfCheck(token: string, id: string): string {
    const known = this.#ports.store.view().get(localChecks, onNode(this.node, id))
    return this.#publishers.sealed(token, known?.row.token)
  }

  #refusePrograms({ fromFile }: Owner, entries: readonly CheckEntry[]): Refusal | undefined {
    const { scriptChecks } = this.#config
    const problems = entries.map(({ check }) => programProblem(check, fromFile, scriptChecks))
    const problem = problems.find(one => one !== undefined)
    return problem === undefined ? undefined : new Refusal(400, problem)
  }

  async deregisterCheck(who: Who, id: string): Promise<true | Refusal> {
    return this.#write(who, (view, by) => deregisterLocalCheck(view, by, this.node, id))
  }

  /** A client reports the state of its TTL check. What changes nothing costs no write. */
  async updateTtl(who: Who, id: string, said: Said): Promise<true | Refusal> {
    const view = this.#ports.store.view()
    const refusal = refuseTtlUpdate(view, who, this.node, id)
    if (refusal !== undefined) return refusal
    this.#checks.follow(view, id)
    await this.#checks.report(id, said)
    return true
  }

  /** How soon a TTL check must be heard of again, in milliseconds; 0 for any other. */
  ttlMsOf(checkId: string): number {
    const key = onNode(this.node, checkId)
    return this.#ports.store.view().get(localChecks, key)?.row.check.ttlMs ?? 0
  }

  /** Takes a service or the node out of service, or back. */
  async setMaintenance(who: Who, given: Maintenance): Promise<true | Refusal> {
    const request = { ...given, token: this.#publishers.sealed(given.token, undefined) }
    return this.#write(who, (view, by) => setMaintenance(view, by, this.node, request))
  }

  async #write<A>(who: Who, decide: DecideFor<A>): Promise<A | Refusal> {
    const written = await this.#ports.writer.write(who, decide)
    if (isRefusal(written)) return written
    this.#losses.expect(written.revision)
    return written.answer
  }

  /** Writes what a file defines: conditions judge it as they judge a registration. */
  async #writeDefined<A>(who: Who, defined: Defined, decide: DecideFor<A>): Promise<A | Refusal> {
    let by = who
    const asked = (): Who => {
      by = asRegistration(who, defined, this.#config.advertiseAddress)
      return by
    }
    const written = await this.#ports.writer.writeEach(who, [{ who: asked, decide }])
    if (isRefusal(written)) return written
    this.#losses.expect(written.revision)
    const unmet = advisoriesOf(by).join(', ')
    if (unmet !== '') {
      const name = 'service' in defined ? defined.service.id : defined.check.checkId
      this.#ports.log.warn('conditions do not hold for a definition', { name, conditions: unmet })
    }
    return written.answer[0]!
  }

  /** Who registers again is alive: the times of the TTL checks that were named start over. */
  #registered(ids: readonly string[] | Refusal): true | Refusal {
    if (isRefusal(ids)) return ids
    const view = this.#ports.store.view()
    for (const id of ids) {
      this.#checks.follow(view, id)
      this.#checks.heard(id)
    }
    return true
  }

  /**
   * A node whose name changed keeps what it was asked to keep. On a store that others can open,
   * the old name may be a living server's that was copied: there the catalog's rules decide.
   */
  async #takeOver(): Promise<void> {
    const { store, log } = this.#ports
    if (store.supports.shared) return
    for (const { key, row } of store.view().find(nodes, 'id', fromText(this.nodeId))) {
      if (key === fold(this.node)) continue
      log.info('this node had another name', { before: row.node, now: this.node })
      for (let more = true; more; ) {
        const moved = await this.#write(everybody, view => moveLocal(view, row.node, this.node))
        more = !isRefusal(moved) && moved.more
      }
      const old = { node: row.node, serviceId: '', checkId: '' }
      await this.#write(everybody, view => deregister(view, everybody, old))
    }
  }

  /** Registers the definitions of files, and drops those that no file holds any more. */
  async #registerFiles(): Promise<void> {
    const owner = { node: this.node, fromFile: true }
    const serviceIds = new Set<string>()
    const checkIds = new Set<string>()
    for (const { body, where } of this.#config.services) {
      const request = accepted(this.#ports.read.service(body), where)
      const { id } = request.service
      const ids = await this.#published({ service: id }, request.token, (who, held) =>
        this.#writeService(who, { ...owner, isHeldBack: held }, request),
      )
      this.#begin(accepted(ids, where), request.checks)
      for (const check of accepted(ids, where)) checkIds.add(check)
      serviceIds.add(id)
    }
    for (const { body, where } of this.#config.checks) {
      const request = accepted(this.#ports.read.check(body), where)
      const check = request.check.checkId || request.check.name
      const id = await this.#published({ check }, request.token, (who, held) =>
        this.#writeCheck(who, { ...owner, isHeldBack: held }, request),
      )
      this.#begin([accepted(id, where)], [request])
      checkIds.add(check)
    }
    const view = this.#ports.store.view()
    const under = underNode(this.node)
    for (const { row } of view.prefix(localServices, under)) {
      const { id } = row.service
      if (row.fromFile && !serviceIds.has(id)) await this.deregisterService(everybody, id)
    }
    for (const { row } of view.prefix(localChecks, under)) {
      const { checkId } = row.check
      if (row.fromFile && !checkIds.has(checkId)) await this.deregisterCheck(everybody, checkId)
    }
  }

  /** Says what checks begin with, where their definitions do and the catalog does not. */
  #begin(ids: readonly string[], entries: readonly CheckEntry[]): void {
    for (const [at, id] of ids.entries()) {
      const status = entries[at]?.status ?? ''
      const isKnown = this.#ports.store.view().get(checks, onNode(this.node, id)) !== undefined
      if (status !== '' && !isKnown) this.#checks.begin(id, status)
    }
  }

  /**
   * Registers what a file defines for whoever publishes it. Where that one may not, the definition
   * is kept all the same, and the catalog left as it is until he may.
   */
  async #published<A>(
    entry: Entry,
    token: string,
    register: (who: Who, isHeldBack: boolean) => Promise<A | Refusal>,
  ): Promise<A | Refusal> {
    const who = this.#publishers.ofToken(token, true)
    const answer = isRefusal(who) ? who : await register(who, false)
    if (!isLack(answer)) return answer
    this.#publishers.heldBack(entry, answer)
    return register(everybody, true)
  }

  /** Tokens, or what they may, have changed: what is held back is tried again, soon. */
  lookOver(): void {
    if (this.#publishers.holdsBack && !this.#stopping.signal.aborted) this.#sync.suspectAll()
  }

  /** Follows the store until the agent stops, starting over where the feed cannot go on. */
  async #follow(): Promise<void> {
    const { store, clock, log } = this.#ports
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        const view = store.view()
        this.#checks.followAll(view)
        this.#checks.noteAll()
        this.#sync.suspectAll()
        const feed = store.feed(view.revision)
        let change = await feed.next(signal)
        while (change !== undefined && change !== 'resync') {
          for (const event of change.events) this.#note(event, change.revision)
          const soon = feed.next(signal)
          change = soon instanceof Promise ? await soon : soon
        }
        if (change === undefined) return
      } catch (error) {
        log.warn('following the store', { error: messageOf(error) })
        await sleep(clock, limits.agentSyncDelayMs)
      }
    }
  }

  #note(event: Event, at: Revision): void {
    const { table, key, before, after } = event
    this.#checks.note(event)
    // What is held back need not wait for its time.
    if (aclTables.includes(table) || table === conditions) this.lookOver()
    if (table === nodes && key === fold(this.node)) this.#sync.suspect({})
    if (!key.startsWith(this.#under)) return
    const id = idIn(key, this.node)
    if (table === localServices && before !== undefined && after === undefined) {
      this.#losses.note(at, id)
    }
    if (table === localChecks) this.#checks.follow(this.#ports.store.view(), id)
    if (table === services && !isOwn(after)) {
      this.#sync.suspect(id === SELF_SERVICE ? {} : { service: id })
    }
    if (table !== checks) return
    if (!isOwn(after)) this.#sync.suspect(id === SERF_HEALTH ? {} : { check: id })
    else this.#checks.follow(this.#ports.store.view(), id)
  }

  async #reap(): Promise<void> {
    const ids = this.#checks.overdue()
    if (ids.length === 0) return
    const reaped = await this.#write(everybody, view => reapCritical(view, this.node, ids))
    for (const service of isRefusal(reaped) ? [] : reaped) {
      this.#ports.log.info('deregistered a service that stayed critical', { service })
    }
  }

  #every(intervalMs: number, run: () => Promise<void>): void {
    const timer = this.#ports.timeouts.after(intervalMs, () => {
      this.#timers.delete(timer)
      if (this.#stopping.signal.aborted) return
      run().catch((error: unknown) =>
        this.#ports.log.warn('upkeep of this agent', { error: messageOf(error) }),
      )
      this.#every(intervalMs, run)
    })
    this.#timers.add(timer)
  }
}

/** Whether an entry of the catalog is as this agent wrote it. */
const isOwn = (after: Cell<unknown> | undefined): boolean =>
  (after?.row as { agentOwned?: boolean } | undefined)?.agentOwned === true

function selfOf(config: LocalConfig): Self {
  const { server, grpc, grpcTls } = config.ports
  return {
    node: config.nodeName,
    nodeId: config.nodeId,
    address: config.advertiseAddress,
    taggedAddresses: config.taggedAddresses,
    meta: config.nodeMeta,
    ports: config.isServer ? { server, grpc, grpcTls } : undefined,
    isDraining: false,
  }
}

/** A definition of a file must be taken: a start without it would be a silent loss. */
function accepted<T>(given: T | Refusal, where: string): T {
  if (isRefusal(given)) throw new Error(`${where}: ${given.text}`)
  return given
}
