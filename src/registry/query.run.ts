/**
 * Prepared queries as faces see them: kept in the store, executed on its view.
 *
 * Owns joining the pure rules of queries with store and randomness; holds no state and no rule.
 */
import type { Random } from '../base/clock.ts'
import type { Refusal } from '../base/errors.ts'
import type { Sealer } from '../base/sealer.ts'
import { inSlices } from '../base/slices.ts'
import { type Authority, isAnonymous, Lacked, type Who } from '../base/who.ts'
import type { View } from '../store/ask.ts'
import { isRefusal, type Store } from '../store/store.ts'
import type { QueryRow } from '../store/tables/query.ts'
import type { DecideFor, Writer } from '../store/writer.ts'
import type { InstanceHealth } from './health.ts'
import {
  allQueries,
  createQuery,
  deleteQuery,
  HIDDEN_TOKEN,
  type QueryRequest,
  queryById,
  refuseQueryReader,
  shownQuery,
  updateQuery,
} from './query.ts'
import { nearOf, orderInstances, queryInstances, resolveQuery } from './query-execute.ts'

export interface QueriesOptions {
  readonly store: Store
  readonly writer: Writer
  readonly random: Random
  /** The agent's own node. */
  readonly node: string
  /** Whom a token stands for that somebody left in a query. */
  readonly authority: Pick<Authority, 'authenticate'>
  readonly sealer: Sealer
}

/** How a query is to be executed. */
export interface QueryOptions {
  /** Whether the view may be older than the last write. */
  readonly isStale: boolean
  /** What it is to be near to instead of what the query says; '' for that. */
  readonly near: string
  /** The address of whoever asks. */
  readonly sourceIp: string
  /** The node of the agent that was asked, where that is another one than this. */
  readonly agentNode?: string | undefined
  readonly isConnect: boolean
  /** At most so many instances; 0 for all. */
  readonly limit: number
}

export interface Executed {
  readonly query: QueryRow
  readonly instances: readonly InstanceHealth[]
  /** Whether instances were left out that the asker, or the query's own token, may not see. */
  readonly isFiltered: boolean
}

export class Queries {
  readonly #options: QueriesOptions

  constructor(options: QueriesOptions) {
    this.#options = options
  }

  create(who: Who, request: QueryRequest): Promise<string | Refusal> {
    const sealed = this.#sealed(request)
    return this.#write(who, (view, by, _now, random) =>
      createQuery(view, by, random.uuid(), sealed),
    )
  }

  update(who: Who, id: string, request: QueryRequest): Promise<string | Refusal> {
    const sealed = this.#sealed(request)
    return this.#write(who, (view, by) => updateQuery(view, by, id, sealed))
  }

  /** What is kept of a request: its token is nobody's to read in the store. */
  #sealed(request: QueryRequest): QueryRequest {
    const { token } = request
    if (token === '' || token === HIDDEN_TOKEN) return request
    return { ...request, token: this.#options.sealer.seal(token) }
  }

  delete(who: Who, id: string): Promise<string | Refusal> {
    return this.#write(who, (view, by) => deleteQuery(view, by, id))
  }

  async #write(who: Who, decide: DecideFor<string>): Promise<string | Refusal> {
    const written = await this.#options.writer.write(who, decide)
    return isRefusal(written) ? written : written.answer
  }

  /** All queries that the asker may see. */
  all(who: Who): ReturnType<typeof allQueries> {
    return allQueries(who, this.#options.sealer)
  }

  /** The query with an id. */
  byId(who: Who, id: string): ReturnType<typeof queryById> {
    return queryById(who, id, this.#options.sealer)
  }

  /**
   * Who is to see the instances of a query: whoever asks, unless somebody left a token in it. Then
   * it is that token's principal, or the refusal of a token that is no more.
   */
  seerOf(who: Who, { token }: QueryRow): Who | Refusal {
    const { authority, sealer } = this.#options
    return token === '' ? who : authority.authenticate(sealer.open(token))
  }

  /** The instances that a query gives now, in the order in which they should be used. */
  async execute(
    who: Who,
    idOrName: string,
    { isStale, near, sourceIp, agentNode, isConnect, limit }: QueryOptions,
  ): Promise<Executed | Refusal | undefined> {
    const view = await this.#view(isStale)
    const query = resolveQuery(view, idOrName)
    if (query === undefined || isRefusal(query)) return query
    const source = { agentNode: agentNode ?? this.#options.node, ip: sourceIp }
    const found: InstanceHealth[] = []
    const seer = this.seerOf(who, query)
    if (isRefusal(seer)) return seer
    const lacked = new Lacked()
    const noting = notedIn(lacked, seer)
    await inSlices(queryInstances(view, noting, query, isConnect), instance => found.push(instance))
    const wanted = nearOf(near, query, source)
    const fraction = (): number => this.#options.random.fraction()
    const instances = orderInstances(view, found, wanted, fraction)
    return {
      query,
      instances: limit > 0 ? instances.slice(0, limit) : instances,
      isFiltered: lacked.count > 0 && !isAnonymous(who),
    }
  }

  /** The query that a name means, rendered. */
  async explain(
    who: Who,
    idOrName: string,
    isStale: boolean,
  ): Promise<QueryRow | Refusal | undefined> {
    const query = resolveQuery(await this.#view(isStale), idOrName)
    if (query === undefined || isRefusal(query)) return query
    return refuseQueryReader(who, query) ?? shownQuery(who, query, this.#options.sealer)
  }

  async #view(isStale: boolean): Promise<View> {
    const { store } = this.#options
    if (!isStale) await store.readIndex()
    return store.view() as View
  }
}

/** The same principal, whose lacks are counted. */
const notedIn = (lacked: Lacked, who: Who): Who => ({
  ...{ accessor: who.accessor, rights: who.rights },
  may(wanted) {
    const isAllowed = who.may(wanted)
    if (!isAllowed) lacked.add(wanted)
    return isAllowed
  },
})
