/**
 * The reads of health: which instances of a service are well, and what their checks say.
 *
 * Owns what counts as passing: an instance is passing when all its own checks and all checks of
 * its node are. Other services' checks on the same node do not count.
 */
import { access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import { nodeInterest, serviceInterest } from '../store/replica/kinds.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { fold, onNode, scope, underNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import { services } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'
import {
  hasMeta,
  type Instance,
  type InstanceFilter,
  type NodeMetaFilter,
  newestOf,
  readInstances,
} from './catalog.ts'

/** An instance with the checks that decide about it: its own and its node's. */
export interface InstanceHealth extends Instance {
  readonly checks: readonly Cell<CheckRow>[]
}

/** The health of a service's instances, in the order of the catalog's list of them. */
export function serviceHealth(
  who: Who,
  name: string,
  filter: InstanceFilter & { readonly passing: boolean },
): Question<Iterable<InstanceHealth>> {
  const own = scope.health(name)
  return {
    key: `health ${fold(name)} ${JSON.stringify(filter)}`,
    target: { scope: own },
    standsOn: [serviceInterest(name)],
    newest: (view, scopes) => newestOf(view, scopes, name, own),
    *read(view) {
      for (const instance of readInstances(view, who, name, filter)) {
        const checked = instanceChecks(view, instance.service.row)
        const isPassing = checked.every(({ row }) => row.status === CheckStatus.passing)
        if (isPassing || !filter.passing) yield { ...instance, checks: checked }
      }
    },
  }
}

/** Nodes have fewer checks, most of them: one range of the table is read, not two of an index. */
const READ_AT_ONCE = 32

/** The checks that decide about an instance: its node's first, then its own. */
export function instanceChecks(
  view: Reader,
  service: { readonly node: string; readonly id: string },
): readonly Cell<CheckRow>[] {
  const all = view.prefix(checks, underNode(service.node), READ_AT_ONCE + 1)
  if (all.length > READ_AT_ONCE) {
    const ofNode = view.find(checks, 'instance', onNode(service.node, ''))
    return [...ofNode, ...view.find(checks, 'instance', onNode(service.node, service.id))]
  }
  const deciding: Cell<CheckRow>[] = []
  for (const cell of all) if (cell.row.serviceId === '') deciding.push(cell)
  for (const cell of all) if (cell.row.serviceId === service.id) deciding.push(cell)
  return deciding
}

/** All checks of a node, its services' included. */
export function nodeChecks(who: Who, node: string): Question<Iterable<Cell<CheckRow>>> {
  return {
    key: `node-checks ${fold(node)}`,
    target: { scope: scope.nodeChecks(node) },
    standsOn: [nodeInterest(node)],
    newest: (view, scopes) => scopes.known(scope.nodeChecks(node))?.revision ?? view.newest(checks),
    read: view => readable(view, who, view.prefix(checks, underNode(node)), []),
  }
}

/** The checks of one service's instances. */
export function serviceChecks(
  who: Who,
  service: string,
  meta: NodeMetaFilter,
): Question<Iterable<Cell<CheckRow>>> {
  return {
    key: `service-checks ${fold(service)} ${JSON.stringify(meta)}`,
    target: { scope: scope.serviceChecks(service) },
    standsOn: [serviceInterest(service)],
    newest: (view, scopes) =>
      scopes.known(scope.serviceChecks(service))?.revision ?? view.newest(checks),
    read: view => readable(view, who, checksOf(view, service), meta),
  }
}

/** All checks in a state; 'any' for every state. */
export function checksInState(
  who: Who,
  state: string,
  meta: NodeMetaFilter,
): Question<Iterable<Cell<CheckRow>>> {
  return {
    key: `state ${state} ${JSON.stringify(meta)}`,
    target: { scope: scope.checks },
    newest: view => view.newest(checks),
    read(view) {
      return readable(view, who, inState(view, state), meta)
    },
  }
}

function* checksOf(view: View, service: string): Iterable<Cell<CheckRow>> {
  for (const { key } of view.scan(services, 'name', fold(service))) {
    yield* view.find(checks, 'instance', key)
  }
}

function* inState(view: View, state: string): Iterable<Cell<CheckRow>> {
  const all = state === 'any' || state === CheckStatus.passing
  for (const cell of all ? view.entries(checks) : view.scan(checks, 'failing', state)) {
    if (state === 'any' || cell.row.status === state) yield cell
  }
}

function* readable(
  view: View,
  who: Who,
  cells: Iterable<Cell<CheckRow>>,
  meta: NodeMetaFilter,
): Iterable<Cell<CheckRow>> {
  for (const cell of cells) {
    const { node, serviceName } = cell.row
    if (!who.may(access('read', 'node', node))) continue
    if (serviceName !== '' && !who.may(access('read', 'service', serviceName))) continue
    if (meta.length > 0 && !hasMeta(view.get(nodes, fold(node))?.row.meta ?? {}, meta)) continue
    yield cell
  }
}
