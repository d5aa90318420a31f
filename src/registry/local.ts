/**
 * The rules of an agent's own services and checks: what it was asked to keep registered, and what
 * the catalog says of it.
 *
 * Owns the local definitions and their default names. A definition and its entries in the catalog
 * change in one transaction, so that there is no time in which they differ; what others write over
 * such entries is undone (`restoreService`, `restoreCheck`). Semantics follow Consul's agent. Pure.
 */

import { refuse } from '../base/denied.ts'
import { formatDuration } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { type Access, access, type Who } from '../base/who.ts'
import { type Decision, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { type LocalCheck, localChecks, localServices } from '../store/tables/local.ts'
import { onNode } from '../store/tables/names.ts'
import { type ServiceRow, services } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'
import type { Defined } from './asked.ts'
import {
  checkOps,
  dropCheckOps,
  dropServiceOps,
  putIfChanged,
  SERF_HEALTH,
  serviceOps,
} from './catalog.ts'
import { defaultCheckId, defaultCheckName } from './definition.ts'
import { DRAIN_CHECK, SELF_SERVICE } from './self.ts'

/** A check as it is to be registered. An empty id or name stands for the default one. */
export interface CheckEntry {
  readonly check: LocalCheck
  /** What the definition says; '' keeps what an existing check says, else critical. */
  readonly status: CheckStatus | ''
}

export interface ServiceRegistration {
  readonly service: ServiceRow
  readonly checks: readonly CheckEntry[]
  /** Checks of the service that are not named here go. */
  readonly replaceChecks: boolean
  readonly token: string
}

export interface CheckRegistration extends CheckEntry {
  readonly token: string
}

/** Whose entries, and where the definition comes from. */
export interface Owner {
  readonly node: string
  readonly fromFile: boolean
  /** Whether the catalog is left as it is: whoever publishes the definition lacks the right. */
  readonly isHeldBack?: boolean
}

/** Registers a service with its checks; the answer is the ids of the checks named. */
export function registerLocalService(
  view: Reader,
  who: Who,
  owner: Owner,
  request: ServiceRegistration,
): Decision<readonly string[]> | Refusal {
  const { node, fromFile, isHeldBack = false } = owner
  const service: ServiceRow = { ...request.service, node, agentOwned: true }
  const key = onNode(node, service.id)
  const entries = named(service, request.checks)
  const taken = reserved(service.id, entries)
  if (taken !== undefined) return taken
  const existing = view.get(localServices, key)?.row.service
  const refusal = refuse(who, [
    access('write', 'service', service.name),
    ...(existing === undefined ? [] : [access('write', 'service', existing.name)]),
    ...entries.flatMap(({ check }) => holderAccess(view, node, check.checkId)),
  ])
  if (refusal !== undefined) return refusal
  const txn: Op[] = []
  const { token } = request
  putIfChanged(view, localServices, key, { node, service, token, fromFile }, txn)
  // The checks that are not named follow the service; the named ones come after it.
  if (!isHeldBack) txn.push(...serviceOps(view, service, []))
  for (const entry of entries) txn.push(...putCheck(view, owner, { ...entry, token }, service))
  const ids = entries.map(({ check }) => check.checkId)
  if (request.replaceChecks) txn.push(...dropOthers(view, node, service.id, ids))
  return { txn, answer: ids }
}

/** An operator's maintenance outlives what the service says of itself. */
function dropOthers(view: Reader, node: string, serviceId: string, kept: readonly string[]): Op[] {
  return view
    .find(localChecks, 'instance', onNode(node, serviceId))
    .map(({ row }) => row.check)
    .filter(({ checkId, kind }) => !kept.includes(checkId) && kind !== MAINTENANCE)
    .flatMap(({ checkId }) => dropCheckOps(view, node, checkId))
}

/** Gives the checks of a service their default names and ids. */
function named(service: ServiceRow, entries: readonly CheckEntry[]): CheckEntry[] {
  return entries.map(({ check, status }, position) => {
    const checkId = check.checkId || defaultCheckId(service.id, position, entries.length)
    const name = check.name || defaultCheckName(service.name)
    return { check: { ...check, checkId, name, serviceId: service.id }, status }
  })
}

/** Registers a check of the node, or of one of its services; the answer is its id. */
export function registerLocalCheck(
  view: Reader,
  who: Who,
  owner: Owner,
  request: CheckRegistration,
): Decision<string> | Refusal {
  const { node } = owner
  const checkId = request.check.checkId || request.check.name
  const check: LocalCheck = { ...request.check, checkId }
  const taken = reserved('', [{ ...request, check }])
  if (taken !== undefined) return taken
  const service = serviceOf(view, node, check.serviceId)
  if (check.serviceId !== '' && service === undefined) {
    return new Refusal(404, `ServiceID "${check.serviceId}" does not exist`)
  }
  const refusal = refuse(who, [ownAccess(node, service), ...holderAccess(view, node, checkId)])
  if (refusal !== undefined) return refusal
  const isHeldBack = owner.isHeldBack === true || isUnpublished(view, node, check.serviceId)
  const txn = putCheck(view, { ...owner, isHeldBack }, { ...request, check }, service)
  return { txn, answer: checkId }
}

/** Whether the catalog does not have a service: then it has none of its checks either. */
const isUnpublished = (view: Reader, node: string, serviceId: string): boolean =>
  serviceId !== '' && view.get(services, onNode(node, serviceId)) === undefined

/** The server's own entries (self.ts) are nobody's to define. */
function reserved(serviceId: string, entries: readonly CheckEntry[]): Refusal | undefined {
  if (serviceId === SELF_SERVICE) {
    return new Refusal(400, `Invalid service: the ID "${SELF_SERVICE}" is reserved`)
  }
  if (entries.every(({ check }) => check.checkId !== SERF_HEALTH)) return undefined
  return new Refusal(400, `Invalid check: the ID "${SERF_HEALTH}" is reserved`)
}

function putCheck(
  view: Reader,
  { node, fromFile, isHeldBack = false }: Owner,
  { check, status, token }: CheckRegistration,
  service: ServiceRow | undefined,
): Op[] {
  const txn: Op[] = []
  const key = onNode(node, check.checkId)
  putIfChanged(view, localChecks, key, { node, check, token, fromFile }, txn)
  if (isHeldBack) return txn
  const before = said(view, node, check.checkId)
  const now = { status: status || before.status, output: before.output }
  txn.push(...checkOps(view, rowOf(node, check, service, now)))
  return txn
}

/** Deregisters a service with its checks. */
export function deregisterLocalService(
  view: Reader,
  who: Who,
  node: string,
  id: string,
): Decision<true> | Refusal {
  const service = serviceOf(view, node, id)
  if (service === undefined) return unknownService(id)
  const refusal = refuse(who, [ownAccess(node, service)])
  return refusal ?? { txn: dropServiceOps(view, node, id), answer: true }
}

/** Deregisters a check. */
export function deregisterLocalCheck(
  view: Reader,
  who: Who,
  node: string,
  id: string,
): Decision<true> | Refusal {
  if (view.get(localChecks, onNode(node, id)) === undefined) return unknownCheck(id)
  const refusal = refuse(who, holderAccess(view, node, id))
  return refusal ?? { txn: dropCheckOps(view, node, id), answer: true }
}

/** What a check says now. */
export interface Said {
  readonly status: CheckStatus
  readonly output: string
}

/**
 * Writes what a check of the agent says, by the rights of whoever publishes it; one that turns
 * critical ends the sessions on it.
 */
export function updateLocalCheck(
  view: Reader,
  who: Who,
  node: string,
  id: string,
  now: Said,
): Decision<true> | Refusal {
  const local = view.get(localChecks, onNode(node, id))?.row.check
  if (local === undefined) return unknownCheck(id)
  const refusal = refuse(who, publishAccess(view, node, { check: id }))
  if (refusal !== undefined) return refusal
  if (isUnpublished(view, node, local.serviceId)) return { txn: [], answer: true }
  const service = serviceOf(view, node, local.serviceId)
  return { txn: checkOps(view, rowOf(node, local, service, now)), answer: true }
}

/** Why a client may not report a check's state; undefined where it may. */
export function refuseTtlUpdate(
  view: Reader,
  who: Who,
  node: string,
  id: string,
): Refusal | undefined {
  const local = view.get(localChecks, onNode(node, id))
  if (local === undefined) return unknownCheck(id)
  const refusal = refuse(who, holderAccess(view, node, id))
  if (refusal !== undefined) return refusal
  if (local.row.check.ttlMs > 0) return undefined
  return new Refusal(500, `CheckID "${id}" does not have associated TTL`)
}

const MAINTENANCE = 'maintenance'

export interface Maintenance {
  /** Undefined for the node. */
  readonly serviceId: string | undefined
  readonly enable: boolean
  readonly reason: string
  readonly token: string
}

/** Takes a service, or the whole node, out of service by a critical check of its own, or back. */
export function setMaintenance(
  view: Reader,
  who: Who,
  node: string,
  { serviceId, enable, reason, token }: Maintenance,
): Decision<true> | Refusal {
  const service = serviceId === undefined ? undefined : serviceOf(view, node, serviceId)
  if (serviceId !== undefined && service === undefined) return unknownService(serviceId)
  const refusal = refuse(who, [ownAccess(node, service)])
  if (refusal !== undefined) return refusal
  const checkId =
    serviceId === undefined ? '_node_maintenance' : `_service_maintenance:${serviceId}`
  if (!enable) return { txn: dropCheckOps(view, node, checkId), answer: true }
  const what = serviceId === undefined ? 'Node' : 'Service'
  const check: LocalCheck = {
    checkId,
    name: `${what} Maintenance Mode`,
    notes: reason || `${what} is in maintenance mode; nobody gave a reason.`,
    kind: MAINTENANCE,
    serviceId: serviceId ?? '',
    definition: {},
    ttlMs: 0,
    successBeforePassing: 0,
    failuresBeforeWarning: 0,
    failuresBeforeCritical: 0,
    outputMaxSizeBytes: 0,
  }
  const entry = { check, status: CheckStatus.critical, token }
  const isHeldBack = isUnpublished(view, node, check.serviceId)
  return {
    txn: putCheck(view, { node, fromFile: false, isHeldBack }, entry, service),
    answer: true,
  }
}

/** Deregisters the services of these checks, as far as they still are critical; gives their ids. */
export function reapCritical(
  view: Reader,
  node: string,
  checkIds: readonly string[],
): Decision<readonly string[]> {
  const reaped = new Set<string>()
  for (const id of checkIds) {
    const { serviceId } = view.get(localChecks, onNode(node, id))?.row.check ?? { serviceId: '' }
    const isCritical = said(view, node, id).status === CheckStatus.critical
    if (serviceId !== '' && isCritical) reaped.add(serviceId)
  }
  return { txn: [...reaped].flatMap(id => dropServiceOps(view, node, id)), answer: [...reaped] }
}

/** An entry of the agent's node. One that is unknown to the agent is to be removed. */
export type Entry =
  | { readonly service: string }
  | { readonly check: string }
  | { readonly unknownService: string }
  | { readonly unknownCheck: string }

/** The rights that it takes to put an entry right, of whoever publishes it or removes it. */
export function publishAccess(view: Reader, node: string, entry: Entry): Access[] {
  if ('service' in entry) {
    const service = serviceOf(view, node, entry.service)
    const taken = view.get(services, onNode(node, entry.service))?.row.name
    const names = new Set([service?.name, taken].filter(name => name !== undefined))
    return [...names].map(name => access('write', 'service', name))
  }
  if ('check' in entry) return holderAccess(view, node, entry.check)
  // As with a deregistration, the right on the node is enough.
  return [access('write', 'node', node)]
}

/**
 * What a file defines and the catalog does not have so: a service, or a check that is new there.
 * Undefined for everything else that is put right.
 */
export function definedInFile(view: Reader, node: string, entry: Entry): Defined | undefined {
  if ('service' in entry) {
    const row = view.get(localServices, onNode(node, entry.service))?.row
    return row?.fromFile === true ? row : undefined
  }
  if (!('check' in entry)) return undefined
  const key = onNode(node, entry.check)
  const row = view.get(localChecks, key)?.row
  return row?.fromFile === true && view.get(checks, key) === undefined ? row : undefined
}

/** Removes a service that stands on the agent's node and that the agent knows nothing of. */
export function dropUnknownService(view: Reader, node: string, id: string): Op[] {
  const key = onNode(node, id)
  const isKnown = id === SELF_SERVICE || view.get(localServices, key) !== undefined
  return isKnown || view.get(services, key) === undefined ? [] : dropServiceOps(view, node, id)
}

/** Removes a check that stands on the agent's node and that the agent knows nothing of. */
export function dropUnknownCheck(view: Reader, node: string, id: string): Op[] {
  const key = onNode(node, id)
  const isKnown =
    id === SERF_HEALTH || id === DRAIN_CHECK || view.get(localChecks, key) !== undefined
  return isKnown || view.get(checks, key) === undefined ? [] : dropCheckOps(view, node, id)
}

/** Undoes what others wrote over a service of the agent. Tags may be theirs, where it says so. */
export function restoreService(view: Reader, node: string, id: string): Op[] {
  const key = onNode(node, id)
  const local = view.get(localServices, key)?.row
  if (local === undefined) return []
  const { enableTagOverride } = local.service
  const theirs = enableTagOverride ? view.get(services, key)?.row.tags : undefined
  if (theirs !== undefined) return adoptTags(view, node, id, theirs)
  return serviceOps(view, local.service, [])
}

/** Takes over tags that others set where the definition lets them. */
export function adoptTags(view: Reader, node: string, id: string, tags: readonly string[]): Op[] {
  const key = onNode(node, id)
  const local = view.get(localServices, key)?.row
  if (local === undefined || !local.service.enableTagOverride) return []
  const service = { ...local.service, tags }
  const txn: Op[] = []
  putIfChanged(view, localServices, key, { ...local, service }, txn)
  return [...txn, ...serviceOps(view, service, [])]
}

/**
 * Undoes what others wrote over a check of the agent; `now` is what the agent knows it says.
 * Outputs alone are written by their own clock, but for a check that was `heldBack` from that.
 */
export function restoreCheck(
  view: Reader,
  node: string,
  id: string,
  now: Said,
  heldBack = false,
): Op[] {
  const key = onNode(node, id)
  const local = view.get(localChecks, key)?.row.check
  if (local === undefined) return []
  if (isUnpublished(view, node, local.serviceId)) return []
  const known = view.get(checks, key)?.row
  const output = known?.agentOwned === true && !heldBack ? known.output : now.output
  const service = serviceOf(view, node, local.serviceId)
  return checkOps(view, rowOf(node, local, service, { status: now.status, output }))
}

/**
 * Hands a part of the definitions that a node kept under another name to its new one, and what
 * their checks said; the answer is whether there are more.
 */
export function moveLocal(view: Reader, from: string, to: string): Decision<{ more: boolean }> {
  const [next] = view.prefix(localServices, onNode(from, ''), 1)
  const loose = view.find(localChecks, 'instance', onNode(from, ''))
  const owned =
    next === undefined ? [] : view.find(localChecks, 'instance', onNode(from, next.row.service.id))
  const txn: Op[] = []
  for (const { row } of next === undefined ? loose : owned) {
    const { checkId } = row.check
    txn.push(...dropCheckOps(view, from, checkId))
    txn.push(put(localChecks, onNode(to, checkId), { ...row, node: to }))
    const known = view.get(checks, onNode(from, checkId))?.row
    if (known !== undefined) txn.push(put(checks, onNode(to, checkId), { ...known, node: to }))
  }
  if (next !== undefined) {
    const { id } = next.row.service
    const service = { ...next.row.service, node: to }
    txn.push(...dropServiceOps(view, from, id))
    txn.push(put(localServices, onNode(to, id), { ...next.row, node: to, service }))
    txn.push(put(services, onNode(to, id), service))
  }
  return { txn, answer: { more: next !== undefined } }
}

/** A check's entry in the catalog. What it asks is nobody's business: it may hold secrets. */
export function rowOf(
  node: string,
  check: LocalCheck,
  service: ServiceRow | undefined,
  { status, output }: Said,
): CheckRow {
  const { checkId, name, notes, serviceId, kind, definition } = check
  const none = serviceId === '' && kind !== MAINTENANCE ? '0s' : ''
  const print = (durationMs = 0): string => (durationMs === 0 ? none : formatDuration(durationMs))
  return {
    node,
    checkId,
    name,
    status,
    notes,
    output,
    serviceId,
    serviceName: service?.name ?? '',
    serviceTags: service?.tags ?? [],
    type: kind,
    interval: print(definition.intervalMs),
    timeout: print(definition.timeoutMs),
    definition: {},
    agentOwned: true,
  }
}

/** What the catalog has a check say; a new one is critical. */
function said(view: Reader, node: string, checkId: string): Said {
  const row = view.get(checks, onNode(node, checkId))?.row
  return row ?? { status: CheckStatus.critical, output: '' }
}

const serviceOf = (view: Reader, node: string, id: string): ServiceRow | undefined =>
  id === '' ? undefined : view.get(localServices, onNode(node, id))?.row.service

const ownAccess = (node: string, service: ServiceRow | undefined): Access =>
  service === undefined ? access('write', 'node', node) : access('write', 'service', service.name)

/** The right on whom an existing check belongs to; none for a new one. */
function holderAccess(view: Reader, node: string, checkId: string): Access[] {
  const holder = view.get(localChecks, onNode(node, checkId))?.row.check
  return holder === undefined ? [] : [ownAccess(node, serviceOf(view, node, holder.serviceId))]
}

const unknownService = (id: string): Refusal =>
  new Refusal(
    404,
    `Unknown service ID "${id}". Ensure that the service ID is passed, not the service name.`,
  )

const unknownCheck = (id: string): Refusal =>
  new Refusal(
    404,
    `Unknown check ID "${id}". Ensure that the check ID is passed, not the check name.`,
  )

/**
 * What the agent keeps registered. Writes resolve once they are durable; an answer that is a
 * Refusal changed nothing.
 */
export interface AgentPort {
  readonly node: string
  readonly nodeId: string
  readonly datacenter: string
  /** The services that the asker may see. */
  services(who: Who): readonly Cell<ServiceRow>[]
  /** The checks that the asker may see, with the newest that each says. */
  checks(who: Who): readonly CheckRow[]
  registerService(who: Who, request: ServiceRegistration): Promise<true | Refusal>
  deregisterService(who: Who, id: string): Promise<true | Refusal>
  registerCheck(who: Who, request: CheckRegistration): Promise<true | Refusal>
  deregisterCheck(who: Who, id: string): Promise<true | Refusal>
  /** What a client says of its own check. */
  updateTtl(who: Who, id: string, said: Said): Promise<true | Refusal>
  /** How soon a TTL check must be heard of again, in milliseconds; 0 for any other. */
  ttlMsOf(checkId: string): number
  /** Takes a service or the node out of service, or back. */
  setMaintenance(who: Who, request: Maintenance): Promise<true | Refusal>
}
