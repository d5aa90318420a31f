/**
 * What an agent was asked to keep registered: the definitions of its own services and checks.
 * They outlive a restart; the catalog is made to agree with them. Owns rows, codecs and indexes.
 */
import type { Bytes } from '../../base/bytes.ts'
import { defineTable, jsonCodec } from '../table.ts'
import type { CheckDefinition } from './check.ts'
import { nodeGuard, onNode } from './names.ts'
import type { ServiceRow } from './service.ts'

/** A check that the agent runs itself, as its runner needs it. Durations in milliseconds. */
export interface LocalCheck {
  readonly checkId: string
  readonly name: string
  readonly notes: string
  /** 'http' or 'ttl' and, in time, every kind of src/checks. */
  readonly kind: string
  readonly serviceId: string
  readonly definition: CheckDefinition
  readonly ttlMs: number
  readonly successBeforePassing: number
  readonly failuresBeforeWarning: number
  readonly failuresBeforeCritical: number
  readonly outputMaxSizeBytes: number
}

export interface LocalServiceRow {
  readonly node: string
  readonly service: ServiceRow
  /** The token that the registration was made with, '' for none. */
  readonly token: string
  /** Whether a configuration file says so: then it is gone when no file says so any more. */
  readonly fromFile: boolean
}

export interface LocalCheckRow {
  readonly node: string
  readonly check: LocalCheck
  readonly token: string
  readonly fromFile: boolean
}

/** The key is `onNode(node, serviceId)`. */
export const localServices = defineTable<LocalServiceRow>({
  name: 'local-services',
  prefix: 'system/agent-service/',
  codec: jsonCodec(),
  guard: nodeGuard,
})

/** The key is `onNode(node, checkId)`. */
export const localChecks = defineTable<LocalCheckRow>({
  name: 'local-checks',
  prefix: 'system/agent-check/',
  codec: jsonCodec(),
  indexes: {
    instance: { guarded: true, values: row => [onNode(row.node, row.check.serviceId)] },
  },
  guard: nodeGuard,
})

/**
 * What somebody took out of the catalog although its node's own agent keeps it registered. An agent
 * that is no server learns of it here, and drops its definition.
 */
export interface RemovalRow {
  readonly node: string
  readonly what: 'service' | 'check'
  readonly id: string
}

/** The key is `onRemoved(node, what, id)`. */
export const removals = defineTable<RemovalRow>({
  name: 'removals',
  prefix: 'registry/removal/',
  codec: jsonCodec(),
  guard: nodeGuard,
})

export const onRemoved = (node: string, what: RemovalRow['what'], id: string): Bytes =>
  onNode(node, `${what} ${id}`)
