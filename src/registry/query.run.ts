/**
 * Prepared queries as faces see them: kept in the store, executed on its view.
 *
 * Owns joining the pure rules of queries with store and randomness; holds no state and no rule.
 */
import type { Random } from '../base/clock.ts'
import { refuse } from '../base/denied.ts'
import type { Refusal } from '../base/errors.ts'
import { inSlices } from '../base/slices.ts'
import { access, type Who } from '../base/who.ts'
import type { View } from '../store/ask.ts'
import { isRefusal, type Store } from '../store/store.ts'
import type { QueryRow } from '../store/tables/query.ts'
import type { DecideFor, Writer } from '../store/writer.ts'
import type { InstanceHealth } from './health.ts'
import { createQuery, deleteQuery, type QueryRequest, shownQuery, updateQuery } from './query.ts'
import { nearOf, orderInstances, queryInstances, resolveQuery } from './query-execute.ts'

export interface QueriesOptions {
  readonly store: Store
  readonly writer: Writer
  readonly random: Random
  /** The agent's own node. */
  readonly node: string
}

/** How a query is to be executed. */
export interface QueryOptions {
  /** Whether the view may be older than the last write. */
  readonly isStale: boolean
  /** What it is to be near to instead of what the query says; '' for that. */
  readonly near: string
  /** The address of whoever asks. */
  readonly sourceIp: string
  readonly isConnect: boolean
  /** At most so many instances; 0 for all. */
  readonly limit: number
}

export interface Executed {
  readonly query: QueryRow
  readonly instances: readonly InstanceHealth[]
}

export class Queries {
  readonly #options: QueriesOptions

  constructor(options: QueriesOptions) {
    this.#options = options
  }

  create(who: Who, request: QueryRequest): Promise<string | Refusal> {
    return this.#write(who, (view, by, _now, random) =>
      createQuery(view, by, random.uuid(), request),
    )
  }

  update(who: Who, id: string, request: QueryRequest): Promise<string | Refusal> {
    return this.#write(who, (view, by) => updateQuery(view, by, id, request))
  }

  delete(who: Who, id: string): Promise<string | Refusal> {
    return this.#write(who, (view, by) => deleteQuery(view, by, id))
  }

  async #write(who: Who, decide: DecideFor<string>): Promise<string | Refusal> {
    const written = await this.#options.writer.write(who, decide)
    return isRefusal(written) ? written : written.answer
  }

  /** The instances that a query gives now, in the order in which they should be used. */
  async execute(
    who: Who,
    idOrName: string,
    { isStale, near, sourceIp, isConnect, limit }: QueryOptions,
  ): Promise<Executed | Refusal | undefined> {
    const view = await this.#view(isStale)
    const query = resolveQuery(view, idOrName)
    if (query === undefined || isRefusal(query)) return query
    const source = { agentNode: this.#options.node, ip: sourceIp }
    const found: InstanceHealth[] = []
    await inSlices(queryInstances(view, who, query, isConnect), instance => found.push(instance))
    const wanted = nearOf(near, query, source)
    const fraction = (): number => this.#options.random.fraction()
    const instances = orderInstances(view, found, wanted, fraction)
    return { query, instances: limit > 0 ? instances.slice(0, limit) : instances }
  }

  /** The query that a name means, rendered. */
  async explain(
    who: Who,
    idOrName: string,
    isStale: boolean,
  ): Promise<QueryRow | Refusal | undefined> {
    const query = resolveQuery(await this.#view(isStale), idOrName)
    if (query === undefined || isRefusal(query)) return query
    return refuse(who, [access('read', 'query', query.name)]) ?? shownQuery(who, query)
  }

  async #view(isStale: boolean): Promise<View> {
    const { store } = this.#options
    if (!isStale) await store.readIndex()
    return store.view() as View
  }
}
