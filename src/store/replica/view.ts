/**
 * A replica's view: the rows that it has, with the names of all services where it follows those.
 *
 * Owns what differs from a store's view: names and tags come from rows of their own, since the
 * instances that they are of are not here. All else is passed on.
 */
import { type Revision, revision } from '../../base/brand.ts'
import { type Bytes, fromText } from '../../base/bytes.ts'
import type { Version } from '../store.ts'
import type { Cell, Table } from '../table.ts'
import { pair } from '../tables/names.ts'
import { services } from '../tables/service.ts'
import type * as Whole from '../view.ts'
import type { Reader } from '../view.ts'
import { serviceNameRows } from './kinds.ts'

export class ReplicaView implements Reader, Version {
  readonly #version: Whole.Version
  /** The newest change of any service, as the followed server told it with the names. */
  readonly #servicesAt: Revision

  constructor(version: Whole.Version, servicesAt: Revision) {
    this.#version = version
    this.#servicesAt = servicesAt
  }

  /** The version behind it, for the next one to be cut from. */
  get version(): Whole.Version {
    return this.#version
  }

  get revision(): Revision {
    return this.#version.revision
  }

  get sum(): number {
    return this.#version.sum
  }

  get rows(): number {
    return this.#version.rows
  }

  get<R>(table: Table<R>, key: Bytes): Cell<R> | undefined {
    return this.#version.get(table, key)
  }

  prefix<R>(table: Table<R>, prefix: Bytes, limit?: number): Cell<R>[] {
    return this.#version.prefix(table, prefix, limit)
  }

  level<R>(table: Table<R>, prefix: Bytes, separator: Bytes, page?: Whole.LevelPage): Bytes[] {
    return this.#version.level(table, prefix, separator, page)
  }

  find<R>(table: Table<R>, index: string, value: Bytes, limit?: number): Cell<R>[] {
    return this.#version.find(table, index, value, limit)
  }

  distinct<R>(table: Table<R>, index: string, prefix?: Bytes): Bytes[] {
    return [...this.values(table, index, prefix)]
  }

  distinctLevel<R>(table: Table<R>, index: string, prefix: Bytes, separator: Bytes): Bytes[] {
    return this.#version.distinctLevel(table, index, prefix, separator)
  }

  scan<R>(table: Table<R>, index: string, value: Bytes): Iterable<Cell<R>> {
    return this.#version.scan(table, index, value)
  }

  values<R>(table: Table<R>, index: string, prefix?: Bytes): Iterable<Bytes> {
    const isNames = (table as unknown) === services && index === 'tag'
    return isNames ? this.#names(prefix ?? '') : this.#version.values(table, index, prefix)
  }

  /** What the index of names and tags would hold if all instances were here. */
  *#names(prefix: Bytes): Iterable<Bytes> {
    for (const { row } of this.#version.entries(serviceNameRows)) {
      for (const tag of row.tags.length === 0 ? [''] : row.tags) {
        const value = pair(fromText(row.name), fromText(tag))
        if (value.startsWith(prefix)) yield value
      }
    }
  }

  count<R>(table: Table<R>): number {
    return this.#version.count(table)
  }

  entries<R>(table: Table<R>): Iterable<Cell<R>> {
    return this.#version.entries(table)
  }

  newest<R>(table: Table<R>): Revision {
    if ((table as unknown) === services) return this.#servicesAt
    return this.#version.newest(table)
  }

  floor<R>(table: Table<R>): Revision {
    return this.#version.floor(table)
  }

  newestTombstone<R>(table: Table<R>, prefix: Bytes): Revision {
    return revision(this.#version.newestTombstone(table, prefix))
  }
}
