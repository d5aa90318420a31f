/**
 * What DNS does, in numbers.
 *
 * Owns the names: Consul's for how long queries take, ours for what came of them. Series are asked
 * for once, when they first have something to show; types and codes beyond a short list are one.
 */
import type { Counter, Metrics, Sample } from '../base/metrics.ts'
import { ANY_TYPE_CODE, type Rcode, TypeCode } from '../wire/dns/mod.ts'
import type { RecursorCounts } from './recursors.ts'

const OTHER = 'other'
const TYPES = new Map<number, string>([
  ...Object.entries(TypeCode).map(([name, code]) => [code, name] as const),
  [ANY_TYPE_CODE, 'ANY'],
])
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']
/** One row of answers by code, the last for all others. */
const ROW = RCODES.length + 1

/** A time that was not taken. */
export const UNTIMED = -1
/** Beyond all types, which have 16 bits. */
const OTHER_SLOT = 0x10000

interface TypeSeries {
  readonly type: string
  readonly query: Sample
  /** What the last one that was timed took. */
  lastMs: number
  readonly answers: (Counter | undefined)[]
}

export class Meter {
  readonly #metrics: Metrics
  readonly #node: string
  readonly #types = new Map<number, TypeSeries>()
  readonly #domain: Sample
  readonly #reverse: Sample
  readonly cut: { readonly udp: Counter; readonly tcp: Counter }
  /** Answers that the limit of a network held back. */
  readonly limited: Counter
  /** Answers that were not sent: the asker was too slow, or too many queries waited. */
  readonly dropped: Counter
  readonly recursors: RecursorCounts

  constructor(metrics: Metrics, node: string) {
    this.#metrics = metrics
    this.#node = node
    const labels = { node }
    this.#domain = metrics.sample('dns.domain_query', 'DNS queries about names, in ms', labels)
    this.#reverse = metrics.sample('dns.ptr_query', 'DNS queries about addresses, in ms', labels)
    const cutBy = (transport: string): Counter =>
      metrics.counter('dns.cut_answers', 'DNS answers that were not whole', { transport })
    this.cut = { udp: cutBy('udp'), tcp: cutBy('tcp') }
    const counter = (name: string, help: string): Counter => metrics.counter(`dns.${name}`, help)
    this.limited = counter('limited_answers', 'DNS answers held back by response_rate_limit')
    this.dropped = counter('dropped_answers', 'DNS answers that could not be sent')
    this.recursors = {
      asked: counter('recursor.queries', 'DNS questions put to recursors'),
      serverFailed: counter('recursor.server_failures', 'times that one recursor did not help'),
      failed: counter('recursor.failures', 'DNS questions that no recursor answered'),
      refused: counter('recursor.refusals', 'DNS questions refused, too many being under way'),
    }
  }

  /**
   * Counts an answer, or so many, and the time that it took; UNTIMED for one of which that is not
   * known, which is taken to have cost what the last one of its type did.
   */
  count(typeCode: number, rcode: Rcode | number, tookMs: number, answers = 1): void {
    const series = this.#types.get(typeCode) ?? this.#seriesOf(typeCode)
    if (tookMs !== UNTIMED) series.lastMs = tookMs
    series.query.add(series.lastMs, answers)
    const all = typeCode === TypeCode.PTR ? this.#reverse : this.#domain
    all.add(series.lastMs, answers)
    const at = Math.min(rcode, ROW - 1)
    const counter = series.answers[at] ?? this.#addAnswers(series, at)
    counter.add(1, answers)
  }

  /** The series of a type that is counted for the first time, or of one that is not told apart. */
  #seriesOf(typeCode: number): TypeSeries {
    const type = TYPES.get(typeCode) ?? OTHER
    const slot = type === OTHER ? OTHER_SLOT : typeCode
    const known = this.#types.get(slot)
    if (known !== undefined) return known
    const labels = { node: this.#node, type }
    const query = this.#metrics.sample('dns.query', 'DNS queries by type, in ms', labels)
    const series: TypeSeries = {
      type,
      query,
      lastMs: 0,
      answers: new Array(ROW).fill(undefined),
    }
    this.#types.set(slot, series)
    return series
  }

  #addAnswers({ type, answers }: TypeSeries, at: number): Counter {
    const labels = { type, rcode: RCODES[at] ?? OTHER }
    const counter = this.#metrics.counter('dns.answers', 'DNS answers by type and code', labels)
    answers[at] = counter
    return counter
  }
}
