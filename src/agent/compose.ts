/**
 * The one place that creates adapters and joins the rooms into an agent.
 *
 * Owns who gets what. Holds no rule and no protocol: it only makes things and hands them on.
 */
import { join } from 'node:path'
import type { Audit } from '../audit/audit.run.ts'
import { assert } from '../base/assert.ts'
import { type Clock, type Random, systemClock, systemRandom, timersSet } from '../base/clock.ts'
import type { Refusal } from '../base/errors.ts'
import { createResolver, type Resolver } from '../base/io/dns2.ts'
import { createProfiler } from '../base/io/profiler.ts'
import { clientContext } from '../base/io/tls.ts'
import type { LiveLog } from '../base/log.ts'
import { Metrics } from '../base/metrics.ts'
import type { MetricNaming } from '../base/metrics-forms.ts'
import { Timeouts } from '../base/timeouts.ts'
import type { AgentTls, RunTools } from '../checks/define.ts'
import { targetGuard } from '../checks/guard.ts'
import { programEnvironment } from '../checks/program.ts'
import { ProgramHost } from '../checks/program-host.run.ts'
import { type DnsRights, openRights } from '../dns/rights.ts'
import { createDnsFace, type DnsFace } from '../dns/server.ts'
import { Admission } from '../http/admission.ts'
import type { HttpSettings } from '../http/pipeline.ts'
import { checkFromFile, serviceFromFile } from '../http/registry/agent-body.ts'
import type { AgentTokensPort } from '../http/registry/agent-token.ts'
import type { MetricsSource } from '../http/registry/metrics.ts'
import { registryPaths } from '../http/registry/mod.ts'
import type { AgentIdentity } from '../http/registry/self.ts'
import { createHttpFace, type HttpFace } from '../http/server.ts'
import { sealerFor } from '../identity/registry-key.ts'
import { tokenExpiry } from '../identity/token.ts'
import { Events } from '../registry/event.run.ts'
import { Queries } from '../registry/query.run.ts'
import { Registry } from '../registry/room.run.ts'
import { registryTimers } from '../registry/timers.ts'
import { Asker } from '../store/ask.ts'
import type { Age } from '../store/freshness.ts'
import { withSystemTables } from '../store/local.ts'
import type { Store } from '../store/store.ts'
import type { AnyTable } from '../store/table.ts'
import { registryTables } from '../store/tables/mod.ts'
import { ownRenewals, Timekeeper } from '../store/timekeeper.ts'
import type { AccessControl } from './access.ts'
import { addCertificateGauge, certificatesOf } from './certificates.ts'
import { LEADING_ROLE } from './cluster.ts'
import type { SettledConfig } from './config.ts'
import { etcdAccess } from './config-etcd.ts'
import { secureOptionsOf } from './config-tls.ts'
import { dnsRights } from './dns-rights.ts'
import { externalChecks } from './external-checks.ts'
import { addGauges } from './gauges.ts'
import { hostFacts } from './host.ts'
import { type LocalPorts, LocalState } from './local-state.ts'
import type { Reloadable } from './reload.ts'
import { type MembersPort, Servers } from './servers.ts'
import { snapshotsOf } from './snapshots.ts'
import { startSinks } from './telemetry.ts'
import type { OwnTokens } from './tokens.ts'
import { Watches } from './watches.ts'

/** All tables that a server's store holds. */
const allTables: readonly AnyTable[] = withSystemTables(registryTables)

/** What an agent runs with: the world as ports, so that tests can bring another. */
export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly log: LiveLog
  readonly metrics: Metrics
  /** The variables of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

export const realWorld = (log: LiveLog): World => ({
  clock: systemClock,
  random: systemRandom,
  log,
  metrics: new Metrics(systemClock),
  environment: process.env,
})

/** The parts of a running agent, in the order in which they start. */
export interface Agent {
  readonly store: Store
  readonly timekeeper: Timekeeper
  readonly events: Events
  readonly local: LocalState
  readonly http: HttpFace
  readonly dns: DnsFace
  readonly watches: Watches
  readonly registry: Registry
  readonly audit: Audit
  readonly servers: Servers
  /** What takes over a changed configuration, in order. */
  readonly reloadables: readonly Reloadable[]
  /** Ends what gauges observe all the time. */
  stopGauges(): void
  stopSinks(): void
}

/** What clients may ask of the process as a whole. */
export interface ProcessPort {
  reload(): Promise<readonly string[]>
  /** Has it leave the cluster, drain and end; a refusal where the others need it. */
  leave(force: boolean): Promise<true | Refusal>
  /** Has it drain and end; it stays a member. */
  drain(): void
}

/** Opens the store that the configuration names. Throws OperatingError with the way out. */
export async function openStore(
  config: SettledConfig,
  { clock, random, log, metrics }: World,
): Promise<Store> {
  const commits = metrics.sample('raft.commitTime', 'Milliseconds that a batch took to the disk.')
  const writes = metrics.counter('raft.apply', 'Transactions that became durable.')
  const onCommit = (transactions: number, tookMs: number): void => {
    commits.add(tookMs)
    writes.add(transactions)
  }
  const common = { tables: allTables, clock, random, onCommit }
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
  const own = await openOwnStore(config, { clock, random })
  const { endpoints, prefix } = etcd
  const access = etcdAccess(etcd, clock)
  const place = { endpoints, prefix, access, serverId: config.nodeId }
  const store = await openEtcdStore({ ...common, ...place, own }).catch(async (error: unknown) => {
    await own.close()
    throw error
  })
  for (const warning of store.warnings) log.warn(warning)
  return store
}

/** The store beside a shared one, for what is this server's alone: its audit journal. */
async function openOwnStore(
  { audit, dataDir, store: { acceptRevision } }: SettledConfig,
  { clock, random }: Pick<World, 'clock' | 'random'>,
): Promise<Store> {
  const common = { tables: withSystemTables([]), clock, random }
  if (!audit.enabled || dataDir === undefined) {
    const { openMemoryStore } = await import('../store/memory/engine.ts')
    return openMemoryStore(common)
  }
  const { openLevelStore } = await import('../store/level/engine.ts')
  return openLevelStore({ ...common, folder: join(dataDir, 'audit'), acceptRevision })
}

/** What is there before the parts of an agent: each write goes through it. */
export interface Ground {
  readonly store: Store
  readonly access: AccessControl
  readonly audit: Audit
  readonly age: Age
  readonly members: MembersPort
}

/** Makes all parts of a server agent on an open store; nothing listens or runs yet. */
export function composeAgent(
  started: SettledConfig,
  { store, access, audit, age, members }: Ground,
  world: World,
  process: ProcessPort,
): Agent {
  const live: Live = { config: started }
  const { config } = live
  const { clock, random, log, metrics } = world
  const timeouts = new Timeouts(clock)
  const asker = new Asker(store, timeouts)
  const resolver = createResolver({ clock })
  const tools = checkTools(live, world, resolver)
  const { authority, writer } = access
  const common = { store, clock, timeouts, log }
  const servers = new Servers(config, { store, writer, timeouts, age, members }, world)
  const timekeeper = new Timekeeper(
    { store, clock, random, log },
    {
      role: LEADING_ROLE,
      holder: config.nodeId,
      kinds: [...registryTimers(config.checkDeregisterMinMs), tokenExpiry],
      duties: [externalChecks({ ...common, random, tools }, config), servers.duty],
    },
  )
  const events = new Events({ store, writer, log, node: config.nodeName })
  const { datacenter, sessionTtlMinMs } = config
  const registry = new Registry({
    ...{ ...common, writer, metrics, sessionTtlMinMs },
    renewals: ownRenewals(timekeeper),
  })
  const local = new LocalState(
    {
      ...{ ...common, writer, random, tools, read: definitionsOf(config) },
      ...{ tokens: access.agentTokens, sealer: sealerFor(access.key, 'agent/definition') },
    },
    config,
  )
  access.tokens.onChange(() => local.lookOver())
  const queries = new Queries({
    ...{ store, writer, random, node: config.nodeName },
    ...{ authority, sealer: sealerFor(access.key, 'registry/query') },
  })
  const paths = registryPaths({
    registry,
    acl: access.acl,
    tokens: agentTokens(live, access),
    agent: local,
    identity: identityOf(live, store),
    metrics: metricsSource(live, metrics, clock),
    events,
    audit,
    queries,
    conditions: access.acl?.conditions,
    bounds: {
      kvValueSizeBytes: config.kvMaxValueSizeBytes,
      txnBodySizeBytes: config.txnMaxBodySizeBytes,
      takesAnyKey: config.http.takesAnyKey,
    },
    cluster: servers.cluster,
    snapshots: snapshotsOf(store, allTables, row => access.acl?.room.restoreProblem(row)),
    runtime: { ...process, nodeName: config.nodeName, log, host: () => hostFacts(clock) },
    debug: { enabled: config.debug || config.acl.enabled, profiler: createProfiler(clock) },
  })
  const http = createHttpFace({
    ...{ asker, random, clock, log, metrics, authority, datacenter },
    ...(audit.isOn ? { audit } : {}),
    ...config.http,
    ...httpSettings(config),
    admission: new Admission({ ...config.http, clock, log, metrics }),
    paths,
  })
  const rights = rightsOfDns(access, store, queries)
  const dns = createDnsFace({ asker, random, clock, log, metrics, config, rights })
  const stopGauges = addGauges({ metrics, store, asker, timeouts, timers: timersSet, datacenter })
  addCertificateGauge(metrics, clock, () => live.config.tls)
  const naming = (): MetricNaming => live.config.telemetry
  const stopSinks = startSinks(config.telemetry, { metrics, log, resolver, naming })
  const watches = new Watches({
    ...{ asker, timeouts, clock, random, log, paths, tools },
    ...{ tokens: access.agentTokens, authority },
  })
  const takers = reloadables(live, log, local, { http, dns, watches, audit }, access.tokens)
  const parts = { store, timekeeper, events, local, http, dns, watches, registry, audit, servers }
  return { ...parts, reloadables: takers, stopGauges, stopSinks }
}

/** How definitions of files are read: as the bodies of the agent's endpoints are. */
const definitionsOf = ({ nodeName }: SettledConfig): LocalPorts['read'] => ({
  service: body => serviceFromFile(nodeName, body),
  check: checkFromFile,
})

/** Whose rights decide about the answers of DNS. */
function rightsOfDns(access: AccessControl, store: Store, queries: Queries): DnsRights {
  if (access.acl === undefined) return openRights
  const { authority, tokens: own, agentTokens: tokens } = access
  const seerOf: DnsRights['seerOf'] = (who, query) => queries.seerOf(who, query)
  return dnsRights({ store, authority, own, tokens, seerOf })
}

/** The agent's tokens as the API sets them; undefined where ACLs are off. */
const agentTokens = (
  { config }: Live,
  { acl, tokens }: AccessControl,
): AgentTokensPort | undefined =>
  acl === undefined
    ? undefined
    : { nodeName: config.nodeName, set: (kind, token) => tokens.set(kind, token) }

/** What the runs of checks share. */
function checkTools(live: Live, world: World, resolver: Resolver): RunTools {
  const { config } = live
  const environment = programEnvironment(world.environment)
  return {
    resolver,
    mayReach: targetGuard(config.checkTargetsAllow),
    programs: new ProgramHost(environment),
    environment,
    dockerHost: world.environment.DOCKER_HOST ?? '',
    agentTls: agentTlsOf(live),
  }
}

/** What checks show and trust with `enable_agent_tls_for_checks`; a context for each material. */
function agentTlsOf(live: Live): () => AgentTls | undefined {
  let made: { readonly digest: string; readonly context: AgentTls['context'] } | undefined
  return () => {
    const { tls, nodeName } = live.config
    const { material } = tls.internalRpc
    if (!tls.forChecks || material === undefined) return undefined
    if (made?.digest !== material.digest) {
      made = { digest: material.digest, context: clientContext(material) }
    }
    const serverName = tls.serverName ?? nodeName
    return { context: made.context, pems: material.pems(), serverName }
  }
}

/** The configuration as it is now: what is asked for at each use follows a reload. */
interface Live {
  config: SettledConfig
}

function identityOf(live: Live, store: Store): AgentIdentity {
  return {
    ...live.config,
    get nodeMeta() {
      return live.config.nodeMeta
    },
    get tls() {
      return live.config.tls
    },
    revision: () => store.view().revision,
  }
}

const metricsSource = (live: Live, metrics: Metrics, clock: Clock): MetricsSource => ({
  metrics,
  nodeName: live.config.nodeName,
  naming: () => live.config.telemetry,
  prometheusRetentionMs: () => live.config.telemetry.prometheusRetentionMs,
  certificates: () => certificatesOf(live.config.tls),
  now: () => clock.wall(),
})

const httpSettings = (config: SettledConfig): HttpSettings => ({
  pretty: config.http.prettyJson,
  queryWaitDefaultMs: config.defaultQueryTimeMs,
  queryWaitMaxMs: config.maxQueryTimeMs,
  usesCache: config.http.usesCache,
  discoveryMaxStaleMs: config.discoveryMaxStaleMs,
  responseHeaders: headersOf(config),
})

/** What takes over which settings while the agent runs, in the order in which they are told. */
function reloadables(
  live: Live,
  log: LiveLog,
  local: LocalState,
  { http, dns, watches, audit }: Pick<Agent, 'http' | 'dns' | 'watches' | 'audit'>,
  tokens: OwnTokens,
): Reloadable[] {
  return [
    {
      takes: [
        ...['prefix', 'hostName', 'prefixFilter', 'filterDefault', 'prometheusRetentionMs'].map(
          name => `telemetry.${name}`,
        ),
      ],
      always: true,
      apply(next) {
        live.config = next
      },
    },
    { takes: ['log.level'], apply: next => log.setLevel(next.log.level) },
    {
      takes: [
        'http.responseHeaders',
        'http.usesCache',
        'defaultQueryTimeMs',
        'maxQueryTimeMs',
        'discoveryMaxStaleMs',
      ],
      apply: next => http.configure(httpSettings(next)),
    },
    {
      takes: ['http.rates', 'http.connectionsPerClient'],
      apply: next => http.setLimits(next.http),
    },
    {
      takes: ['tls'],
      apply(next) {
        const secure = secureOptionsOf(next.tls.https)
        // Without a certificate there is no listener, or it waits for a restart to go.
        if (secure !== undefined) http.secure(secure)
      },
    },
    { takes: ['acl.tokens'], apply: next => tokens.configure(next.acl.tokens) },
    // Files that were renamed are begun anew; which devices there are takes a restart.
    { takes: [], always: true, apply: () => audit.reopen() },
    { takes: ['dns'], apply: next => dns.configure(next.dns) },
    { takes: ['watches'], apply: next => watches.configure(next.watches) },
    {
      // Also what was deregistered meanwhile comes back, as long as a file holds it.
      takes: ['services', 'checks', 'nodeMeta'],
      always: true,
      check: next => local.problemOf(next),
      apply: next => local.configure(next),
    },
  ]
}

/** Headers that the configuration adds to every answer. */
const headersOf = ({ http, translateWanAddresses }: SettledConfig): Record<string, string> => ({
  ...http.responseHeaders,
  ...(translateWanAddresses ? { 'X-Consul-Translate-Addresses': 'true' } : {}),
})
