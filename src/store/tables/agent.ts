/**
 * The agents that are no servers, as the timekeeper watches over them: where each is reached, and
 * since when it is dead.
 *
 * Owns row and codec. Written when an agent comes, moves, dies or is back; a node without a row is
 * nobody's to judge, whatever checks it has. Servers have rows of their own (server.ts).
 */
import { defineTable, jsonCodec } from '../table.ts'

export interface AgentRow {
  /** Where its RPC is reached, `host:port`; '' where it has not said so. */
  readonly address: string
  /** Since when it is not reached, by the wall clock; 0 while it is. */
  readonly failedAtMs: number
}

/** The key is the node's id. */
export const agents = defineTable<AgentRow>({
  name: 'agents',
  prefix: 'system/agent/',
  codec: jsonCodec(),
})
