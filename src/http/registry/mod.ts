/**
 * All paths of the registry's HTTP API, in order.
 *
 * Owns the list: a path that is not in it does not exist.
 */
import type { Audit } from '../../audit/audit.run.ts'
import type { ClusterPort } from '../../cluster/port.ts'
import type { Feeds } from '../../feed/feed.run.ts'
import type { StoredSinks } from '../../feed/sink/stored.run.ts'
import type { Registry } from '../../registry/room.run.ts'
import { registryTopics } from '../../registry/topic/mod.ts'
import type { Snapshots } from '../../store/snapshot.ts'
import { acting, anonymous, definePath, json, type PathDeclaration } from '../declare.ts'
import { openapi } from '../openapi.ts'
import { anything, map, object, text } from '../shape.ts'
import { type AclRoom, aclPaths } from './acl.ts'
import { type ConditionsPort, conditionPaths } from './acl-condition.ts'
import { type AgentsCaPort, agentsCaPaths } from './agents-ca.ts'
import { auditPaths } from './audit.ts'
import { catalogPaths } from './catalog.ts'
import { configPaths } from './config.ts'
import { coordinatePaths } from './coordinate.ts'
import { type EventsPort, eventPaths } from './event.ts'
import { feedPaths, feedTexts } from './feed.ts'
import { healthPaths } from './health.ts'
import { intentionPaths } from './intention.ts'
import { kvPaths } from './kv.ts'
import { laterPaths } from './later.ts'
import { joinPath, membersPath } from './members.ts'
import { nearOn } from './near.ts'
import { operatorPaths } from './operator.ts'
import { type OwnRooms, ownPaths } from './own.ts'
import { type QueriesPort, queryPaths } from './query.ts'
import { forceLeavePath } from './runtime.ts'
import { sessionPaths } from './session.ts'
import { sinkPaths } from './sinks.ts'
import { snapshotPath } from './snapshot.ts'
import { statusPaths } from './status.ts'
import { type TxnBounds, txnPaths } from './txn.ts'
import { uiPaths } from './ui.ts'
import { createWire } from './wire.ts'

export { laterPaths }

/** What the paths stand on. */
export interface Rooms extends OwnRooms {
  readonly registry: Registry
  /** Undefined where ACLs are off; so are the agent's tokens then. */
  readonly acl: AclRoom | undefined
  readonly bounds: TxnBounds
  readonly snapshots: Snapshots
  /** The servers and who else is in. */
  readonly cluster: ClusterPort
  readonly events: EventsPort
  readonly feeds: Feeds
  readonly queries: QueriesPort
  readonly storedSinks: StoredSinks
  /** Undefined where ACLs are off. */
  readonly conditions: ConditionsPort | undefined
  readonly audit: Audit
  /** Undefined where this server does not speak with other agents. */
  readonly agentsCa: AgentsCaPort | undefined
}

/** Every path, with those of a later step. */
export function registryPaths(rooms: Rooms): PathDeclaration[] {
  const { registry, identity, bounds, events, queries, cluster } = rooms
  const wire = createWire(identity.datacenter)
  const near = nearOn(identity.nodeName)
  const served = [
    ...statusPaths(identity, cluster),
    ...ownPaths(rooms),
    membersPath(identity, cluster),
    joinPath(identity, cluster),
    forceLeavePath(cluster),
    ...catalogPaths(registry, wire, near, identity.datacenter),
    ...healthPaths(wire, near),
    ...feedPaths({
      feeds: rooms.feeds,
      texts: feedTexts(wire),
      topics: registryTopics(identity.datacenter),
    }),
    ...coordinatePaths(registry, identity),
    ...uiPaths(registry, wire, identity.datacenter),
    ...kvPaths(registry, bounds),
    ...sessionPaths(registry, wire, identity.nodeName),
    ...txnPaths(registry, wire, bounds),
    ...configPaths(registry, identity.datacenter),
    ...intentionPaths(registry, identity),
    ...eventPaths(events),
    ...operatorPaths({ room: registry, identity, cluster }),
    ...queryPaths(queries, wire, identity.datacenter),
    ...conditionPaths(rooms.conditions),
    ...sinkPaths(rooms.storedSinks),
    snapshotPath(rooms.snapshots),
    ...aclPaths(rooms.acl),
    ...auditPaths(rooms.audit),
    ...agentsCaPaths(rooms.agentsCa),
  ]
  return [...served, openapiPath(served), ...laterPaths]
}

function openapiPath(served: readonly PathDeclaration[]): PathDeclaration {
  const shape = object({ openapi: text, info: map(text), paths: map(anything) })
  return definePath({
    where: 'servers',
    path: '/v1/openapi.json',
    operations: {
      GET: acting({
        summary: 'This API as an OpenAPI document.',
        query: {},
        body: undefined,
        answers: { 200: { json: shape, help: 'OpenAPI 3.1' } },
        access: anonymous,
        run: () => json(openapi(served)),
      }),
    },
  })
}
