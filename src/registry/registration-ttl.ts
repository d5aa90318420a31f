/**
 * The rules of registrations that end by time: a check of the catalog whose definition has a TTL
 * must be registered again within it.
 *
 * Owns which checks those are, and what happens to those that nobody registered again: critical at
 * first, then gone with what they stand for. Renewals are not stored; the timekeeper holds the
 * deadlines. Checks of an agent's own definitions are the agent's. Pure.
 */
import type { Bytes } from '../base/bytes.ts'
import { denied } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import { type Decision, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { onNode } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { checkOps, dropCheckOps, dropNodeOps, dropServiceOps, SERF_HEALTH } from './catalog.ts'

/** What a check says that nobody registered again in time. */
export const LAPSED = 'TTL expired'

/** How long a check of the catalog lives after it was registered; 0 for ever. */
export function registrationTtlMs({ agentOwned, definition: { ttlMs = 0 } }: CheckRow): number {
  return agentOwned || ttlMs <= 0 ? 0 : Math.max(ttlMs, limits.registrationTtlMinMs)
}

/** Turns a check critical that was not registered again. */
export function lapseCheck(view: Reader, key: Bytes): Decision<boolean> {
  const row = view.get(checks, key)?.row
  if (row === undefined) return { txn: [], answer: false }
  const lapsed = { ...row, status: CheckStatus.critical, output: LAPSED }
  return { txn: checkOps(view, lapsed), answer: true }
}

/**
 * Removes what a check stands for that stayed critical: its service; for one of the node, the whole
 * node. A node that an agent lives on loses the check alone.
 */
export function dropLapsed(view: Reader, key: Bytes): Decision<boolean> {
  const row = view.get(checks, key)?.row
  return row === undefined
    ? { txn: [], answer: false }
    : { txn: holderOps(view, row), answer: true }
}

function holderOps(view: Reader, { node, checkId, serviceId }: CheckRow): Op[] {
  if (serviceId !== '') return dropServiceOps(view, node, serviceId)
  const hasAgent = view.get(checks, onNode(node, SERF_HEALTH)) !== undefined
  return hasAgent ? dropCheckOps(view, node, checkId) : dropNodeOps(view, node)
}

/**
 * Renews a check by writing it as it was: for a server that does not keep the time itself, and
 * against an end that is under way. What others made of the check meanwhile stands.
 */
export function rewriteCheck(view: Reader, known: Cell<CheckRow>): Decision<boolean> {
  const { key, row, modRevision } = known
  const now = view.get(checks, key)
  if (now === undefined) return { txn: [], answer: false }
  const isOurs = now.modRevision === modRevision || isLapsed(now.row)
  return { txn: isOurs ? [put(checks, key, row)] : [], answer: isOurs }
}

/** What somebody says of a check that he keeps alive. */
export interface Heartbeat {
  readonly node: string
  readonly checkId: string
  /** Undefined: what it says, and passing where its time had run out. */
  readonly status: CheckStatus | undefined
  /** Said beside a status. */
  readonly output: string
}

/** The check that a heartbeat is about, if it is one that can be kept alive by whoever asks. */
export function beatenCheck(
  view: Reader,
  who: Who,
  { node, checkId }: Pick<Heartbeat, 'node' | 'checkId'>,
): Cell<CheckRow> | Refusal {
  if (node === '') return new Refusal(400, 'Missing node name')
  if (checkId === '') return new Refusal(400, 'Missing check ID')
  const found = view.get(checks, onNode(node, checkId))
  if (found === undefined) {
    return new Refusal(404, `Unknown check '${checkId}' on node '${node}'`)
  }
  const { serviceName } = found.row
  const wanted =
    serviceName === '' ? access('write', 'node', node) : access('write', 'service', serviceName)
  if (!who.may(wanted)) return denied(who, wanted)
  if (found.row.agentOwned) {
    return new Refusal(400, `Check '${checkId}' is run by the agent of its node`)
  }
  if (registrationTtlMs(found.row) === 0) {
    return new Refusal(400, `Check '${checkId}' has no TTL`)
  }
  return found
}

/** A check as it is after a heartbeat; the row itself where that changes nothing. */
export function afterBeat(row: CheckRow, { status, output }: Heartbeat): CheckRow {
  if (status === undefined) {
    return isLapsed(row) ? { ...row, status: CheckStatus.passing, output: '' } : row
  }
  return status === row.status && output === row.output ? row : { ...row, status, output }
}

/**
 * Writes what a heartbeat says; one that changes nothing starts the check's time over all the same.
 */
export function beatCheck(view: Reader, who: Who, beat: Heartbeat): Decision<true> | Refusal {
  const found = beatenCheck(view, who, beat)
  if (found instanceof Refusal) return found
  const row = afterBeat(found.row, beat)
  const txn = row === found.row ? [put(checks, found.key, row)] : checkOps(view, row)
  return { txn, answer: true }
}

const isLapsed = ({ status, output }: CheckRow): boolean =>
  status === CheckStatus.critical && output === LAPSED
