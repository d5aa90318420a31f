/**
 * Leases of the local engines: rows that go when their holder is silent.
 *
 * Owns the leases' rows and their deadlines. Deadlines start over when the store is opened, since
 * nobody could renew while it was closed. etcd has its own leases; this file is not for it.
 */
import type { Clock, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { Wheel, type WheelEntry } from '../base/wheel.ts'
import { del, type Event, type Lease, type Op, put, type Store } from './store.ts'
import { type AnyTable, defineTable, jsonCodec } from './table.ts'

interface LeaseRow {
  readonly ttlMs: number
}

/** The leases that were granted; the key is the lease's id. */
export const leases = defineTable<LeaseRow>({
  name: 'leases',
  prefix: 'system/lease/',
  codec: jsonCodec(),
  internal: true,
})

const TICK_MS = 100

interface Held {
  readonly ttlMs: number
  entry: WheelEntry
  /** Its end is decided: nobody may count on it any more. */
  ending: boolean
  readonly rows: Map<string, { table: AnyTable; key: string }>
}

export class LeaseTable {
  readonly #store: Store
  readonly #tables: readonly AnyTable[]
  readonly #clock: Clock
  #wheel: Wheel<string>
  readonly #held = new Map<string, Held>()
  #timer: Timer | undefined

  constructor(store: Store, tables: readonly AnyTable[], clock: Clock) {
    this.#store = store
    this.#tables = tables
    this.#clock = clock
    this.#wheel = new Wheel(TICK_MS, clock.monotonic())
  }

  /** Reads the leases of the store as it is now and starts their times over. */
  arm(): void {
    this.#held.clear()
    this.#wheel = new Wheel(TICK_MS, this.#clock.monotonic())
    const view = this.#store.view()
    for (const { key, row } of view.entries(leases)) this.#hold(key, row.ttlMs)
    if (this.#held.size === 0) return
    for (const table of this.#tables) {
      for (const cell of view.entries(table)) {
        if (cell.lease !== '') this.#attach(cell.lease, table, cell.key)
      }
    }
    this.#tick()
  }

  #hold(id: string, ttlMs: number): void {
    const entry = this.#wheel.add(this.#clock.monotonic() + ttlMs, id)
    this.#held.set(id, { ttlMs, entry, ending: false, rows: new Map() })
  }

  #tick(): void {
    this.#timer?.clear()
    if (this.#held.size === 0) {
      this.#timer = undefined
      return
    }
    this.#timer = this.#clock.after(TICK_MS, () => {
      for (const id of this.#wheel.advance(this.#clock.monotonic())) {
        this.revoke(id).catch(() => {
          // Too busy, or stopped for good: tried again at the next tick. It stays ended.
          const held = this.#held.get(id)
          if (held !== undefined) held.entry = this.#wheel.add(0, id)
        })
      }
      this.#tick()
    })
  }

  /** Follows what is applied to head: which rows hang on which lease. */
  follow(events: readonly Event[]): void {
    for (const { table, key, before, after } of events) {
      if (before !== undefined && before.lease !== '') this.#detach(before.lease, table, key)
      if (after !== undefined && after.lease !== '') this.#attach(after.lease, table, key)
    }
  }

  #attach(lease: string, table: AnyTable, key: string): void {
    this.#held.get(lease)?.rows.set(`${table.name}\n${key}`, { table, key })
  }

  #detach(lease: string, table: AnyTable, key: string): void {
    this.#held.get(lease)?.rows.delete(`${table.name}\n${key}`)
  }

  async grant(ttlMs: number, id: string): Promise<Lease> {
    const grantedMs = Math.max(ttlMs, limits.leaseTtlMinMs)
    await this.#store.write(() => ({ txn: [put(leases, id, { ttlMs: grantedMs })], answer: id }))
    this.#hold(id, grantedMs)
    this.#tick()
    return { id, ttlMs: grantedMs }
  }

  keepAlive(id: string): boolean {
    const held = this.#held.get(id)
    if (held === undefined || held.ending) return false
    held.entry.cancel()
    held.entry = this.#wheel.add(this.#clock.monotonic() + held.ttlMs, id)
    return true
  }

  async revoke(id: string): Promise<void> {
    const held = this.#held.get(id)
    if (held === undefined) return
    held.entry.cancel()
    held.ending = true
    await this.#store.write(view => {
      // Decided on head, where `follow` has seen every row that was put before this.
      const attached = [...held.rows.values()]
      const rows = attached.filter(({ table, key }) => view.get(table, key)?.lease === id)
      const txn: Op[] = [del(leases, id), ...rows.map(({ table, key }) => del(table, key))]
      return { txn, answer: undefined }
    })
    if (this.#held.get(id) === held) this.#held.delete(id)
  }

  stop(): void {
    this.#timer?.clear()
    this.#timer = undefined
  }
}
