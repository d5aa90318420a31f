/**
 * A server's own disk: what of its audit journal would be there after a crash.
 *
 * Owns the time that a sync takes, stalls and failures. What was not synced when the process ended
 * is gone.
 */
import { revision } from '../../src/base/brand.ts'
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import { JournalBook, type JournalRecord } from '../../src/store/journal.ts'
import { LocalStore, withSystemTables } from '../../src/store/local.ts'
import { Version } from '../../src/store/view.ts'
import { noCold } from '../fake/cold.ts'
import type { Machine, World } from './world.ts'

export class Disk {
  readonly #world: World
  readonly #name: string
  readonly records: JournalRecord[] = []
  /** The ids of the requests whose records are durable. */
  readonly ids = new Set<string>()
  /** Until then no sync comes to an end. */
  stallUntilMs = 0
  /** The next sync fails. */
  isBroken = false
  #lives = 0

  constructor(world: World, name: string) {
    this.#world = world
    this.#name = name
  }

  /** Opens the journal as it is there. */
  open(machine: Machine): LocalStore {
    const tables = withSystemTables([])
    const random = this.#world.random(`${this.#name}/own/${this.#lives++}`)
    const journal = new JournalBook()
    if (this.records.length > 0) journal.note([...this.records])
    const loaded = {
      ...{ version: new Version(tables), journal, clusterId: 'own', generation: 1 },
      ...{ indexOffset: 0, compacted: revision(0), touched: new Map() },
    }
    const persistence = {
      engine: 'simulated',
      supports: { durable: true, shared: false, transactionOps: 128 },
      compacted: revision(0),
      persist: ({ records }: { readonly records: JournalRecord[] }) => this.#sync(machine, records),
      cold: noCold,
      history: () => Promise.resolve(undefined),
      records: (from: number, limit: number) =>
        Promise.resolve(this.records.slice(from - 1, from - 1 + limit)),
      compact: () => Promise.resolve(),
      restore: () => Promise.reject(new Error('nothing is restored here')),
      close: () => Promise.resolve(),
    }
    return new LocalStore(persistence, loaded, { tables, clock: machine, random })
  }

  #sync(machine: Machine, records: readonly JournalRecord[]): Promise<void> {
    const stallMs = Math.max(0, this.stallUntilMs - this.#world.nowMs)
    return new Promise((resolve, reject) => {
      this.#world.after(this.#world.between(0.1, 2) + stallMs, () => {
        // A process that was killed has lost what it had not synced.
        if (machine.isDead) return
        if (this.isBroken) {
          this.isBroken = false
          machine.reach(() => reject(new OperatingError(OperatingCode.disk, 'EIO: i/o error')))
          return
        }
        for (const record of records) {
          this.records.push(record)
          this.ids.add(JSON.parse(record.text.toString('utf8')).id)
        }
        machine.reach(resolve)
      })
    })
  }
}
