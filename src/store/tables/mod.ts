/**
 * All tables of a server, for compose.ts and for tests.
 *
 * Owns the list alone: each table is declared in its own file, and rooms import those. A table that
 * is not in the list is not part of any store.
 */
import type { AnyTable } from '../table.ts'
import { aclTables } from './acl.ts'
import { conditions } from './acl-condition.ts'
import { agents } from './agent.ts'
import { autopilot } from './autopilot.ts'
import { checks } from './check.ts'
import { clusterTables } from './cluster.ts'
import { configEntries } from './config-entry.ts'
import { coordinates } from './coordinate.ts'
import { endings } from './ending.ts'
import { events } from './event.ts'
import { kv } from './kv.ts'
import { localChecks, localServices, removals } from './local.ts'
import { storeMembers } from './member.ts'
import { nodes } from './node.ts'
import { queries } from './query.ts'
import { sealTables } from './seal.ts'
import { secretTables } from './secret.ts'
import { serverTables } from './server.ts'
import { services } from './service.ts'
import { lockDelays, sessions } from './session.ts'
import { sinkTables } from './sink.ts'

export const registryTables: readonly AnyTable[] = [
  nodes,
  services,
  checks,
  coordinates,
  kv,
  sessions,
  endings,
  lockDelays,
  localServices,
  localChecks,
  removals,
  configEntries,
  events,
  autopilot,
  agents,
  queries,
  conditions,
  storeMembers,
  ...aclTables,
  ...serverTables,
  ...clusterTables,
  ...secretTables,
  ...sealTables,
  ...sinkTables,
]
