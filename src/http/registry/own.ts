/**
 * The paths that every agent answers of itself, whatever else it does: all that are declared
 * `where: 'agent'`.
 *
 * Owns that list. An agent that is no server has these alone, and loads nothing of the others.
 */

import type { ClusterPort } from '../../cluster/port.ts'
import type { AgentPort } from '../../registry/local.ts'
import type { Registry } from '../../registry/room.run.ts'
import type { PathDeclaration } from '../declare.ts'
import { agentPaths } from './agent.ts'
import { agentHealthPaths } from './agent-health.ts'
import { type AgentTokensPort, agentTokenPath } from './agent-token.ts'
import { type DebugPort, debugPaths } from './debug.ts'
import { type MetricsSource, metricsPaths } from './metrics.ts'
import { type RuntimePort, runtimePaths } from './runtime.ts'
import { type AgentIdentity, type KnownServers, selfPaths } from './self.ts'
import { type AgentSinksPort, agentSinkPaths } from './sinks.ts'
import { versionPath } from './status.ts'
import { createWire } from './wire.ts'

/** What these paths stand on. */
export interface OwnRooms {
  readonly agent: AgentPort
  readonly identity: AgentIdentity
  readonly metrics: MetricsSource
  readonly runtime: RuntimePort
  readonly debug: DebugPort
  /** Undefined where ACLs are off. */
  readonly tokens: AgentTokensPort | undefined
  /** What knows where this agent stands. */
  readonly registry: Pick<Registry, 'coordinateOf'>
  readonly cluster: ClusterPort | KnownServers
  /** Those of the configuration of this agent. */
  readonly sinks: AgentSinksPort
}

/** The paths of an agent itself. */
export function ownPaths(rooms: OwnRooms): PathDeclaration[] {
  const { agent, identity, registry, cluster } = rooms
  const wire = createWire(identity.datacenter)
  return [
    versionPath,
    ...selfPaths(identity, agent, registry, cluster),
    ...metricsPaths(rooms.metrics),
    ...runtimePaths(rooms.runtime),
    ...debugPaths(rooms.debug),
    ...agentPaths(agent, wire),
    ...agentHealthPaths(agent, wire),
    agentTokenPath(rooms.tokens),
    ...agentSinkPaths(rooms.sinks, identity.nodeName),
  ]
}
