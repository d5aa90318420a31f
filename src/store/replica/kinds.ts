/**
 * The kinds of interests in the catalog: a service, a node, an address, the names of all services.
 *
 * Owns which rows each consists of, so that the registry's questions give the same answers on a
 * replica as on the store. Pure.
 */
import type { Revision } from '../../base/brand.ts'
import { type Bytes, fromText } from '../../base/bytes.ts'
import { access, accessToAll, type Who } from '../../base/who.ts'
import type { Event } from '../store.ts'
import { type Cell, defineTable, indexStart, jsonCodec, type Table } from '../table.ts'
import { type CheckRow, checks } from '../tables/check.ts'
import { addressValues, fold, nodeGuard, onNode, scope, underNode } from '../tables/names.ts'
import { type NodeRow, nodes } from '../tables/node.ts'
import { type ServiceRow, services, splitTag } from '../tables/service.ts'
import {
  derived,
  type Interest,
  type InterestKind,
  type PartRow,
  type ScopeMark,
  type TouchedPart,
  type View,
} from './interest.ts'

/** The instances of a service with their nodes and all checks that decide about them. */
export const serviceInterest = (name: string): Interest => ({ kind: 'service', name: fold(name) })
/** A node with all services and checks on it. */
export const nodeInterest = (name: string): Interest => ({ kind: 'node', name: fold(name) })
/** Whoever has an IP address (4 or 16 bytes). */
export const addressInterest = (address: Bytes): Interest => ({ kind: 'address', name: address })
/** The names of all services with the tags of their instances. */
export const namesInterest: Interest = { kind: 'names', name: '' }

const row = <R>(table: Table<R>, cell: Cell<R>): PartRow => ({ table, cell })

const mayReadNode = (who: Who, node: string): boolean => who.may(access('read', 'node', node))
const mayReadService = (who: Who, name: string): boolean => who.may(access('read', 'service', name))

/** Whether somebody may read all nodes and services. */
const seesCatalog = (who: Who): boolean =>
  who.may(accessToAll('read', 'node')) && who.may(accessToAll('read', 'service'))

const rowOf = <R>({ cell }: PartRow): R => cell.row as R

const later = (one: Revision, other: Revision): Revision => (one > other ? one : other)

/** Which node an event is about, where it is about one. */
function nodeOf({ table, key }: Event): Bytes | undefined {
  if ((table as unknown) === nodes) return key
  const isOnNode = (table as unknown) === services || (table as unknown) === checks
  return isOnNode ? nodeGuard(key) : undefined
}

const rowsOfEvent = <R>({ before, after }: Event): R[] =>
  [before, after].flatMap(cell => (cell === undefined ? [] : [cell.row as R]))

/** On nodes with more services than this those of one name are found by name. */
const FEW_SERVICES = 64

/** The instances of a service on a node. */
function instancesOn(view: View, name: Bytes, node: Bytes): Cell<ServiceRow>[] {
  const on = view.prefix(services, underNode(node), FEW_SERVICES + 1)
  if (on.length <= FEW_SERVICES) return on.filter(cell => fold(cell.row.name) === name)
  return view.find(services, 'name', name).filter(({ key }) => nodeGuard(key) === node)
}

const serviceKind: InterestKind = {
  kind: 'service',
  *parts(view, name) {
    let last: Bytes | undefined
    // The index gives them by node.
    for (const { key } of view.scan(services, 'name', name)) {
      const node = nodeGuard(key)
      if (node !== last) yield node
      last = node
    }
  },
  rows(view, name, part) {
    const node = view.get(nodes, part)
    const instances = instancesOn(view, name, part)
    if (node === undefined || instances.length === 0) return []
    const ofNode = view.find(checks, 'instance', onNode(part, ''))
    const own = instances.flatMap(({ key }) => view.find(checks, 'instance', key))
    return [
      row(nodes, node),
      ...instances.map(cell => row(services, cell)),
      ...[...ofNode, ...own].map(cell => row(checks, cell)),
    ]
  },
  *touched(event, view): Iterable<TouchedPart> {
    const part = nodeOf(event)
    if (part === undefined) return
    if ((event.table as unknown) === services) {
      for (const { name } of rowsOfEvent<ServiceRow>(event)) yield { name: fold(name), part }
      return
    }
    const ids = rowsOfEvent<CheckRow>(event).map(({ serviceId }) => serviceId)
    const isOfInstances = (event.table as unknown) === checks && !ids.includes('')
    const cells = isOfInstances
      ? ids.flatMap(id => view.get(services, onNode(part, id)) ?? [])
      : view.prefix(services, underNode(part))
    for (const name of new Set(cells.map(cell => fold(cell.row.name)))) yield { name, part }
  },
  wakes: [],
  isPersonal: false,
  changedAt: (_view, scopes, name) => scopes.newest(scope.health(name)),
  marks(view, scopes, name) {
    const exists = view.find(services, 'name', name, 1).length > 0
    const extinct = scopes.newest(scope.extinction)
    const own = [scope.service(name), scope.health(name)]
    const ofChecks = scopes.known(scope.serviceChecks(name))?.revision ?? view.newest(checks)
    return [
      ...own.map((one): ScopeMark => [one, exists ? scopes.newest(one) : extinct]),
      [scope.extinction, extinct],
      [scope.serviceChecks(name), ofChecks],
    ]
  },
  // Names are found without case, and rights told with it: one name may have several spellings.
  seesAll: seesCatalog,
  seen(who, _name, _part, rows) {
    const [node] = rows
    if (node === undefined || !mayReadNode(who, rowOf<NodeRow>(node).node)) return []
    const ids = new Set<string>([''])
    for (const one of rows) {
      if ((one.table as unknown) !== services) continue
      const { id, name } = rowOf<ServiceRow>(one)
      if (mayReadService(who, name)) ids.add(id)
    }
    if (ids.size === 1) return []
    return rows.filter(one => {
      if ((one.table as unknown) === nodes) return true
      if ((one.table as unknown) === services) return ids.has(rowOf<ServiceRow>(one).id)
      return ids.has(rowOf<CheckRow>(one).serviceId)
    })
  },
}

/** The part of what is on no service of the node: the node itself and its own checks. */
const NODE_ITSELF = ''

/** Which service a check belongs to, as a part of its node. */
const partOf = ({ serviceId }: CheckRow, node: Bytes): Bytes =>
  serviceId === '' ? NODE_ITSELF : onNode(node, serviceId)

/** One part for the node itself, and one for each service on it: there may be thousands. */
const nodeKind: InterestKind = {
  kind: 'node',
  *parts(view, name) {
    const parts = new Set(view.prefix(services, underNode(name)).map(({ key }) => key))
    for (const { row: check } of view.prefix(checks, underNode(name))) {
      parts.add(partOf(check, name))
    }
    if (view.get(nodes, name) !== undefined) parts.add(NODE_ITSELF)
    yield* parts
  },
  rows(view, name, part) {
    const isItself = part === NODE_ITSELF
    const first = isItself ? view.get(nodes, name) : view.get(services, part)
    const own = view.find(checks, 'instance', isItself ? onNode(name, '') : part)
    return [
      ...(first === undefined ? [] : [{ table: isItself ? nodes : services, cell: first }]),
      ...own.map(cell => row(checks, cell)),
    ]
  },
  *touched(event): Iterable<TouchedPart> {
    const name = nodeOf(event)
    if (name === undefined) return
    if ((event.table as unknown) === nodes) yield { name, part: NODE_ITSELF }
    else if ((event.table as unknown) === services) yield { name, part: event.key }
    else for (const one of rowsOfEvent<CheckRow>(event)) yield { name, part: partOf(one, name) }
  },
  wakes: [],
  isPersonal: false,
  changedAt: (_view, scopes, name) =>
    later(scopes.newest(scope.node(name)), scopes.newest(scope.nodeChecks(name))),
  marks: (view, scopes, name) => [
    [scope.node(name), scopes.known(scope.node(name))?.revision ?? view.newest(nodes)],
    [scope.nodeChecks(name), scopes.known(scope.nodeChecks(name))?.revision ?? view.newest(checks)],
  ],
  seesAll: seesCatalog,
  seen: (who, _name, _part, rows) =>
    rows.filter(one => {
      if (!mayReadNode(who, rowOf<NodeRow | ServiceRow | CheckRow>(one).node)) return false
      if ((one.table as unknown) === nodes) return true
      const name =
        (one.table as unknown) === services
          ? rowOf<ServiceRow>(one).name
          : rowOf<CheckRow>(one).serviceName
      return name === '' || mayReadService(who, name)
    }),
}

const addressKind: InterestKind = {
  kind: 'address',
  *parts(view, name) {
    if (view.find(nodes, 'address', name, 1).length > 0) yield ''
    else if (view.find(services, 'address', name, 1).length > 0) yield ''
  },
  rows(view, name) {
    const on = view.find(services, 'address', name)
    const holders = new Map(view.find(nodes, 'address', name).map(cell => [cell.key, cell]))
    for (const { key } of on) {
      const node = view.get(nodes, nodeGuard(key))
      if (node !== undefined) holders.set(node.key, node)
    }
    return [
      ...[...holders.values()].map(cell => row(nodes, cell)),
      ...on.map(cell => row(services, cell)),
    ]
  },
  *touched(event, view): Iterable<TouchedPart> {
    const isAddressed = (event.table as unknown) === nodes || (event.table as unknown) === services
    if (!isAddressed) return
    const names = new Set<Bytes>(
      rowsOfEvent<NodeRow | ServiceRow>(event).flatMap(({ address }) => addressValues(address)),
    )
    // A node's own row is part of the answer about the services on it.
    if ((event.table as unknown) === nodes) {
      for (const { row: on } of view.prefix(services, underNode(event.key))) {
        for (const value of addressValues(on.address)) names.add(value)
      }
    }
    for (const name of names) yield { name, part: '' }
  },
  wakes: [],
  isPersonal: false,
  changedAt: view => later(view.newest(nodes), view.newest(services)),
  marks: () => [],
  seesAll: seesCatalog,
  seen(who, _name, _part, rows) {
    const visible = new Set<string>()
    for (const one of rows) {
      if ((one.table as unknown) !== nodes) continue
      const { node } = rowOf<NodeRow>(one)
      if (mayReadNode(who, node)) visible.add(fold(node))
    }
    return rows.filter(one => {
      if ((one.table as unknown) === nodes) return visible.has(one.cell.key)
      const { node, name } = rowOf<ServiceRow>(one)
      return visible.has(fold(node)) && mayReadService(who, name)
    })
  },
}

/** What a replica keeps of a service's name: a row that no store has. */
export interface ServiceNameRow {
  readonly name: string
  readonly tags: readonly string[]
}

/** The key is the start of the tag index's entries of that name. */
export const serviceNameRows = defineTable<ServiceNameRow>({
  name: 'service-names',
  prefix: 'replica/service-name/',
  codec: jsonCodec(),
})

const namesKind: InterestKind = {
  kind: 'names',
  *parts(view) {
    let last: string | undefined
    for (const value of view.values(services, 'tag')) {
      const { name } = splitTag(value)
      if (name !== last) yield indexStart(fromText(name))
      last = name
    }
  },
  rows(view, _name, part) {
    const found = [...view.values(services, 'tag', part)].map(splitTag)
    const [first] = found
    if (first === undefined) return []
    const tags = found.flatMap(({ tag }) => (tag === '' ? [] : [tag]))
    return [derived(serviceNameRows, part, { name: first.name, tags }, view.revision)]
  },
  *touched(event): Iterable<TouchedPart> {
    if ((event.table as unknown) !== services) return
    const { before, after } = event
    const [was, is] = [before?.row as ServiceRow | undefined, after?.row as ServiceRow | undefined]
    if (was?.name === is?.name && was?.tags === is?.tags) return
    for (const { name } of rowsOfEvent<ServiceRow>(event)) {
      yield { name: '', part: indexStart(fromText(name)) }
    }
  },
  wakes: [],
  isPersonal: false,
  changedAt: view => view.newest(services),
  marks: view => [[scope.services, view.newest(services)]],
  seesAll: who => who.may(accessToAll('read', 'service')),
  seen: (who, _name, _part, rows) =>
    rows.filter(one => mayReadService(who, rowOf<ServiceNameRow>(one).name)),
}

/** The kinds that stand on the catalog alone. */
export const catalogInterests: readonly InterestKind[] = [
  serviceKind,
  nodeKind,
  addressKind,
  namesKind,
]
