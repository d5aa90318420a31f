/**
 * Deadlines of sealed rows: what ends a row once it is over.
 *
 * Owns the way from the timekeeper (store/timekeeper.ts) to the rule of a row's kind. While this
 * server is sealed nothing ends: it is tried again, and a row that is over is over for who reads
 * it. Pure.
 */

import { toText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { type SealedRow, secretData } from '../store/tables/secret.ts'
import type { DeadlineKind } from '../store/timekeeper.ts'
import type { Barrier } from './barrier/keyring.ts'
import type { Engine } from './declare.ts'
import { Draft } from './storage.ts'

/** Where a row lies. */
export interface RowPlace {
  readonly namespaceId: string
  readonly area: string
  readonly path: string
}

/** What ends the rows of a kind: the rule may write them again, and is asked again then. */
export interface RowEnd {
  /** What the header of the rows says. */
  readonly kind: string
  end(draft: Draft, place: RowPlace): void
}

/** What ends the rows of engines. */
export const endsOf = (engines: readonly Engine[]): RowEnd[] =>
  engines.flatMap(({ ends = [] }) => ends)

const SEALED = new Refusal(503, 'Vault is sealed')

/** The timekeeper's kind for all sealed rows. */
export function sealedRowDeadline(
  ends: readonly RowEnd[],
  barrier: () => Barrier | undefined,
): DeadlineKind<SealedRow> {
  const byKind = new Map(ends.map(end => [end.kind, end]))
  return {
    name: 'secrets',
    table: secretData,
    due({ row: { header } }) {
      const isKnown = header.kind !== undefined && byKind.has(header.kind)
      return isKnown && header.dueMs !== undefined ? { atWallMs: header.dueMs } : undefined
    },
    expire: key => (view, now, random) => {
      const open = barrier()
      if (open === undefined) return SEALED
      const kind = view.get(secretData, key)?.row.header.kind
      const draft = new Draft(view, open, now, random)
      if (kind !== undefined) byKind.get(kind)?.end(draft, placeOf(toText(key)))
      return { txn: draft.ops(), answer: undefined }
    },
  }
}

function placeOf(key: string): RowPlace {
  const areaAt = key.indexOf('/') + 1
  const pathAt = key.indexOf('/', areaAt) + 1
  return {
    namespaceId: key.slice(0, areaAt - 1),
    area: key.slice(areaAt, pathAt - 1),
    path: key.slice(pathAt),
  }
}
