/**
 * Cold rows in etcd: read from there each time, since no server holds them.
 *
 * Owns the reads. They are linearizable, also over a restore that this server has not heard of yet:
 * each compares the generation, and what was cleared is read with the rows. Of a range that takes
 * more than one read all are of one revision. Never writes.
 */
import { type MonotonicMs, monotonicMs, revision } from '../../base/brand.ts'
import { fromBuffer, toBuffer } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import {
  type Breathe,
  type Clear,
  type ColdRange,
  type ColdSource,
  clearOf,
  clearsIn,
  coldClears,
  type FoundCold,
  proveTable,
  type StoredCold,
} from '../cold.ts'
import type { AnyTable } from '../table.ts'
import type { Reader, Version } from '../view.ts'
import { type KeyValue, type RangeRequest, toStoreError } from './client.ts'
import { unmoved } from './draft.ts'
import type { Follower } from './follower.ts'
import type { Generation } from './generation.ts'
import { type Span, spanOf } from './keys.ts'
import { FIRST_PAGE_ROWS, nextPage } from './load.ts'
import { patiently } from './patience.ts'
import type { Place } from './restore.ts'

/** Cold rows as they are now. */
export class EtcdCold implements ColdSource {
  readonly knowsSizes = false
  readonly #place: Place
  readonly #follower: Follower

  constructor(place: Place, follower: Follower) {
    this.#place = place
    this.#follower = follower
  }

  /** Whether each can be read: that none is missing is etcd's to know. */
  async prove(breathe: Breathe): Promise<number> {
    const cold = this.#place.tables.all.filter(({ isCold }) => isCold)
    let count = 0
    for (const table of cold) count += await proveTable(this, table, breathe)
    return count
  }

  async read(table: AnyTable, range: ColdRange): Promise<FoundCold> {
    const { clock } = this.#place
    const untilMs = monotonicMs(clock.monotonic() + limits.etcdAnswerTimeoutMs)
    try {
      for (;;) {
        // What contradicts itself is not read as the newest either.
        if (this.#follower.fault !== undefined) throw this.#follower.fault
        const found = await this.#inGeneration(this.#follower.generation, table, range, untilMs)
        if (typeof found !== 'number') return found
        await this.#follower.reached(found, untilMs - clock.monotonic())
      }
    } catch (error) {
      throw toStoreError(error)
    }
  }

  /** What is there; or, after a restore, the revision that the view must show first. */
  async #inGeneration(
    generation: Generation,
    table: AnyTable,
    range: ColdRange,
    untilMs: MonotonicMs,
  ): Promise<FoundCold | number> {
    const { etcd, keys, clock } = this.#place
    const key = toBuffer(keys.generation)
    const cleared = spanOf(`${keys.rowPrefix(generation.number)}${coldClears.prefix}${table.name}/`)
    const clearing = { key: cleared.from, rangeEnd: cleared.to, keysOnly: true }
    const { header, succeeded, responses } = await patiently(clock, untilMs, () =>
      etcd.txn({
        compare: [unmoved(key, generation.revision)],
        success: [{ requestRange: this.#firstPage(generation, range) }, { requestRange: clearing }],
        failure: [{ requestRange: { key, keysOnly: true } }],
      }),
    )
    const [first, marks] = responses.map(({ responseRange }) => responseRange)
    if (!succeeded) return first?.kvs[0]?.modRevision.toNumber() ?? header.revision.toNumber()
    const prefix = keys.rowPrefix(generation.number).length + coldClears.prefix.length
    const clears = (marks?.kvs ?? []).map((kv): Clear => {
      const below = revision(kv.modRevision.toNumber())
      return clearOf(table, fromBuffer(kv.key).slice(prefix), below)
    })
    const at = header.revision.toNumber()
    const kvs = await restOf(this.#place, first!, generation, { range, at, untilMs })
    return { rows: kvs.map(kv => storedOf(this.#place, generation, kv)), clears }
  }

  #firstPage(generation: Generation, range: ColdRange): RangeRequest {
    const span = spanIn(this.#place, generation, range)
    return pageOf(span, range, Math.min(range.limit, FIRST_PAGE_ROWS))
  }
}

/** Cold rows as they were at the revision of a view. */
export const coldAt = (
  place: Place,
  generation: Generation,
  view: Version & Reader,
): ColdSource => ({
  knowsSizes: false,
  async read(table, range) {
    const { clock, etcd } = place
    const untilMs = monotonicMs(clock.monotonic() + limits.etcdAnswerTimeoutMs)
    const at = view.revision
    const span = spanIn(place, generation, range)
    const request = pageOf(span, range, Math.min(range.limit, FIRST_PAGE_ROWS))
    try {
      const first = await patiently(clock, untilMs, () => etcd.range({ ...request, revision: at }))
      const kvs = await restOf(place, first, generation, { range, at, untilMs })
      const rows = kvs.map(kv => storedOf(place, generation, kv))
      return { rows, clears: clearsIn(view, table) }
    } catch (error) {
      throw toStoreError(error)
    }
  },
})

function spanIn({ keys }: Place, { number }: Generation, { from, to }: ColdRange): Span {
  const prefix = keys.coldPrefix(number)
  return { from: toBuffer(prefix + from), to: toBuffer(prefix + to) }
}

const pageOf = ({ from, to }: Span, { keysOnly }: ColdRange, limit: number): RangeRequest => ({
  ...{ key: from, rangeEnd: to, limit },
  ...(keysOnly && { keysOnly }),
})

/** A page with those that follow it, at its revision, until there are enough. */
async function restOf(
  place: Place,
  first: { readonly kvs: readonly KeyValue[]; readonly more: boolean },
  generation: Generation,
  { range, at, untilMs }: { range: ColdRange; at: number; untilMs: MonotonicMs },
): Promise<readonly KeyValue[]> {
  const { to } = spanIn(place, generation, range)
  const kvs = [...first.kvs]
  for (let page = first; page.more && kvs.length < range.limit; ) {
    const { from, limit } = nextPage(page.kvs)
    const request = pageOf({ from, to }, range, Math.min(limit, range.limit - kvs.length))
    page = await patiently(place.clock, untilMs, () =>
      place.etcd.range({ ...request, revision: at }),
    )
    kvs.push(...page.kvs)
  }
  return kvs
}

const storedOf = ({ keys }: Place, { number }: Generation, kv: KeyValue): StoredCold => ({
  key: fromBuffer(kv.key).slice(keys.coldPrefix(number).length),
  value: kv.value,
  modRevision: revision(kv.modRevision.toNumber()),
})
