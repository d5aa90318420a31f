/**
 * The one place that creates adapters and joins the rooms into an agent.
 *
 * Owns who gets what. Holds no rule and no protocol: it only makes things and hands them on.
 */
import { join } from 'node:path'
import { assert } from '../base/assert.ts'
import { type Clock, type Random, systemClock, systemRandom } from '../base/clock.ts'
import { createResolver } from '../base/io/dns2.ts'
import type { Log } from '../base/log.ts'
import { Metrics } from '../base/metrics.ts'
import { Timeouts } from '../base/timeouts.ts'
import { everybody } from '../base/who.ts'
import { createDnsFace, type DnsFace } from '../dns/server.ts'
import { checkFromFile, serviceFromFile } from '../http/registry/agent-body.ts'
import { registryPaths } from '../http/registry/mod.ts'
import type { AgentIdentity } from '../http/registry/self.ts'
import { createHttpFace, type HttpFace } from '../http/server.ts'
import { Registry } from '../registry/room.run.ts'
import { registryTimers } from '../registry/timers.ts'
import { Asker } from '../store/ask.ts'
import { withSystemTables } from '../store/local.ts'
import type { Store } from '../store/store.ts'
import type { AnyTable } from '../store/table.ts'
import { registryTables } from '../store/tables/mod.ts'
import { Timekeeper } from '../store/timekeeper.ts'
import type { SettledConfig } from './config.ts'
import { LocalState } from './local-state.ts'

/** All tables that a server's store holds. */
const allTables: readonly AnyTable[] = withSystemTables(registryTables)

/** What an agent runs with: the world as ports, so that tests can bring another. */
export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
}

export const realWorld = (log: Log): World => ({
  clock: systemClock,
  random: systemRandom,
  log,
  metrics: new Metrics(systemClock),
})

/** The parts of a running agent, in the order in which they start. */
export interface Agent {
  readonly store: Store
  readonly timekeeper: Timekeeper
  readonly local: LocalState
  readonly http: HttpFace
  readonly dns: DnsFace
}

/** Opens the store that the configuration names. Throws OperatingError with the way out. */
export async function openStore(
  config: SettledConfig,
  { clock, random, log }: World,
): Promise<Store> {
  const common = { tables: allTables, clock, random }
  const { engine, etcd, acceptRevision } = config.store
  if (engine === 'memory') {
    const { openMemoryStore } = await import('../store/memory/engine.ts')
    return openMemoryStore(common)
  }
  if (engine === 'level') {
    const { openLevelStore } = await import('../store/level/engine.ts')
    assert(config.dataDir !== undefined, 'the level engine has a folder')
    const folder = join(config.dataDir, 'store')
    return openLevelStore({ ...common, folder, acceptRevision })
  }
  const { openEtcdStore } = await import('../store/etcd/engine.ts')
  const store = await openEtcdStore({ ...common, ...etcd, serverId: config.nodeId })
  for (const warning of store.warnings) log.warn(warning)
  return store
}

/** Makes all parts of a server agent on an open store; nothing listens or runs yet. */
export function composeAgent(config: SettledConfig, store: Store, world: World): Agent {
  const { clock, random, log, metrics } = world
  const timeouts = new Timeouts(clock)
  const asker = new Asker(store, timeouts)
  const timekeeper = new Timekeeper(
    { store, clock, random, log },
    { role: 'registry', holder: config.nodeId, kinds: registryTimers },
  )
  const registry = new Registry({ store, timekeeper, sessionTtlMinMs: config.sessionTtlMinMs })
  const resolver = createResolver({ clock })
  const read = {
    service: (body: unknown) => serviceFromFile(config.nodeName, body),
    check: checkFromFile,
  }
  const local = new LocalState({ store, clock, timeouts, random, log, resolver, read }, config)
  const leader = `${config.advertiseAddress}:${config.ports.server}`
  const identity: AgentIdentity = {
    ...config,
    leader: () => leader,
    peers: () => [leader],
    revision: () => store.view().revision,
  }
  const http = createHttpFace({
    asker,
    random,
    log,
    authenticate: () => everybody,
    datacenter: config.datacenter,
    pretty: config.http.prettyJson,
    queryWaitDefaultMs: config.defaultQueryTimeMs,
    queryWaitMaxMs: config.maxQueryTimeMs,
    responseHeaders: config.http.responseHeaders,
    paths: registryPaths({
      registry,
      agent: local,
      identity,
      metrics: {
        metrics,
        nodeName: config.nodeName,
        naming: () => config.telemetry,
        prometheusRetentionMs: () => config.telemetry.prometheusRetentionMs,
      },
      bounds: {
        kvValueSizeBytes: config.kvMaxValueSizeBytes,
        txnBodySizeBytes: config.txnMaxBodySizeBytes,
      },
    }),
    maxHeaderSizeBytes: config.http.maxHeaderSizeBytes,
  })
  const dns = createDnsFace({ asker, random, clock, log, metrics, config })
  return { store, timekeeper, local, http, dns }
}
