/**
 * Sinks that were declared by the API, and how they stand.
 *
 * Owns rows and codecs. A sink's secrets are in its row as one sealed text; its status is told by
 * the server that runs it, belongs to the running servers alone, and is in no archive.
 */
import { defineTable, jsonCodec } from '../table.ts'

export interface SinkRow {
  readonly name: string
  /** The body as it was given, without its secrets. */
  readonly given: Readonly<Record<string, unknown>>
  /** Its secrets by their place, as sealed JSON; '' for none. */
  readonly sealed: string
}

export interface SinkStatusRow {
  /** As it is told: see feed/sink/task-status.ts. */
  readonly status: Readonly<Record<string, unknown>>
  /** The node of the server that runs it. */
  readonly server: string
}

/** The key is the name. */
export const sinks = defineTable<SinkRow>({
  name: 'sinks',
  prefix: 'feed/sink/',
  codec: jsonCodec(),
  guard: () => '',
})

/** The key is the name of the sink. */
export const sinkStatuses = defineTable<SinkStatusRow>({
  name: 'sink-statuses',
  prefix: 'feed/sink-status/',
  codec: jsonCodec(),
  need: () => 'extra',
  internal: true,
})

export const sinkTables = [sinks, sinkStatuses]
