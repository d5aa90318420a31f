/**
 * The rules of the catalog: register and deregister nodes, services and checks; and its reads.
 *
 * Owns what a registration changes and what goes with a node, a service or a check (sessions, and
 * the agent's own definitions). An equal registration changes nothing and wakes nobody. Semantics
 * follow Consul's catalog API. Pure.
 */
import type { Revision } from '../base/brand.ts'
import { type Bytes, fromText } from '../base/bytes.ts'
import { denied, mayOne, refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { isUuid } from '../base/uuid.ts'
import { type Access, access, isUnbounded, principalOf, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import { namesInterest, nodeInterest, serviceInterest } from '../store/replica/kinds.ts'
import { type Decision, del, isRefusal, type Op, put } from '../store/store.ts'
import type { AnyTable, Cell, Table } from '../store/table.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { coordinates } from '../store/tables/coordinate.ts'
import { localChecks, localServices, onRemoved, removals } from '../store/tables/local.ts'
import { fold, onNode, scope, underNode } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import { type ServiceRow, services, splitTag } from '../store/tables/service.ts'
import { sessions } from '../store/tables/session.ts'
import type { Reader } from '../store/view.ts'
import type { Scopes } from '../store/wait.ts'
import { Budget } from './budget.ts'
import { endSessions, sessionsOnCheck } from './session.ts'

export interface Registration {
  readonly node: NodeRow
  /** Leaves an existing node's record alone. */
  readonly skipNodeUpdate: boolean
  readonly service: ServiceRow | undefined
  /** Checks whose `serviceName` and `serviceTags` are filled in here. */
  readonly checks: readonly CheckRow[]
}

/** The node that the cluster's own failure detection watches with this check. */
export const SERF_HEALTH = 'serfHealth'

/** Registers a node, and a service and checks on it. */
export function register(view: Reader, who: Who, request: Registration): Decision<true> | Refusal {
  const refusal = refuseRegistration(request)
  if (refusal !== undefined) return refusal
  const full: CheckRow[] = []
  for (const check of request.checks) {
    const filled = withService(view, check, request.service)
    if (filled instanceof Refusal) return filled
    full.push(filled)
  }
  if (view.get(nodes, fold(request.node.node))?.row.ending !== undefined) return isEnding
  const lacking = isUnbounded(who)
    ? undefined
    : refuse(who, registrationAccess(view, request, full))
  if (lacking !== undefined) return lacking
  const naming = putNode(view, request)
  if (naming instanceof Refusal) return naming
  const ofService = request.service === undefined ? [] : serviceOps(view, request.service, full)
  return {
    txn: [...naming, ...ofService, ...full.flatMap(one => checkOps(view, one))],
    answer: true,
  }
}

const isEnding = new Refusal(503, 'The node is being deregistered, try again')

/** What is wrong with a registration by itself, whatever is stored. */
function refuseRegistration(request: Registration): Refusal | undefined {
  const { node, service, checks: given, skipNodeUpdate } = request
  if (node.node === '') return new Refusal(500, 'Must provide node')
  if (node.address === '' && !skipNodeUpdate) {
    return new Refusal(500, 'Must provide address if SkipNodeUpdate is not set')
  }
  if (node.id !== '' && !isUuid(node.id)) {
    const isLong = node.id.length === 36
    const problem = isLong ? 'uuid is improperly formatted' : 'uuid string is wrong length'
    return new Refusal(500, `Bad node ID: ${problem}`)
  }
  if (service?.name === '') {
    const text = 'Must provide service name (Service.Service) when service ID is provided'
    return new Refusal(500, text)
  }
  if (service !== undefined && isAnyAddress(service.address)) {
    return new Refusal(500, 'Invalid service address')
  }
  for (const check of given) {
    if (check.checkId === '') return new Refusal(500, 'Must provide a check ID or name')
    if (fold(check.node) === fold(node.node)) continue
    const which = `Node '${check.node}' for check '${check.name}'`
    return new Refusal(500, `${which} does not match node register request ('${node.node}')`)
  }
  return undefined
}

/** Whether an address stands for all addresses: nobody can connect to it. */
export const isAnyAddress = (address: string): boolean =>
  address === '0.0.0.0' || address === '::' || address === '[::]'

/**
 * The rights that a registration asks for. Posting the node's record as it is asks for none; a
 * service or check that takes the place of another one under its id asks for both.
 */
function registrationAccess(
  view: Reader,
  { node, service, skipNodeUpdate }: Registration,
  given: readonly CheckRow[],
): Access[] {
  const existing = view.get(nodes, fold(node.node))
  let isOfNode =
    existing === undefined || !(skipNodeUpdate || same(existing.row, nodeRow(existing, node)))
  const names = new Set<string>()
  const note = ({ serviceId, serviceName }: CheckRow): void => {
    if (serviceId === '') isOfNode = true
    names.add(serviceName)
  }
  given.forEach(note)
  // A check that takes another's place takes it from its holder.
  for (const { node: on, checkId } of given) {
    const replaced = view.get(checks, onNode(on, checkId))?.row
    if (replaced !== undefined) note(replaced)
  }
  if (service !== undefined) {
    names.add(service.name)
    names.add(view.get(services, onNode(service.node, service.id))?.row.name ?? '')
  }
  const wanted = isOfNode ? [access('write', 'node', node.node)] : []
  for (const { row } of renamedTo(view, node)) wanted.push(access('write', 'node', row.node))
  for (const name of names) if (name !== '') wanted.push(access('write', 'service', name))
  return wanted
}

/** The row of a node; a registration without an id does not take the id away. */
const nodeRow = (existing: Cell<NodeRow> | undefined, node: NodeRow): NodeRow =>
  node.id === '' && existing !== undefined ? { ...node, id: existing.row.id } : node

/** The nodes that have this one's id under another name. */
const renamedTo = (view: Reader, node: NodeRow): Cell<NodeRow>[] =>
  node.id === ''
    ? []
    : view.find(nodes, 'id', fromText(node.id)).filter(({ key }) => key !== fold(node.node))

/**
 * Puts the node where it is new or changed. A node's id outlives its name, and a name its silent
 * holder.
 */
function putNode(view: Reader, { node, skipNodeUpdate }: Registration): Op[] | Refusal {
  const existing = view.get(nodes, fold(node.node))
  if (existing !== undefined && skipNodeUpdate) return []
  const holder = existing?.row
  const isTaken = node.id !== '' && holder !== undefined && !['', node.id].includes(holder.id)
  if (isTaken && isAlive(view, holder.node)) {
    return new Refusal(
      500,
      `failed inserting node: Error while renaming Node ID: "${node.id}": Node name ${node.node} ` +
        `is reserved by node ${holder.id} with name ${holder.node} (${holder.address})`,
    )
  }
  const txn = renamedTo(view, node).flatMap(({ row }) => dropNodeOps(view, row.node))
  putIfChanged(view, nodes, fold(node.node), nodeRow(existing, node), txn)
  return txn
}

/** Puts a service where it changed; checks that name it or its tags follow, but for the `given`. */
export function serviceOps(view: Reader, service: ServiceRow, given: readonly CheckRow[]): Op[] {
  const key = onNode(service.node, service.id)
  const existing = view.get(services, key)?.row
  const txn: Op[] = []
  putIfChanged(view, services, key, service, txn)
  if (existing === undefined) return txn
  if (existing.name === service.name && same(existing.tags, service.tags)) return txn
  for (const { row } of view.find(checks, 'instance', key)) {
    if (given.some(({ checkId }) => checkId === row.checkId)) continue
    const followed = { ...row, serviceName: service.name, serviceTags: service.tags }
    txn.push(put(checks, onNode(row.node, row.checkId), followed))
  }
  return txn
}

function isAlive(view: Reader, node: string): boolean {
  const health = view.get(checks, onNode(node, SERF_HEALTH))
  return health !== undefined && health.row.status !== CheckStatus.critical
}

/** Puts a row unless it says what is there already. */
export function putIfChanged<R>(
  view: Reader,
  table: Table<R>,
  key: string,
  row: R,
  txn: Op[],
): void {
  const existing = view.get(table, key)
  if (existing === undefined || !same(existing.row, row)) txn.push(put(table, key, row))
}

function withService(
  view: Reader,
  check: CheckRow,
  registered: ServiceRow | undefined,
): CheckRow | Refusal {
  if (check.serviceId === '') return check
  const service =
    registered?.id === check.serviceId
      ? registered
      : view.get(services, onNode(check.node, check.serviceId))?.row
  if (service === undefined) {
    const text = `Unknown service ID '${check.serviceId}' for check ID '${check.checkId}'`
    return new Refusal(500, text)
  }
  return { ...check, serviceName: service.name, serviceTags: service.tags }
}

/** Puts a check where it changed; a critical one ends the sessions that stand on it. */
export function checkOps(view: Reader, check: CheckRow): Op[] {
  const txn: Op[] = []
  putIfChanged(view, checks, onNode(check.node, check.checkId), check, txn)
  if (txn.length > 0 && check.status === CheckStatus.critical) {
    txn.push(...endSessions(view, sessionsOnCheck(view, check.node, check.checkId)))
  }
  return txn
}

/** Registers a node alone. */
export const setNode = (view: Reader, who: Who, node: NodeRow): Decision<true> | Refusal =>
  register(view, who, { node, skipNodeUpdate: false, service: undefined, checks: [] })

/** Registers a service on a node that is there. */
export const setService = (view: Reader, who: Who, service: ServiceRow): Decision<true> | Refusal =>
  registerOn(view, who, service.node, { service, checks: [] })

/** Registers a check on a node that is there. */
export const setCheck = (view: Reader, who: Who, check: CheckRow): Decision<true> | Refusal =>
  registerOn(view, who, check.node, { service: undefined, checks: [check] })

function registerOn(
  view: Reader,
  who: Who,
  name: string,
  given: Pick<Registration, 'service' | 'checks'>,
): Decision<true> | Refusal {
  const existing = view.get(nodes, fold(name))
  const absent = { node: name, id: '', address: '', taggedAddresses: {}, meta: {} }
  const node = existing?.row ?? absent
  const done = register(view, who, { ...given, node, skipNodeUpdate: true })
  // Told after the rights are known, so that nobody learns of nodes that he may not see.
  if (existing !== undefined || isRefusal(done)) return done
  return new Refusal(500, 'Missing node registration')
}

export interface Deregistration {
  readonly node: string
  readonly serviceId: string
  readonly checkId: string
}

/** Deregisters a check, else a service with its checks, else a node. True when absent too. */
export function deregister(
  view: Reader,
  who: Who,
  request: Deregistration,
): Decision<true> | Refusal {
  const { node, serviceId, checkId } = request
  if (node === '') return new Refusal(500, 'Must provide node')
  const lacking = refuseDeregistration(view, who, request)
  if (lacking !== undefined) return lacking
  if (checkId !== '') {
    const txn = [
      ...dropCheckOps(view, node, checkId),
      ...takeFromAgent(view, node, 'check', checkId),
    ]
    return { txn, answer: true }
  }
  if (serviceId !== '') {
    const taken = takeFromAgent(view, node, 'service', serviceId)
    return { txn: [...dropServiceOps(view, node, serviceId), ...taken], answer: true }
  }
  return { txn: dropNodeOps(view, node), answer: true }
}

/**
 * Leaves word for the node's agent of what is taken from it, where that one is no server: its
 * definition is not in this store, and it would register the entry again.
 */
function takeFromAgent(
  view: Reader,
  node: string,
  what: 'service' | 'check',
  id: string,
): readonly Op[] {
  const key = onNode(node, id)
  const [entry, own] =
    what === 'service'
      ? [view.get(services, key), view.get(localServices, key)]
      : [view.get(checks, key), view.get(localChecks, key)]
  if (entry?.row.agentOwned !== true || own !== undefined) return []
  return [put(removals, onRemoved(node, what, id), { node, what, id })]
}

/**
 * Whoever may write the node may remove what stands on it, so that nothing stays behind whose own
 * token is gone. Others need the right on the service that it belongs to.
 */
function refuseDeregistration(
  view: Reader,
  who: Who,
  { node, serviceId, checkId }: Deregistration,
): Refusal | undefined {
  const ofNode = access('write', 'node', node)
  const holder = ownerOf(view, { node, serviceId, checkId })
  if (holder === undefined) {
    const [what, id] = checkId === '' ? ['service', serviceId] : ['check', checkId]
    const isAllowed = principalOf(who).may(ofNode) && who.may(ofNode)
    return isAllowed ? undefined : new Refusal(500, `Unknown ${what} '${id}'`)
  }
  const own = holder === '' ? ofNode : access('write', 'service', holder)
  return mayOne(who, own, ofNode) ? undefined : denied(who, own)
}

/** The service that holds what is to go, '' for the node; undefined for what is not there. */
function ownerOf(view: Reader, { node, serviceId, checkId }: Deregistration): string | undefined {
  if (checkId !== '') return view.get(checks, onNode(node, checkId))?.row.serviceName
  return serviceId === '' ? '' : view.get(services, onNode(node, serviceId))?.row.name
}

/** The operations that remove a check, the sessions on it, and the agent's definition of it. */
export function dropCheckOps(
  view: Reader,
  node: string,
  checkId: string,
  budget = new Budget(),
): Op[] {
  const key = onNode(node, checkId)
  if (view.get(checks, key) === undefined) return [del(localChecks, key)]
  return [
    del(checks, key),
    del(localChecks, key),
    ...endSessions(view, sessionsOnCheck(view, node, checkId), budget),
  ]
}

/** The operations that remove a service instance with its checks. */
export function dropServiceOps(view: Reader, node: string, serviceId: string): Op[] {
  const key = onNode(node, serviceId)
  const txn: Op[] = [del(services, key), del(localServices, key)]
  const budget = new Budget()
  for (const { row } of view.find(checks, 'instance', key)) {
    txn.push(...dropCheckOps(view, node, row.checkId, budget))
  }
  for (const { row } of view.find(localChecks, 'instance', key)) {
    txn.push(del(localChecks, onNode(node, row.check.checkId)))
  }
  return txn
}

/**
 * The operations that remove a node with all that is on it. Where that is more than fits into the
 * transaction the node is marked, and what is on it follows (ending.ts).
 */
export function dropNodeOps(view: Reader, node: string): Op[] {
  const name = fold(node)
  const row = view.get(nodes, name)?.row
  if (row?.ending !== undefined) return []
  const budget = new Budget()
  const parts = [...nodeParts(view, name, limits.endingOps + 1, budget)].flat()
  if (row === undefined || parts.length < limits.endingOps) return [del(nodes, name), ...parts]
  return [put(nodes, name, { ...row, ending: 'marked' })]
}

/** What goes with a node, in parts that belong together each; at most so many of a kind. */
export function* nodeParts(
  view: Reader,
  name: Bytes,
  limit: number,
  budget = new Budget(),
): Iterable<Op[]> {
  yield [del(coordinates, name)]
  const tables: readonly AnyTable[] = [services, checks, localServices, localChecks, removals]
  for (const table of tables) {
    for (const { key } of view.prefix(table, underNode(name), limit)) yield [del(table, key)]
  }
  // A session with very much on it is marked, and goes its own way.
  for (const session of view.find(sessions, 'node', name, limit)) {
    const ops = endSessions(view, [session], budget)
    if (ops.length > 0) yield ops
  }
}

// --- reads: lists are lazy, so that long ones are read and rendered in slices

/** Which nodes a question is about: those with all of these pairs in their meta. */
export type NodeMetaFilter = readonly (readonly [key: string, value: string])[]

/** Whether a node has all the wanted pairs. */
export const hasMeta = (meta: Readonly<Record<string, string>>, wanted: NodeMetaFilter): boolean =>
  wanted.every(([key, value]) => meta[key] === value)

/** The nodes that the asker may see, by name. */
export function allNodes(who: Who, meta: NodeMetaFilter): Question<Iterable<Cell<NodeRow>>> {
  return {
    key: `nodes ${JSON.stringify(meta)}`,
    target: { scope: scope.nodes },
    newest: view => view.newest(nodes),
    *read(view) {
      for (const cell of view.entries(nodes)) {
        if (hasMeta(cell.row.meta, meta) && mayReadNode(who, cell.row)) yield cell
      }
    },
  }
}

/** A node with the services on it. */
export interface NodeServices {
  readonly node: Cell<NodeRow>
  readonly services: readonly Cell<ServiceRow>[]
}

/** One node with its services; undefined when it is not known, or not to the asker. */
export function nodeServices(who: Who, node: string): Question<NodeServices | undefined> {
  return {
    key: `node ${fold(node)}`,
    target: { scope: scope.node(node) },
    standsOn: [nodeInterest(node)],
    newest: (view, scopes) => scopes.known(scope.node(node))?.revision ?? view.newest(nodes),
    read(view) {
      const found = view.get(nodes, fold(node))
      if (found === undefined || !mayReadNode(who, found.row)) return undefined
      const on = view.prefix(services, underNode(node))
      return { node: found, services: on.filter(({ row }) => mayReadService(who, row.name)) }
    },
  }
}

/** Whose an address is: a node's, or else a service's. */
export interface Holder {
  readonly node: string
  /** Undefined where it is the node's own. */
  readonly service: string | undefined
}

/** The first node, else the first instance, with this address (4 or 16 bytes). */
export function holderOf(view: View, who: Who, address: Bytes): Holder | undefined {
  for (const { row } of view.scan(nodes, 'address', address)) {
    if (mayReadNode(who, row)) return { node: row.node, service: undefined }
  }
  for (const { row } of view.scan(services, 'address', address)) {
    const node = view.get(nodes, fold(row.node))?.row
    const maySee = node !== undefined && mayReadNode(who, node) && mayReadService(who, row.name)
    if (maySee) return { node: row.node, service: row.name }
  }
  return undefined
}

const mayReadNode = (who: Who, { node }: NodeRow): boolean => who.may(access('read', 'node', node))
const mayReadService = (who: Who, name: string): boolean => who.may(access('read', 'service', name))

/** A name that some instance has, with the tags of all instances. */
export interface ServiceTags {
  readonly name: string
  readonly tags: readonly string[]
}

/**
 * Service names with all their tags, sorted; only of instances on nodes with this meta, and of
 * those that `keeps` keeps.
 */
export function serviceNames(
  who: Who,
  meta: NodeMetaFilter,
  keeps?: (instance: Instance) => boolean,
): Question<Iterable<ServiceTags | undefined>> {
  return {
    key: `services ${JSON.stringify(meta)}`,
    target: { scope: scope.services },
    // Which instances there are is told with nothing but their names.
    ...(meta.length === 0 && keeps === undefined ? { standsOn: [namesInterest] } : {}),
    newest: view => view.newest(services),
    *read(view) {
      if (keeps !== undefined) {
        yield* namesOf(view, who, meta, keeps)
        return
      }
      const found = meta.length === 0 ? everyServiceTag(view) : serviceTagsOn(view, meta)
      let open: { name: string; tags: string[] } | undefined
      for (const { name, tag } of found) {
        if (open?.name !== name) {
          if (open !== undefined) yield open
          open = mayReadService(who, name) ? { name, tags: [] } : undefined
        }
        if (tag !== '') open?.tags.push(tag)
      }
      if (open !== undefined) yield open
    },
  }
}

/** The same by looking at every instance; undefined stands for one that was looked at. */
function* namesOf(
  view: View,
  who: Who,
  meta: NodeMetaFilter,
  keeps: (instance: Instance) => boolean,
): Iterable<ServiceTags | undefined> {
  for (const value of view.values(services, 'name')) {
    // Names are found without regard to case, but listed as they are.
    const found = new Map<string, Set<string>>()
    for (const service of view.scan(services, 'name', value)) {
      yield undefined
      const { name, tags } = service.row
      const node = view.get(nodes, fold(service.row.node))
      if (node === undefined || !hasMeta(node.row.meta, meta)) continue
      if (!mayReadService(who, name) || !keeps({ node, service })) continue
      found.set(name, (found.get(name) ?? new Set()).union(new Set(tags)))
    }
    for (const [name, tags] of found) yield { name, tags: [...tags].toSorted() }
  }
}

/** Names with their tags, each pair once and in order; the tag '' stands for none. */
function* everyServiceTag(view: View): Iterable<{ name: string; tag: string }> {
  for (const value of view.values(services, 'tag')) yield splitTag(value)
}

function* serviceTagsOn(view: View, meta: NodeMetaFilter): Iterable<{ name: string; tag: string }> {
  for (const value of view.values(services, 'tag')) {
    for (const { row } of view.scan(services, 'tag', value)) {
      if (!hasMeta(view.get(nodes, fold(row.node))?.row.meta ?? {}, meta)) continue
      yield splitTag(value)
      break
    }
  }
}

export interface InstanceFilter {
  /** All of them must be among the instance's tags, compared without case. */
  readonly tags: readonly string[]
  readonly meta: NodeMetaFilter
}

/** A service instance and its node. */
export interface Instance {
  readonly node: Cell<NodeRow>
  readonly service: Cell<ServiceRow>
}

/** The instances of a service, by node name and then service id. */
export function serviceInstances(
  who: Who,
  name: string,
  filter: InstanceFilter,
): Question<Iterable<Instance>> {
  return {
    key: `service ${fold(name)} ${JSON.stringify(filter)}`,
    target: { scope: scope.service(name) },
    standsOn: [serviceInterest(name)],
    newest: (view, scopes) => newestOf(view, scopes, name, scope.service(name)),
    read: view => readInstances(view, who, name, filter),
  }
}

/** The revision of a service's scope while it has instances, else of the last extinction. */
export function newestOf(view: View, scopes: Scopes, name: string, own: string): Revision {
  const exists = view.find(services, 'name', fold(name), 1).length > 0
  return scopes.newest(exists ? own : scope.extinction)
}

/** The instances of a service that the asker may see; shared with the reads of health. */
export function* readInstances(
  view: View,
  who: Who,
  name: string,
  filter: InstanceFilter,
): Iterable<Instance> {
  const tags = filter.tags.map(tag => tag.toLowerCase())
  for (const service of view.scan(services, 'name', fold(name))) {
    if (tags.length > 0) {
      const own = service.row.tags.map(tag => tag.toLowerCase())
      if (!tags.every(tag => own.includes(tag))) continue
    }
    const node = view.get(nodes, fold(service.row.node))
    if (node === undefined || !hasMeta(node.row.meta, filter.meta)) continue
    if (mayReadService(who, service.row.name) && mayReadNode(who, node.row)) yield { node, service }
  }
}
