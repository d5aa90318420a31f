/**
 * The store's archives for the faces.
 *
 * Owns nothing: joins the functions of store/snapshot.ts with a store and its tables.
 */
import { Refusal } from '../base/errors.ts'
import type { ProblemOf, Snapshots } from '../store/snapshot.ts'
import type { Store } from '../store/store.ts'
import type { AnyTable } from '../store/table.ts'

/** Saving and restoring of one store; `problemOf`: which rows must not be restored. */
export function snapshotsOf(
  store: Store,
  tables: readonly AnyTable[],
  problemOf?: ProblemOf,
): Snapshots {
  return {
    index: () => store.indexOf(store.view().revision),
    confirm: () => store.readIndex(),
    async *save(seal) {
      const { saveSnapshot } = await archives()
      yield* saveSnapshot(store, tables, seal)
    },
    async restore(archive) {
      const { restoreSnapshot } = await archives()
      const restored = await restoreSnapshot(store, archive, problemOf, tables)
      return restored instanceof Refusal ? restored : undefined
    },
  }
}

/** Most agents never save one: what reads and writes archives is loaded when it is needed. */
const archives = (): Promise<typeof import('../store/snapshot.ts')> =>
  import('../store/snapshot.ts')
