/**
 * What the work of engines has in common on the one server that keeps the time for all.
 *
 * Owns how rows are looked at and written there: nothing while the server is sealed, and nothing
 * once another one does the work.
 */
import { wallMs } from '../base/brand.ts'
import { isRefusal } from '../store/store.ts'
import type { Duty } from '../store/timekeeper.ts'
import type { Barrier } from './barrier/keyring.ts'
import type { DutyPorts } from './declare.ts'
import { Draft } from './storage.ts'

/** What is written only as long as this server does the work. */
export type Fenced = Parameters<Duty>[1]

/** All rows as they are now, cold ones too; undefined while the server is sealed. */
export function draftNow({ store, clock, random, barrier }: DutyPorts): Draft | undefined {
  const open = barrier()
  if (open === undefined) return undefined
  return new Draft(store.view(), open, wallMs(clock.wall()), random, undefined, store.cold)
}

/** Writes a change in a transaction; false where another server does the work by now. */
export async function writeFenced(
  { store }: Pick<DutyPorts, 'store'>,
  fenced: Fenced,
  barrier: Barrier,
  change: (draft: Draft) => void,
): Promise<boolean> {
  const written = await store.write(
    fenced((view, now, random) => {
      const draft = new Draft(view, barrier, now, random)
      change(draft)
      return { txn: draft.ops(), answer: undefined }
    }),
  )
  return !isRefusal(written)
}
