/**
 * The rules of sessions: create, destroy, end by a failed check or a lapsed TTL; and their reads.
 *
 * Owns what ends with a session: its prepared queries go; its locks are released (or their keys
 * deleted) and cannot be taken again during the lock delay. Renewals are not stored; the
 * timekeeper holds the deadlines. Semantics follow Consul's session API. Pure.
 */
import { type Bytes, fromText } from '../base/bytes.ts'
import { denied } from '../base/denied.ts'
import { formatDuration, parseDurationMs } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Decision, del, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { CheckStatus, checks } from '../store/tables/check.ts'
import { kv } from '../store/tables/kv.ts'
import { fold, onNode, scope } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import { queries } from '../store/tables/query.ts'
import { lockDelays, type SessionRow, sessions } from '../store/tables/session.ts'
import type { Reader } from '../store/view.ts'
import { Budget } from './budget.ts'

/** A session as it is asked for; its texts are judged here. */
export type SessionRequest = Omit<SessionRow, 'id' | 'ttlMs' | 'behavior'> & {
  readonly behavior: string
}

/** Creates a session under `id`; the answer is that id. */
export function createSession(
  view: Reader,
  who: Who,
  id: string,
  request: SessionRequest,
  ttlMinMs: number,
): Decision<string> | Refusal {
  const wanted = access('write', 'session', request.node)
  if (!who.may(wanted)) return denied(who, wanted)
  const behavior = request.behavior === '' ? 'release' : request.behavior
  if (behavior !== 'release' && behavior !== 'delete') {
    return new Refusal(500, `Invalid Behavior setting '${behavior.slice(0, SHOWN_CHARS)}'`)
  }
  const ttlMs = readTtl(request.ttl, ttlMinMs)
  if (ttlMs instanceof Refusal) return ttlMs
  const node = view.get(nodes, fold(request.node))
  if (node === undefined || node.row.ending !== undefined) {
    return new Refusal(500, 'apply failed: Missing node registration')
  }
  for (const checkId of [...request.nodeChecks, ...request.serviceChecks.map(check => check.id)]) {
    const check = view.get(checks, onNode(request.node, checkId))
    if (check === undefined) {
      return new Refusal(500, `apply failed: Missing check '${checkId}' registration`)
    }
    if (check.row.status === CheckStatus.critical) {
      return new Refusal(500, `apply failed: Check '${checkId}' is in ${check.row.status} state`)
    }
  }
  const row: SessionRow = { ...request, id, behavior, ttlMs }
  return { txn: [put(sessions, id, row)], answer: id }
}

/** How much of a text that is not what it should be is told. */
const SHOWN_CHARS = 64

function readTtl(text: string, minMs: number): number | Refusal {
  if (text === '') return 0
  const ttlMs = parseDurationMs(text)
  if (ttlMs === undefined) {
    const shown = text.slice(0, SHOWN_CHARS)
    return new Refusal(500, `Session TTL '${shown}' invalid: time: invalid duration "${shown}"`)
  }
  if (ttlMs === 0 || (ttlMs >= minMs && ttlMs <= limits.sessionTtlMaxMs)) return ttlMs
  const range = [minMs, limits.sessionTtlMaxMs].map(formatDuration).join('=')
  return new Refusal(500, `Invalid Session TTL '${ttlMs * 1e6}', must be between [${range}]`)
}

/** Ends a session; true also when there is none. */
export function destroySession(view: Reader, who: Who, id: string): Decision<boolean> | Refusal {
  const session = sessionAt(view, fromText(id))
  if (session === undefined) return { txn: [], answer: true }
  const wanted = access('write', 'session', session.row.node)
  if (!who.may(wanted)) return denied(who, wanted)
  return { txn: endSessions(view, [session]), answer: true }
}

/** The session that somebody may renew. */
export function renewable(view: Reader, who: Who, id: string): Cell<SessionRow> | Refusal {
  const session = sessionAt(view, fromText(id))
  if (session === undefined) return new Refusal(404, `Session id '${id}' not found`)
  const wanted = access('write', 'session', session.row.node)
  return who.may(wanted) ? session : denied(who, wanted)
}

/** What a lapsed TTL does: ends the session if it is still there. */
export function lapseSession(view: Reader, id: string): Decision<boolean> {
  const session = sessionAt(view, id)
  if (session === undefined) return { txn: [], answer: false }
  return { txn: endSessions(view, [session]), answer: true }
}

/** A session that has not ended. */
export function sessionAt(view: Reader, id: Bytes): Cell<SessionRow> | undefined {
  const session = view.get(sessions, id)
  return session?.row.ending !== undefined ? undefined : session
}

/**
 * The operations that end sessions: queries and locks go, lock delays are set. Where that is more
 * than fits into the transaction a session is marked, and what goes with it follows (ending.ts).
 */
export function endSessions(
  view: Reader,
  ending: readonly Cell<SessionRow>[],
  budget = new Budget(),
): Op[] {
  const txn: Op[] = []
  for (const { row: session } of ending) {
    if (session.ending !== undefined) continue
    const parts = [...sessionParts(view, session, limits.endingOps + 1)].flat()
    const whole = [del(sessions, session.id), ...parts]
    const isSmall = whole.length <= limits.endingOps
    if (isSmall && budget.takes(whole)) txn.push(...whole)
    else txn.push(put(sessions, session.id, { ...session, ending: 'marked' }))
  }
  return txn
}

/** What goes with a session, in parts that belong together each; at most so many of a kind. */
export function* sessionParts(view: Reader, session: SessionRow, limit: number): Iterable<Op[]> {
  for (const { key } of view.find(queries, 'session', session.id, limit)) yield [del(queries, key)]
  const delayMs = Math.min(session.lockDelayMs, limits.lockDelayMaxMs)
  for (const { key, row } of view.find(kv, 'session', session.id, limit)) {
    const freed =
      session.behavior === 'delete' ? del(kv, key) : put(kv, key, { ...row, session: '' })
    yield delayMs === 0 ? [freed] : [freed, put(lockDelays, key, { delayMs })]
  }
}

/** The sessions that stand on a check of a node. */
export function sessionsOnCheck(view: Reader, node: string, checkId: string): Cell<SessionRow>[] {
  return view.find(sessions, 'check', onNode(node, checkId))
}

/** A session by its id, as a list of one or none; a principal without the right sees none. */
export function sessionById(who: Who, id: string): Question<Iterable<Cell<SessionRow>>> {
  return {
    key: `session ${id}`,
    target: { scope: scope.session(id) },
    newest: (view, scopes) => scopes.known(scope.session(id))?.revision ?? view.newest(sessions),
    read: view => readable(who, [view.get(sessions, fromText(id))]),
  }
}

/** The sessions of a node. */
export function sessionsOnNode(who: Who, node: string): Question<Iterable<Cell<SessionRow>>> {
  return {
    key: `node-sessions ${fold(node)}`,
    target: { scope: scope.nodeSessions(node) },
    newest: (view, scopes) =>
      scopes.known(scope.nodeSessions(node))?.revision ?? view.newest(sessions),
    read: view => readable(who, view.find(sessions, 'node', fold(node))),
  }
}

/** All sessions. */
export function allSessions(who: Who): Question<Iterable<Cell<SessionRow>>> {
  return {
    key: 'sessions',
    target: { scope: scope.sessions },
    newest: view => view.newest(sessions),
    read: view => readable(who, view.entries(sessions)),
  }
}

function* readable(
  who: Who,
  cells: Iterable<Cell<SessionRow> | undefined>,
): Iterable<Cell<SessionRow>> {
  for (const cell of cells) {
    if (cell === undefined || cell.row.ending !== undefined) continue
    if (who.may(access('read', 'session', cell.row.node))) yield cell
  }
}
