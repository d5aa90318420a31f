/**
 * The rules of prepared queries: create, change, delete, and their reads.
 *
 * Owns what a query may say and whose it is. A name is one query's alone and never another's id,
 * so that nobody can take a query over by naming one after it; a query that is bound to a session
 * ends with it (session.ts). Semantics follow Consul's prepared queries. Pure.
 */
import { type Bytes, fromText } from '../base/bytes.ts'
import { denied, mayOne, refuse } from '../base/denied.ts'
import { parseDurationMs } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Sealer } from '../base/sealer.ts'
import { isUuid } from '../base/uuid.ts'
import { type Access, access, principalOf, type Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import { type Decision, del, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { fold, scope } from '../store/tables/names.ts'
import { isTemplate, type QueryRow, queries } from '../store/tables/query.ts'
import type { Reader } from '../store/view.ts'
import { metaProblem } from './definition.ts'
import { templateProblem } from './query-template.ts'
import { sessionAt } from './session.ts'

/** A query as it is given; its id comes from elsewhere. */
export type QueryRequest = Omit<QueryRow, 'id'>

/** What stands in place of a token that is not to be seen. */
export const HIDDEN_TOKEN = '<hidden>'

const UUID_CHARS = 36

/** Whether a text has the form of an id. */
export const isQueryId = (text: string): boolean => isUuid(text.toLowerCase())

/** Why a text cannot be the id of a query; undefined when it can. */
function refuseId(id: string, what: string): Refusal | undefined {
  if (isQueryId(id)) return undefined
  const problem =
    id.length === UUID_CHARS ? 'invalid UUID' : `UUID must be ${UUID_CHARS} characters`
  return new Refusal(500, `${what}: index error: ${problem}`)
}

const idKey = (id: string): Bytes => fromText(id.toLowerCase())

/** Creates a query under a new id; the answer is that id. */
export function createQuery(
  view: Reader,
  who: Who,
  id: string,
  request: QueryRequest,
): Decision<string> | Refusal {
  const query = { id, ...request }
  return refuse(who, writing(query)) ?? putQuery(view, query)
}

/** Puts a query in the place of the one with its id. */
export function updateQuery(
  view: Reader,
  who: Who,
  id: string,
  request: QueryRequest,
): Decision<string> | Refusal {
  const query = { id: id.toLowerCase(), ...request }
  const refusal = refuse(who, writing(query)) ?? refuseChange(view, who, id)
  return refusal ?? putQuery(view, query)
}

/** Deletes a query; the answer is its id. */
export function deleteQuery(view: Reader, who: Who, id: string): Decision<string> | Refusal {
  const refusal = refuseChange(view, who, id)
  return refusal ?? { txn: [del(queries, idKey(id))], answer: id }
}

/** Why the query with an id may not be changed; undefined when it may. */
function refuseChange(view: Reader, who: Who, id: string): Refusal | undefined {
  const malformed = refuseId(id, 'Prepared Query lookup failed: failed prepared query lookup')
  if (malformed !== undefined) return malformed
  const existing = view.get(queries, idKey(id))
  if (existing === undefined) {
    return new Refusal(500, `Cannot modify non-existent prepared query: '${id}'`)
  }
  return refuse(who, writing(existing.row))
}

/** Queries with a name, and templates, are somebody's; for others it is enough to know the id. */
const isNamed = (query: QueryRow): boolean => query.name !== '' || isTemplate(query)
const writing = (query: QueryRow): readonly Access[] =>
  isNamed(query) ? [access('write', 'query', query.name)] : []

function putQuery(view: Reader, query: QueryRow): Decision<string> | Refusal {
  const problem = queryProblem(query)
  if (problem !== undefined) return new Refusal(500, `Invalid prepared query: ${problem}`)
  const failure = conflict(view, query) ?? templateProblem(query)
  if (failure !== undefined) return new Refusal(500, `raft apply failed: ${failure}`)
  return { txn: [put(queries, idKey(query.id), query)], answer: query.id }
}

/** What is wrong with a query by itself; undefined when nothing is. */
function queryProblem(query: QueryRow): string | undefined {
  const { service, dnsTtl, token } = query
  const { failover } = service
  if (!isNamed(query) && query.session === '') return 'Must be bound to a session'
  if (Buffer.byteLength(query.name) > limits.queryNameSizeBytes) {
    return `Name is too long (limit: ${limits.queryNameSizeBytes} bytes)`
  }
  if (token === HIDDEN_TOKEN) {
    const why = 'it looks like a query definition with a redacted token was submitted'
    return `Bad Token '${HIDDEN_TOKEN}', ${why}`
  }
  if (service.service === '') return 'Must provide a Service name to query'
  if (failover.nearestN < 0) return `Bad NearestN '${failover.nearestN}', must be >= 0`
  const isByDatacenter = failover.nearestN !== 0 || failover.datacenters.length > 0
  if (isByDatacenter && failover.targets.length > 0) {
    return 'Targets cannot be populated with NearestN or Datacenters'
  }
  const meta = metaProblem(service.nodeMeta, 'reserved keys too')
  if (meta !== undefined) return `Invalid NodeMeta: ${meta}`
  return ttlProblem(dnsTtl)
}

function ttlProblem(ttl: string): string | undefined {
  if (ttl === '') return undefined
  const ttlMs = parseDurationMs(ttl)
  const shown = ttl.slice(0, SHOWN_CHARS)
  if (ttlMs === undefined) return `Bad DNS TTL '${shown}': time: invalid duration "${shown}"`
  return ttlMs < 0 ? `DNS TTL '${ttlMs * 1e6}', must be >=0` : undefined
}

const SHOWN_CHARS = 64

/** What a query has in conflict with what is stored; undefined for nothing. */
function conflict(view: Reader, query: QueryRow): string | undefined {
  const { id, name, session } = query
  const [other] = isNamed(query) ? view.find(queries, 'name', fold(name), 1) : []
  if (other !== undefined && other.key !== idKey(id)) {
    if (name === '') return 'a query template with an empty name already exists'
    return `name '${name}' aliases an existing query name`
  }
  if (isQueryId(name) && view.get(queries, idKey(name)) !== undefined) {
    return `name '${name}' aliases an existing query ID`
  }
  if (session === '') return undefined
  const malformed = refuseId(session, 'failed session lookup')
  if (malformed !== undefined) return malformed.text
  return sessionAt(view, fromText(session)) === undefined
    ? `invalid session "${session}"`
    : undefined
}

// --- reads

/** Whether somebody may see all queries, and the tokens in them. Never a thing that is lacking. */
const mayManage = (who: Who): boolean => principalOf(who).may(access('write', 'acl'))

/** A query as somebody may see it: tokens are for those who may write them. */
export function shownQuery(who: Who, query: QueryRow, { open }: Sealer): QueryRow {
  if (query.token === '') return query
  return { ...query, token: mayManage(who) ? open(query.token) : HIDDEN_TOKEN }
}

const mayReadQuery = (who: Who, query: QueryRow): boolean =>
  mayOne(who, access('read', 'query', query.name), access('write', 'acl'))

/** Why somebody may not see what a query says. One without a name is for those who manage. */
export function refuseQueryReader(who: Who, query: QueryRow): Refusal | undefined {
  if (isNamed(query)) {
    return mayReadQuery(who, query) ? undefined : denied(who, access('read', 'query', query.name))
  }
  return mayManage(who) ? undefined : refuse(who, [access('write', 'acl')])
}

/** All queries that the asker may see, by their ids. */
export function allQueries(who: Who, sealer: Sealer): Question<Iterable<Cell<QueryRow>>> {
  return {
    key: 'queries',
    target: { scope: scope.queries },
    newest: view => view.newest(queries),
    *read(view) {
      for (const cell of view.entries(queries)) {
        // Without a name there is nothing to have a right on, and nothing is said to be left out.
        const maySee = isNamed(cell.row) ? mayReadQuery(who, cell.row) : mayManage(who)
        if (maySee) yield { ...cell, row: shownQuery(who, cell.row, sealer) }
      }
    },
  }
}

/** The query with an id, undefined when there is none, or why it is not told. */
export function queryById(
  who: Who,
  id: string,
  sealer: Sealer,
): Question<Cell<QueryRow> | undefined | Refusal> | Refusal {
  const malformed = refuseId(id, 'failed prepared query lookup')
  if (malformed !== undefined) return malformed
  const key = idKey(id)
  return {
    key: `query ${key}`,
    target: { table: queries.name, key },
    newest: view => view.get(queries, key)?.modRevision ?? view.newest(queries),
    read(view) {
      const cell = view.get(queries, key)
      if (cell === undefined) return undefined
      // Who knows the id of a query without a name may see it.
      const refusal = isNamed(cell.row) ? refuseQueryReader(who, cell.row) : undefined
      return refusal ?? { ...cell, row: shownQuery(who, cell.row, sealer) }
    },
  }
}
