/**
 * The rules by which an agent that is no server keeps its node's entries in the catalog right.
 *
 * Owns what such an agent may write for whom, and what becomes of entries that others took from it
 * (`removals`). An agent is known by its certificate: what it put on its own node it may remove, as
 * its own API decided about that already; what it puts there takes the rights of the token that the
 * definition came with. Semantics follow Consul's anti-entropy, but for removals. Pure.
 */

import { refuse } from '../base/denied.ts'
import { same } from '../base/equal.ts'
import type { Refusal } from '../base/errors.ts'
import { ORIGIN } from '../base/vivaldi.ts'
import { type Access, access, everybody, type Who } from '../base/who.ts'
import { type Decision, del, type Event, isRefusal, type Op, put } from '../store/store.ts'
import { type CheckRow, checks } from '../store/tables/check.ts'
import { coordinates } from '../store/tables/coordinate.ts'
import { onRemoved, type RemovalRow, removals } from '../store/tables/local.ts'
import { fold, onNode, underNode } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import { type ServiceRow, services } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'
import type { Defined } from './asked.ts'
import {
  checkOps,
  dropCheckOps,
  dropNodeOps,
  dropServiceOps,
  register,
  SERF_HEALTH,
  serviceOps,
} from './catalog.ts'
import { healthOf } from './self.ts'

/**
 * An entry as the agent has it. `isFresh`: a client registered it since the agent was last told
 * that it stands; then it is newer than any removal.
 */
export type SyncEntry =
  | { readonly service: ServiceRow; readonly isFresh: boolean }
  | { readonly check: CheckRow; readonly isFresh: boolean }
  | { readonly goneService: string }
  | { readonly goneCheck: string }

/** What became of an entry. */
export type SyncOutcome =
  /** It stands; with other tags where the definition lets others set them. */
  | { readonly kind: 'stands'; readonly tags: readonly string[] | undefined }
  /** Somebody deregistered it: the agent's definition is to go too. */
  | { readonly kind: 'removed' }
  /** Left as it was: whoever it is written for lacks a right, or it cannot be so. */
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }

/** Puts the agent's node, as its certificate entitles it to. */
export function announceAgent(view: Reader, node: NodeRow): Decision<true> | Refusal {
  const health = onNode(node.node, SERF_HEALTH)
  const registered = register(view, everybody, {
    node,
    skipNodeUpdate: false,
    service: undefined,
    // Whether it is alive is told by others once it is known.
    checks: view.get(checks, health) === undefined ? [healthOf(node.node)] : [],
  })
  if (isRefusal(registered)) return registered
  const txn = [...registered.txn]
  if (view.get(coordinates, fold(node.node)) === undefined) {
    txn.push(put(coordinates, fold(node.node), { node: node.node, coordinate: ORIGIN }))
  }
  return { txn, answer: true }
}

/** Puts an entry of a node right for whoever publishes it. */
export function syncEntry(
  view: Reader,
  who: Who,
  node: string,
  entry: SyncEntry,
): Decision<SyncOutcome> {
  const { ops, outcome } = syncOne(view, who, node, entry)
  return { txn: ops, answer: outcome }
}

/** What an entry registers, if only again; undefined for the state of a check, or what is gone. */
export function definedBy(view: Reader, node: string, entry: SyncEntry): Defined | undefined {
  if ('service' in entry) return entry
  if (!('check' in entry)) return undefined
  const { check, isFresh } = entry
  const known = view.get(checks, onNode(node, check.checkId))?.row
  const isNew = known === undefined || known.name !== check.name || known.notes !== check.notes
  return isFresh || isNew ? entry : undefined
}

interface Synced {
  readonly ops: readonly Op[]
  readonly outcome: SyncOutcome
}

const STANDS: SyncOutcome = { kind: 'stands', tags: undefined }
const REMOVED: SyncOutcome = { kind: 'removed' }
const refusedBy = ({ status, text }: Refusal): Synced => ({
  ops: [],
  outcome: { kind: 'refused', status, text },
})

function syncOne(view: Reader, who: Who, node: string, entry: SyncEntry): Synced {
  if ('service' in entry) return syncService(view, who, node, entry)
  if ('check' in entry) return syncCheck(view, who, node, entry)
  return 'goneService' in entry
    ? dropEntry(view, who, node, 'service', entry.goneService)
    : dropEntry(view, who, node, 'check', entry.goneCheck)
}

function syncService(
  view: Reader,
  who: Who,
  node: string,
  { service: given, isFresh }: { service: ServiceRow; isFresh: boolean },
): Synced {
  const key = onNode(node, given.id)
  const existing = view.get(services, key)?.row
  const removal = onRemoved(node, 'service', given.id)
  const isTaken = view.get(removals, removal) !== undefined
  if (isTaken && !isFresh) return { ops: [], outcome: REMOVED }
  const names = new Set([given.name, existing?.name ?? given.name])
  const refusal = refuse(
    who,
    [...names].map(name => access('write', 'service', name)),
  )
  if (refusal !== undefined) return refusedBy(refusal)
  const isForeign = given.enableTagOverride && !isFresh && existing !== undefined
  const tags = isForeign && !same(existing.tags, given.tags) ? existing.tags : undefined
  const service = { ...given, node, agentOwned: true, tags: tags ?? given.tags }
  const cleared = isTaken ? [del(removals, removal)] : []
  return { ops: [...cleared, ...serviceOps(view, service, [])], outcome: { kind: 'stands', tags } }
}

function syncCheck(
  view: Reader,
  who: Who,
  node: string,
  { check: given, isFresh }: { check: CheckRow; isFresh: boolean },
): Synced {
  const removal = onRemoved(node, 'check', given.checkId)
  const isTaken = view.get(removals, removal) !== undefined
  if (isTaken && !isFresh) return { ops: [], outcome: REMOVED }
  const service =
    given.serviceId === '' ? undefined : view.get(services, onNode(node, given.serviceId))?.row
  // It comes with its service, or goes with it: that one's entry says which.
  if (given.serviceId !== '' && service === undefined) return { ops: [], outcome: STANDS }
  const existing = view.get(checks, onNode(node, given.checkId))?.row
  const refusal = refuse(who, checkAccess(node, service, existing))
  if (refusal !== undefined) return refusedBy(refusal)
  const { name = '', tags = [] } = service ?? {}
  const check = { ...given, node, agentOwned: true, serviceName: name, serviceTags: tags }
  const cleared = isTaken ? [del(removals, removal)] : []
  return { ops: [...cleared, ...checkOps(view, check)], outcome: STANDS }
}

/** The right on whom a check is of, and on whom the one is whose place it takes. */
function checkAccess(
  node: string,
  service: ServiceRow | undefined,
  existing: CheckRow | undefined,
): Access[] {
  const names = new Set([service?.name ?? '', existing?.serviceName ?? service?.name ?? ''])
  return [...names].map(name =>
    name === '' ? access('write', 'node', node) : access('write', 'service', name),
  )
}

/** What the agent keeps no more. What was never its own takes the right on the node. */
function dropEntry(
  view: Reader,
  who: Who,
  node: string,
  what: RemovalRow['what'],
  id: string,
): Synced {
  const key = onNode(node, id)
  const row = (what === 'service' ? view.get(services, key) : view.get(checks, key))?.row
  const refusal =
    row === undefined || row.agentOwned ? undefined : refuse(who, [access('write', 'node', node)])
  if (refusal !== undefined) return refusedBy(refusal)
  const removal = onRemoved(node, what, id)
  const cleared = view.get(removals, removal) === undefined ? [] : [del(removals, removal)]
  if (row === undefined) return { ops: cleared, outcome: STANDS }
  const drop = what === 'service' ? dropServiceOps : dropCheckOps
  return { ops: [...cleared, ...drop(view, node, id)], outcome: STANDS }
}

/** What stands on a node, or is noted of it, that its agent does not know. */
export function strangersOn(
  view: Reader,
  node: string,
  known: { readonly services: ReadonlySet<string>; readonly checks: ReadonlySet<string> },
): SyncEntry[] {
  const under = underNode(node)
  const gone: SyncEntry[] = []
  for (const { row } of view.prefix(services, under)) {
    if (!known.services.has(row.id)) gone.push({ goneService: row.id })
  }
  for (const { row } of view.prefix(checks, under)) {
    const { checkId } = row
    if (checkId !== SERF_HEALTH && !known.checks.has(checkId)) gone.push({ goneCheck: checkId })
  }
  for (const { row } of view.prefix(removals, under)) {
    const isService = row.what === 'service'
    if (isService && !known.services.has(row.id)) gone.push({ goneService: row.id })
    if (!isService && !known.checks.has(row.id)) gone.push({ goneCheck: row.id })
  }
  return gone
}

/** Removes an agent's node with all that is on it, as the agent leaves. */
export function removeAgent(view: Reader, node: string, nodeId: string): Decision<boolean> {
  const isOurs = view.get(nodes, fold(node))?.row.id === nodeId
  return { txn: isOurs ? dropNodeOps(view, node) : [], answer: isOurs }
}

/**
 * Whether an event is one that others made on an agent's node: they took something away, put
 * something there, or removed the node itself. Whose node it is, or undefined.
 */
export function driftBy({ table, before, after }: Event): string | undefined {
  const row = (after ?? before)?.row as { node: string } | undefined
  if (row === undefined) return undefined
  if (table === removals) return after === undefined ? undefined : row.node
  if (table === nodes) return after === undefined ? row.node : undefined
  if (table !== services && table !== checks) return undefined
  const { agentOwned, checkId } = row as Partial<CheckRow> & { node: string }
  const isForeign = after !== undefined && agentOwned === false && checkId !== SERF_HEALTH
  return isForeign ? row.node : undefined
}
