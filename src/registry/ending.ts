/**
 * Work that is larger than one transaction: a node with very much on it, a session with very many
 * or very large locks, a tree of very many keys.
 *
 * Owns the steps. The first transaction marks the row `ending` (or puts a row that stands for the
 * tree), each step does a part, the last one removes the mark. Any server can go on after any step:
 * what is left is found in the store alone. Locks are freed late, never early. Pure.
 */

import type { Bytes } from '../base/bytes.ts'
import { toText } from '../base/bytes.ts'
import { denied } from '../base/denied.ts'
import type { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import { type Decision, del, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { type Ending, type EndingRow, endings } from '../store/tables/ending.ts'
import { type KvRow, kv } from '../store/tables/kv.ts'
import { nodes } from '../store/tables/node.ts'
import { sessions } from '../store/tables/session.ts'
import type { Reader } from '../store/view.ts'
import { Budget } from './budget.ts'
import { nodeParts } from './catalog.ts'
import { sessionParts } from './session.ts'

/** What a step came to: whether more of them are needed. */
export interface Stepped {
  readonly more: boolean
}

const over: Decision<Stepped> = { txn: [], answer: { more: false } }

/** As many of the parts as fit. */
function fill(parts: Iterable<readonly Op[]>): { txn: Op[]; isWhole: boolean } {
  const budget = new Budget()
  const txn: Op[] = []
  for (const part of parts) {
    const fits = budget.takes(part)
    // What is larger than a step goes alone.
    if (fits || txn.length === 0) txn.push(...part)
    if (!fits) return { txn, isWhole: false }
  }
  return { txn, isWhole: true }
}

/** A step of the end of a session that was marked. */
export function stepSession(view: Reader, id: Bytes, by: Ending = 'marked'): Decision<Stepped> {
  const session = view.get(sessions, id)
  if (session?.row.ending === undefined) return over
  const { txn, isWhole } = fill(sessionParts(view, session.row, limits.endingOps + 1))
  // Written again in any case: that something goes on is seen by that.
  txn.push(isWhole ? del(sessions, id) : put(sessions, id, { ...session.row, ending: by }))
  return { txn, answer: { more: !isWhole } }
}

/** A step of the end of a node that was marked. */
export function stepNode(view: Reader, key: Bytes, by: Ending = 'marked'): Decision<Stepped> {
  const node = view.get(nodes, key)
  if (node?.row.ending === undefined) return over
  const { txn, isWhole } = fill(nodeParts(view, key, limits.endingOps + 1))
  txn.push(isWhole ? del(nodes, key) : put(nodes, key, { ...node.row, ending: by }))
  return { txn, answer: { more: !isWhole } }
}

/** Deletes the keys under a prefix; more than one transaction holds are left to steps. */
export function endKvTree(view: Reader, who: Who, prefix: Bytes): Decision<Stepped> | Refusal {
  const wanted = access('write', 'key_prefix', toText(prefix))
  if (!who.may(wanted)) return denied(who, wanted)
  const { txn, isWhole } = fill(deletions(view.prefix(kv, prefix, limits.endingOps + 1)))
  if (isWhole) return { txn, answer: { more: false } }
  const mark: EndingRow = { ending: 'marked' }
  return { txn: [put(endings, prefix, mark)], answer: { more: true } }
}

/** A step of the end of a tree. What was written after its end was asked for stays. */
export function stepKvTree(view: Reader, prefix: Bytes, by: Ending = 'marked'): Decision<Stepped> {
  const mark = view.get(endings, prefix)
  if (mark === undefined) return over
  const isOld = ({ modRevision }: Cell<KvRow>): boolean => modRevision < mark.createRevision
  const first = view.prefix(kv, prefix, 2 * limits.endingOps).filter(isOld)
  // Where new keys stand before the old ones, all are looked at.
  const cells = first.length > 0 ? first : view.prefix(kv, prefix).filter(isOld)
  const { txn, isWhole } = fill(deletions(cells))
  const isLast = isWhole && first.length === 0
  txn.push(isLast ? del(endings, prefix) : put<EndingRow>(endings, prefix, { ending: by }))
  return { txn, answer: { more: !isLast } }
}

function* deletions(cells: readonly Cell<KvRow>[]): Iterable<Op[]> {
  for (const { key } of cells) yield [del(kv, key)]
}
