/**
 * The topic of health: the instances of one service with the checks that decide about them.
 *
 * Owns which events touch an instance: those of its row, of its node, and of checks of either. An
 * item is what `/v1/health/service/` lists, known by its node and id. Pure.
 */
import { type Bytes, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { type Access, access } from '../../base/who.ts'
import type { View } from '../../store/ask.ts'
import type { Event } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import { type CheckRow, checks } from '../../store/tables/check.ts'
import { fold, nodeGuard, onNode, underNode } from '../../store/tables/names.ts'
import { nodes } from '../../store/tables/node.ts'
import { type ServiceRow, services } from '../../store/tables/service.ts'
import {
  defineTopic,
  type Item,
  isNew,
  type Subjects,
  type Topic,
  type Touch,
} from '../../store/topic.ts'
import type { RegistryFields } from '../fields.ts'
import { type InstanceHealth, instanceChecks } from '../health.ts'

const MISSING = new Refusal(400, 'Missing service name')

export const healthTopic = (fields: RegistryFields): Topic<InstanceHealth> =>
  defineTopic({
    name: 'health',
    subject: 'service',
    summary: 'The instances of a service with the checks that decide about them.',
    fields: fields.health,
    access: service => [access('read', 'service', service), access('read', 'node')],
    normal: service => (service === '' ? MISSING : fold(toText(service))),
    may: (who, { value: { node, service } }) =>
      who.may(access('read', 'service', service.row.name)) &&
      who.may(access('read', 'node', node.row.node)),
    source: {
      tables: [nodes.name, services.name, checks.name],
      isEach: false,
      *items(view, subject) {
        for (const service of view.scan(services, 'name', subject)) yield itemOf(view, service)
      },
      item(view, subject, key) {
        const service = view.get(services, rowKey(key))
        if (service === undefined || fold(service.row.name) !== subject) return undefined
        return itemOf(view, service)
      },
      touches,
      isSame: (before, after) =>
        before.value.node === after.value.node &&
        before.value.service === after.value.service &&
        isSameList(before.value.checks, after.value.checks),
    },
  })

const isSameList = (one: readonly unknown[], other: readonly unknown[]): boolean =>
  one.length === other.length && one.every((each, at) => each === other[at])

function itemOf(view: View, service: Cell<ServiceRow>): Item<InstanceHealth> | undefined {
  const node = view.get(nodes, nodeGuard(service.key))
  if (node === undefined) return undefined
  const own = instanceChecks(view, service.row)
  let index = Math.max(node.modifyIndex, service.modifyIndex)
  for (const { modifyIndex } of own) if (modifyIndex > index) index = modifyIndex
  return { key: itemKey(service.key), index, value: { node, service, checks: own } }
}

/** `node/id`: a slash in a node's name is written otherwise, so that no two items have one key. */
function itemKey(key: Bytes): Bytes {
  const node = nodeGuard(key)
  const id = key.slice(onNode(toText(node), '').length)
  return `${node.replaceAll('%', '%25').replaceAll('/', '%2F')}/${id}`
}

function rowKey(key: Bytes): Bytes {
  const slash = key.indexOf('/')
  const node = key.slice(0, slash).replaceAll('%2F', '/').replaceAll('%25', '%')
  return onNode(toText(node), toText(key.slice(slash + 1)))
}

type Table = Event['table']
const isOf = (table: Table, other: { readonly name: string }): boolean => table.name === other.name

function* touches(
  event: Event,
  subjects: Subjects,
  { before, after }: { readonly before: View; readonly after: View },
): Iterable<Touch<InstanceHealth>> {
  const { table, key } = event
  const node = isOf(table, nodes) ? key : nodeGuard(key)
  const rows = [event.before, event.after].flatMap(cell => (cell === undefined ? [] : [cell.row]))
  if (isOf(table, services)) {
    // Which service a row was of that is gone, nothing else tells.
    if (event.before === undefined && !isNew(event)) yield* unknown(subjects)
    for (const row of rows as readonly ServiceRow[]) {
      const subject = fold(row.name)
      if (subjects.has(subject)) yield { subject, key: itemKey(key), was: seeing(row) }
    }
    return
  }
  const ids = isOf(table, checks)
    ? (rows as readonly CheckRow[]).map(({ serviceId }) => serviceId)
    : ['']
  const isBeforeKnown = event.before !== undefined || isNew(event)
  if (ids.includes('') || !isBeforeKnown) {
    for (const view of before === after ? [after] : [before, after]) {
      yield* onTheNode(view, node, subjects)
    }
    return
  }
  for (const view of [before, after]) {
    for (const id of new Set(ids)) {
      const service = view.get(services, onNode(toText(node), id))
      const subject = service === undefined ? undefined : fold(service.row.name)
      if (subject !== undefined && subjects.has(subject)) {
        yield { subject, key: itemKey(service!.key) }
      }
    }
  }
}

const seeing = ({ name, node }: ServiceRow): readonly Access[] => [
  access('read', 'service', name),
  access('read', 'node', node),
]

function* unknown(subjects: Subjects): Iterable<Touch<InstanceHealth>> {
  for (const subject of subjects.all()) yield { subject, isUnknown: true }
}

function* onTheNode(view: View, node: Bytes, subjects: Subjects): Iterable<Touch<InstanceHealth>> {
  for (const { key, row } of view.prefix(services, underNode(toText(node)))) {
    const subject = fold(row.name)
    if (subjects.has(subject)) yield { subject, key: itemKey(key), was: seeing(row) }
  }
}
