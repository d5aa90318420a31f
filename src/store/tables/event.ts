/**
 * Events on their way to the agents: the last ones that were fired, in a ring of slots.
 *
 * Owns row, codec and key. The rows carry an event over the store's feed to every agent, which
 * keeps its own list of those that are meant for it; nobody reads them from here. They belong to
 * the running servers alone: an archive leaves them out.
 */
import { limits } from '../../base/limits.ts'
import { defineTable, jsonCodec } from '../table.ts'

export interface EventRow {
  readonly id: string
  readonly name: string
  /** In base64; '' for none. */
  readonly payload: string
  /** Regular expressions; '' for any. */
  readonly nodeFilter: string
  readonly serviceFilter: string
  readonly tagFilter: string
  readonly version: number
  /** Counts all events that were ever fired. */
  readonly ltime: number
}

/** The key is the slot. */
export const events = defineTable<EventRow>({
  name: 'events',
  prefix: 'system/event/',
  codec: jsonCodec(),
  guard: () => '',
  internal: true,
})

/** The slot of an event: the oldest one's. */
export const slotOf = (ltime: number): string => String(ltime % limits.eventRing)
