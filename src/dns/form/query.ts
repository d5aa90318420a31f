/**
 * Prepared queries by their name or id.
 *
 * Which instances a query gives is the registry's; it decides alone about their health, so that
 * `only_passing` does not count here. Nearest first where the query wants that and it is known; an
 * answer stands on queries, health and coordinates at once, so it is made for each question.
 */
import { toText } from '../../base/bytes.ts'
import { parseDurationMs } from '../../base/duration.ts'
import type { Refusal } from '../../base/errors.ts'
import { seededRandom } from '../../base/prng.ts'
import { Caller, principalOf } from '../../base/who.ts'
import type { Near } from '../../registry/coordinate.ts'
import type { InstanceHealth } from '../../registry/health.ts'
import {
  nearestFirst,
  nearOf,
  queryInstances,
  resolveQuery,
  shuffled,
} from '../../registry/query-execute.ts'
import { isWithheld, queryInterest } from '../../registry/query-interest.ts'
import { serviceInterest } from '../../store/replica/kinds.ts'
import { isRefusal } from '../../store/store.ts'
import { scope } from '../../store/tables/names.ts'
import type { QueryRow } from '../../store/tables/query.ts'
import { TypeCode } from '../../wire/dns/mod.ts'
import { serviceTtlS } from '../config.ts'
import { type Answer, type Ask, defineDnsForm, joined, noAnswers } from './declare.ts'
import { answersOf, type Source } from './instances.ts'

export const queryForm = defineDnsForm<string>({
  name: 'query',
  pattern: '<name>.query, _<name>._<protocol>.query',
  examples: [
    { ask: 'saved.query.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    { ask: 'SAVED.query.dc1.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    {
      ask: 'saved.query.consul SRV',
      gives: ['SRV 1 1 8080 one.node.dc1.consul.', 'SRV 1 2 8081 0a010002.addr.dc1.consul.'],
    },
    {
      ask: '_saved._tcp.query.consul SRV',
      gives: ['SRV 1 1 8080 one.node.dc1.consul.', 'SRV 1 2 8081 0a010002.addr.dc1.consul.'],
    },
    { ask: 'passing.query.consul A', gives: 'A 10.0.0.1' },
    { ask: 'ignoring.query.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2', 'A 10.1.0.3'] },
    { ask: 'geo.web.query.consul A', gives: ['A 10.0.0.1', 'A 10.1.0.2'] },
    { ask: 'geo.six.query.consul AAAA', gives: 'AAAA fd00::6' },
    { ask: 'saved.query.consul AAAA', gives: 'NODATA' },
    { ask: 'down.query.consul A', gives: 'NXDOMAIN' },
    { ask: 'none.query.consul A', gives: 'NXDOMAIN' },
    { ask: 'saved.query.dc9.consul A', gives: 'NXDOMAIN' },
  ],
  parse({ kind, before }) {
    if (kind !== 'query' || before.length === 0) return undefined
    const [query, protocol] = before
    const isSrv = before.length === 2 && query!.startsWith('_') && protocol!.startsWith('_')
    return toText(isSrv ? query!.slice(1) : joined(before))
  },
  answer(name, ask) {
    const query = resolveQuery(ask.view, name)
    if (query === undefined || isRefusal(query)) {
      return { scope: scope.queries, answers: noAnswers(false) }
    }
    if (isWithheld(query)) return 'withheld'
    const seer = seerOf(query, ask)
    // A token that somebody left in the query and that is no more shows nothing.
    if (isRefusal(seer)) return { ...NOTHING, answers: noAnswers(false) }
    // Who asks by DNS asks through a resolver: its address says nothing of where he is.
    const near = nearOf('', query, { agentNode: ask.config.nodeName, ip: '' })
    const most = ask.typeCode === TypeCode.SRV ? 0 : ask.config.dns.aRecordLimit
    const found = { scope: undefined, isFleeting: true, most }
    if (near === undefined) {
      const instances = queryInstances(ask.view, seer, query)
      return { ...found, answers: answersOf(sourceOf(instances, query, ask), ask) }
    }
    const order = { isKnown: false }
    return {
      ...found,
      answers: nearestAnswers(query, { ...ask, who: seer }, near, order),
      isOrdered: () => order.isKnown,
    }
  },
  standsOn(name, { view }) {
    const query = resolveQuery(view, name)
    const isKnown = query !== undefined && !isRefusal(query)
    return [queryInterest(name), ...(isKnown ? [serviceInterest(query.service.service)] : [])]
  },
})

const NOTHING = { scope: undefined, isFleeting: true }

/** Who sees the instances of a query. What is lacking counts as the asker's. */
function seerOf(query: QueryRow, { who, seerOf }: Ask): Caller | Refusal {
  const seer = seerOf(query)
  if (isRefusal(seer) || seer === who) return isRefusal(seer) ? seer : who
  return new Caller(principalOf(seer), who.request, who.lacked)
}

const sourceOf = (instances: Iterable<InstanceHealth>, query: QueryRow, ask: Ask): Source => ({
  instances,
  port: undefined,
  ttlS: ttlOf(query, ask),
  isWell: () => true,
})

const SEED_SIZE_BYTES = 8

/** All instances are looked at first, step by step; then they are told, nearest first. */
function* nearestAnswers(
  query: QueryRow,
  ask: Ask,
  near: Near,
  order: { isKnown: boolean },
): Generator<Answer, boolean> {
  const found: InstanceHealth[] = []
  for (const instance of queryInstances(ask.view, ask.who, query)) {
    found.push(instance)
    yield undefined
  }
  const seed = Buffer.alloc(SEED_SIZE_BYTES)
  seed.writeDoubleBE(ask.nowS)
  const random = seededRandom(seed)
  const mixed = shuffled(found, () => random.fraction())
  const nearest = nearestFirst(ask.view, mixed, near)
  order.isKnown = nearest !== undefined
  return yield* answersOf(sourceOf(nearest ?? mixed, query, ask), ask)
}

/** The TTL in seconds: the query's, else that of answers about its service. */
function ttlOf({ dnsTtl, service }: QueryRow, { config }: Ask): number {
  if (dnsTtl === '') return serviceTtlS(config, service.service)
  return Math.floor((parseDurationMs(dnsTtl) ?? 0) / 1_000)
}
