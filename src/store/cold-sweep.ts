/**
 * The sweep: takes away, in portions, what ranges of cold rows that were cleared still hold.
 *
 * Owns the order: the rows that are older than the clearing go, then the clearing's own row. Any
 * server may do it, also several at a time: what one of them took the others do not find.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { type Clear, clearOf, coldClears } from './cold.ts'
import { del, type Store } from './store.ts'
import type { AnyTable } from './table.ts'
import type { Duty } from './timekeeper.ts'
import { untilChanged } from './until-changed.ts'

export interface ColdSweepPorts {
  readonly store: Store
  readonly tables: readonly AnyTable[]
  readonly clock: Clock
  readonly log: Log
}

/** Sweeps what is cleared, while the timekeeper's role is held. */
export const coldSweep =
  ({ store, tables, clock, log }: ColdSweepPorts): Duty =>
  async signal => {
    const anyClear = [{ table: coldClears.name, prefix: '' }]
    while (!signal.aborted) {
      try {
        await sweepCold(store, tables, signal)
      } catch (error) {
        if (signal.aborted) return
        log.warn('cold rows that were cleared could not be swept', { error: messageOf(error) })
      }
      await untilChanged({ scopes: store.scopes, clock }, anyClear, limits.coldSweepMs, signal)
    }
  }

/** Sweeps all that is cleared now. Rejects as the store does, and may be called again then. */
export async function sweepCold(
  store: Store,
  tables: readonly AnyTable[],
  signal?: AbortSignal,
): Promise<void> {
  for (const table of tables) {
    if (!table.isCold) continue
    for (const { key, modRevision } of store.view().prefix(coldClears, `${table.name}/`)) {
      await sweepRange(store, table, clearOf(table, key, modRevision), signal)
      if (signal?.aborted === true) return
      await store.write(view => {
        // Cleared once more meanwhile: the next sweep is for that.
        const isSame = view.get(coldClears, key)?.modRevision === modRevision
        return { txn: isSame ? [del(coldClears, key)] : [], answer: undefined }
      })
    }
  }
}

async function sweepRange(
  store: Store,
  table: AnyTable,
  clear: Clear,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let after: string | undefined; signal?.aborted !== true; ) {
    const keys = await store.cold.cleared(table, clear, {
      limit: limits.coldPageRows,
      ...(after !== undefined && { after }),
    })
    if (keys.length === 0) return
    await store.write(() => ({ txn: keys.map(key => del(table, key)), answer: undefined }))
    if (keys.length < limits.coldPageRows) return
    after = keys.at(-1)!
  }
}
