/**
 * Which checks mirror which entries of the catalog, and which of them must be read again.
 *
 * Owns the way from a changed entry to the checks that look at it, at a cost that does not grow
 * with the number of mirrors. What a mirror says is its kind's to judge.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Mirrored } from '../checks/define.ts'
import type { Event } from '../store/store.ts'
import { type CheckRow, checks } from '../store/tables/check.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { nodes } from '../store/tables/node.ts'
import { services } from '../store/tables/service.ts'

export class Mirrors {
  readonly #targets = new Map<string, Mirrored>()
  readonly #byInstance = new Map<Bytes, Set<string>>()
  readonly #byNode = new Map<Bytes, Set<string>>()

  /** A check mirrors this target from now on. */
  add(checkId: string, target: Mirrored): void {
    this.remove(checkId)
    this.#targets.set(checkId, target)
    enter(this.#byInstance, onNode(target.node, target.serviceId), checkId)
    enter(this.#byNode, fold(target.node), checkId)
  }

  remove(checkId: string): void {
    const target = this.#targets.get(checkId)
    if (target === undefined) return
    this.#targets.delete(checkId)
    leave(this.#byInstance, onNode(target.node, target.serviceId), checkId)
    leave(this.#byNode, fold(target.node), checkId)
  }

  /** The checks that a change may concern. */
  concernedBy({ table, key, before, after }: Event): Iterable<string> {
    if (this.#targets.size === 0) return []
    if (table === services) return this.#byInstance.get(key) ?? []
    if (table === nodes) return this.#byNode.get(key) ?? []
    if (table !== checks) return []
    const rows = [before?.row, after?.row].filter(row => row !== undefined) as CheckRow[]
    return new Set(
      rows.flatMap(({ node, serviceId }) => [
        ...((serviceId === ''
          ? this.#byNode.get(fold(node))
          : this.#byInstance.get(onNode(node, serviceId))) ?? []),
      ]),
    )
  }
}

function enter(map: Map<Bytes, Set<string>>, key: Bytes, checkId: string): void {
  const ids = map.get(key) ?? new Set()
  map.set(key, ids.add(checkId))
}

function leave(map: Map<Bytes, Set<string>>, key: Bytes, checkId: string): void {
  const ids = map.get(key)
  ids?.delete(checkId)
  if (ids?.size === 0) map.delete(key)
}
