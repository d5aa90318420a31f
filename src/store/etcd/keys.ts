/**
 * Where everything lies in etcd, below the store's prefix:
 *
 *     system/generation              which generation is the store (see generation.ts)
 *     system/claim                   the newest generation's number that was ever given out
 *     system/head/<server>/<lane>    the number of the lane's last transaction
 *     <generation>/<full key>        rows
 *     <generation>/guard/<table>/…   guards: what readers of ranges compare; never deleted
 *     ~cold/<generation>/<full key>  cold rows: behind all else, so that no server watches them
 *
 * Owns the layout; nothing else may put a key of etcd's together.
 */
import { assert } from '../../base/assert.ts'
import { afterPrefix, type Bytes, fromText, toBuffer } from '../../base/bytes.ts'
import type { Guard } from '../recorder.ts'
import type { AnyTable } from '../table.ts'

/** Keys from `from` up to, not including, `to`. */
export interface Span {
  readonly from: Buffer
  readonly to: Buffer
}

const GUARDS = 'guard/'
const COLD = '~cold/'

export class Keyspace {
  readonly #prefix: Bytes
  /** All keys of the store that its servers watch. */
  readonly watched: Span
  readonly generation: Bytes
  readonly claim: Bytes
  readonly heads: Span
  readonly #heads: Bytes

  constructor(prefix: string, tables: readonly AnyTable[]) {
    for (const table of tables) {
      assert(!table.prefix.startsWith(GUARDS), 'no table lies where the guards are')
    }
    this.#prefix = `${fromText(prefix).replace(/\/+$/, '')}/`
    this.watched = { from: toBuffer(this.#prefix), to: toBuffer(this.#prefix + COLD) }
    this.generation = `${this.#prefix}system/generation`
    this.claim = `${this.#prefix}system/claim`
    this.#heads = `${this.#prefix}system/head/`
    this.heads = spanOf(this.#heads)
  }

  /** Whether a key is that of a head row. */
  isHead(key: Bytes): boolean {
    return key.startsWith(this.#heads)
  }

  head(serverId: string, lane: number): Bytes {
    return `${this.#heads}${fromText(serverId)}/${lane}`
  }

  /** What the keys of a generation's rows begin with, before the full key. */
  rowPrefix(generation: number): Bytes {
    return `${this.#prefix}${generation}/`
  }

  /** The same of its cold rows. */
  coldPrefix(generation: number): Bytes {
    return `${this.#prefix}${COLD}${generation}/`
  }

  guardPrefix(generation: number): Bytes {
    return this.rowPrefix(generation) + GUARDS
  }

  /** The spans that hold a generation's rows, without its guards. */
  rows(generation: number): Span[] {
    const all = spanOf(this.rowPrefix(generation))
    const guards = spanOf(this.guardPrefix(generation))
    return [
      { from: all.from, to: guards.from },
      { from: guards.to, to: all.to },
    ]
  }

  guard(generation: number, { table, index, value }: Guard): Bytes {
    return `${this.guardPrefix(generation)}${table.name}/${index}/${value}`
  }

  /** Put whenever a row of the table is deleted: a compare of a range does not notice that. */
  deletions(generation: number, table: AnyTable): Bytes {
    return `${this.guardPrefix(generation)}${table.name}/deleted`
  }

  /** Everything of one generation. */
  wholeGeneration(generation: number): Span[] {
    return [spanOf(this.rowPrefix(generation)), spanOf(this.coldPrefix(generation))]
  }

  /** The spans of every generation but one. Their numbers sort before 'system'. */
  otherGenerations(generation: number): Span[] {
    const starts = [this.#prefix, this.#prefix + COLD]
    return this.wholeGeneration(generation).flatMap(({ from, to }, at) => [
      { from: toBuffer(`${starts[at]}0`), to: from },
      { from: to, to: toBuffer(`${starts[at]}:`) },
    ])
  }
}

/** All keys that begin with a prefix. */
export const spanOf = (prefix: Bytes): Span => ({
  from: toBuffer(prefix),
  to: toBuffer(afterPrefix(prefix)!),
})

/** The first key behind this one. */
export const behind = (key: Bytes): Buffer => toBuffer(`${key}\u0000`)
