/**
 * Executing prepared queries: which query a name means, and which instances it gives.
 *
 * Owns that choice, the filters of a query and the order of its answer. Other datacenters and peers
 * are not known here, so failover rules lead nowhere: those that they name are passed over, as
 * Consul does with unknown ones. Pure: the shuffle's randomness is handed in.
 */
import { fromText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Who } from '../base/who.ts'
import type { View } from '../store/ask.ts'
import type { Cell } from '../store/table.ts'
import { CheckStatus } from '../store/tables/check.ts'
import { addressValues, fold } from '../store/tables/names.ts'
import { isTemplate, type QueryRow, type QueryService, queries } from '../store/tables/query.ts'
import { hasMeta } from './catalog.ts'
import { distancesFrom, type Near } from './coordinate.ts'
import { type InstanceHealth, serviceHealth } from './health.ts'
import { isQueryId } from './query.ts'
import { renderTemplate } from './query-template.ts'

/** The query that an id or a name means, with its template rendered. */
export function resolveQuery(view: View, idOrName: string): QueryRow | undefined | Refusal {
  const found = queryMeant(view, idOrName)
  if (found === undefined || !isTemplate(found.row)) return found?.row
  if (found.isById) {
    const text = 'prepared query templates can only be resolved up by name, not by ID'
    return new Refusal(500, text)
  }
  return renderTemplate(found.row, idOrName)
}

/** The query that an id or a name means, as it is kept. */
export function queryMeant(
  view: View,
  idOrName: string,
): { readonly row: QueryRow; readonly cell: Cell<QueryRow>; readonly isById: boolean } | undefined {
  const byId = isQueryId(idOrName) ? view.get(queries, fromText(idOrName.toLowerCase())) : undefined
  if (byId !== undefined) return { row: byId.row, cell: byId, isById: true }
  if (view.count(queries) === 0) return undefined
  const name = fold(idOrName)
  const [exact] = name === '' ? [] : view.find(queries, 'name', name, 1)
  const cell = exact ?? templateOf(view, name)
  return cell && { row: cell.row, cell, isById: false }
}

/** The template with the longest name that a name begins with. */
function templateOf(view: View, name: string): Cell<QueryRow> | undefined {
  const [any] = view.values(queries, 'template')
  if (any === undefined) return undefined
  for (let end = Math.min(name.length, limits.queryNameSizeBytes); end >= 0; end--) {
    const [found] = view.find(queries, 'template', name.slice(0, end), 1)
    if (found !== undefined) return found
  }
  return undefined
}

/** The instances that a query gives, in the order of the catalog. */
export function* queryInstances(
  view: View,
  who: Who,
  { service }: QueryRow,
  isConnect = false,
): Iterable<InstanceHealth> {
  const tags = service.tags.map(tag => tag.toLowerCase())
  const wanted = {
    tags: tags.filter(tag => !tag.startsWith('!')),
    meta: Object.entries(service.nodeMeta),
    passing: false,
  }
  const unwanted = new Set(tags.filter(tag => tag.startsWith('!')).map(tag => tag.slice(1)))
  const serviceMeta = Object.entries(service.serviceMeta)
  for (const instance of serviceHealth(who, service.service, wanted).read(view)) {
    const { row } = instance.service
    if (!isWell(instance, service)) continue
    // There are no proxies: what speaks the mesh's TLS itself is all that can be connected to.
    if ((service.connect || isConnect) && !row.connectNative) continue
    if (unwanted.size > 0 && row.tags.some(tag => unwanted.has(tag.toLowerCase()))) continue
    if (hasMeta(row.meta, serviceMeta)) yield instance
  }
}

/** Warnings are well enough unless the query says otherwise; some checks may not count. */
function isWell({ checks }: InstanceHealth, { onlyPassing, ignoreCheckIds }: QueryService) {
  return checks.every(({ row }) => {
    if (ignoreCheckIds.includes(row.checkId)) return true
    return onlyPassing ? row.status === CheckStatus.passing : row.status !== CheckStatus.critical
  })
}

/** Who asks, for queries that want what is near to that. */
export interface QuerySource {
  /** The node of the agent that is asked. */
  readonly agentNode: string
  /** The address that the question came from. */
  readonly ip: string
}

/** What an answer is to be near to: what was asked for, else what the query says. */
export function nearOf(asked: string, query: QueryRow, source: QuerySource): Near | undefined {
  const wanted = asked === '' ? query.service.near : asked
  if (wanted === '') return undefined
  if (wanted === '_agent') return { node: source.agentNode }
  return wanted === '_ip' ? { address: source.ip } : { node: wanted }
}

/** In random order; nearest first where that is known, and the near node itself before all. */
export function orderInstances(
  view: View,
  given: Iterable<InstanceHealth>,
  near: Near | undefined,
  fraction: () => number,
): readonly InstanceHealth[] {
  const instances = shuffled(given, fraction)
  return near === undefined ? instances : (nearestFirst(view, instances, near) ?? instances)
}

/** In random order. */
export function shuffled(
  given: Iterable<InstanceHealth>,
  fraction: () => number,
): readonly InstanceHealth[] {
  const instances = [...given]
  for (let last = instances.length - 1; last > 0; last--) {
    const other = Math.floor(fraction() * (last + 1))
    const moved = instances[last]!
    instances[last] = instances[other]!
    instances[other] = moved
  }
  return instances
}

/**
 * Nearest first, the near node itself before all, those that nothing is known of last and in the
 * order in which they were given. Undefined where nothing is known of any.
 */
export function nearestFirst(
  view: View,
  instances: readonly InstanceHealth[],
  near: Near,
): readonly InstanceHealth[] | undefined {
  const isNear = nearTest(near)
  const distance = distancesFrom(view, near)
  const rank = new Map(
    instances.map(one => [
      one,
      isNear(one) ? -1 : (distance?.(one.node.row.node) ?? Number.POSITIVE_INFINITY),
    ]),
  )
  if (![...rank.values()].some(Number.isFinite)) return undefined
  return instances.toSorted((a, b) => byNumber(rank.get(a)!, rank.get(b)!))
}

/** Infinities are equal. */
const byNumber = (a: number, b: number): number => (a === b ? 0 : a - b)

const nearTest = (near: Near): ((instance: InstanceHealth) => boolean) => {
  if ('address' in near) {
    const [address] = addressValues(near.address)
    return ({ node }) => address !== undefined && addressValues(node.row.address)[0] === address
  }
  const name = fold(near.node)
  return ({ node }) => node.key === name
}
