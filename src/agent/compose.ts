/**
 * The one place that creates adapters and joins the rooms into an agent.
 *
 * Owns who gets what. Holds no rule and no protocol: it only makes things and hands them on.
 */
import { join } from 'node:path'
import type { Audit } from '../audit/audit.run.ts'
import { assert } from '../base/assert.ts'
import { type Random, timersSet } from '../base/clock.ts'
import { createResolver } from '../base/io/dns2.ts'
import { createProfiler } from '../base/io/profiler.ts'
import type { LiveLog } from '../base/log.ts'
import type { MetricNaming } from '../base/metrics-forms.ts'
import { RateGate } from '../base/request-rates.ts'
import type { RpcService } from '../base/rpc.ts'
import { Timeouts } from '../base/timeouts.ts'
import type { Authority } from '../base/who.ts'
import { archiveProblem, type Levels, ownLevels } from '../cluster/features.ts'
import { type DnsRights, openRights } from '../dns/rights.ts'
import { createDnsFace, type DnsFace } from '../dns/server.ts'
import { type FeedPorts, Feeds } from '../feed/feed.run.ts'
import type { GrpcFace } from '../grpc/server.ts'
import { Admission } from '../http/admission.ts'
import type { PathDeclaration } from '../http/declare.ts'
import type { AgentTokensPort } from '../http/registry/agent-token.ts'
import { registryPaths } from '../http/registry/mod.ts'
import type { AgentIdentity } from '../http/registry/self.ts'
import { createHttpFace, type HttpFace } from '../http/server.ts'
import { sealerFor } from '../identity/registry-key.ts'
import { tokenExpiry } from '../identity/token.ts'
import { deadAgent } from '../registry/agent-health.ts'
import { AgentSync } from '../registry/agent-sync.run.ts'
import { Events } from '../registry/event.run.ts'
import { Queries } from '../registry/query.run.ts'
import { Registry, type RegistryOptions } from '../registry/room.run.ts'
import { registryTimers } from '../registry/timers.ts'
import { registryTopics } from '../registry/topic/mod.ts'
import { callService } from '../rpc/call.ts'
import type { AgentChannel } from '../rpc/channels.ts'
import { forwardService } from '../rpc/forward.ts'
import { syncService } from '../rpc/sync.ts'
import { viewService } from '../rpc/view.ts'
import { Asker } from '../store/ask.ts'
import { coldProof } from '../store/cold-proof.ts'
import { coldSweep } from '../store/cold-sweep.ts'
import type { ManagedMember } from '../store/etcd/member/member.ts'
import type { Age } from '../store/freshness.ts'
import { withSystemTables } from '../store/local.ts'
import { Publisher } from '../store/replica/publisher.ts'
import type { ProblemOf, Snapshots } from '../store/snapshot.ts'
import type { Store } from '../store/store.ts'
import type { AnyTable } from '../store/table.ts'
import { registryTables } from '../store/tables/mod.ts'
import { type Duty, Timekeeper } from '../store/timekeeper.ts'
import type { AccessControl } from './access.ts'
import type { AgentsRpc } from './agents-rpc.ts'
import { addCertificateGauge } from './certificates.ts'
import { viewKinds } from './client/views.ts'
import { LEADING_ROLE } from './cluster.ts'
import type { SettledConfig } from './config.ts'
import { etcdAccess } from './config-etcd.ts'
import { dnsRights } from './dns-rights.ts'
import { externalChecks } from './external-checks.ts'
import { addGauges } from './gauges.ts'
import { grpcReloadables } from './grpc.ts'
import { grpcOfServer } from './grpc-server.ts'
import { hostFacts } from './host.ts'
import { ServerLiveness } from './liveness.ts'
import { LocalState } from './local-state.ts'
import {
  boundsOf,
  checkTools,
  commonReloadables,
  definitionsOf,
  definitionsReloadable,
  httpSettings,
  type Live,
  metricsSource,
  type ProcessPort,
  type World,
} from './parts.ts'
import type { Reloadable } from './reload.ts'
import type { SecretsHalf } from './secrets.ts'
import { serverSinks } from './server-sinks.ts'
import { type MembersPort, Servers } from './servers.ts'
import { type AgentSinks, sinksReloadable } from './sinks.ts'
import { SnapshotSchedule } from './snapshot-schedule.ts'
import { snapshotsOf } from './snapshots.ts'
import { startSinks } from './telemetry.ts'
import type { OwnTokens } from './tokens.ts'
import { Watches } from './watches.ts'

/** All tables that a server's store holds. */
const allTables: readonly AnyTable[] = withSystemTables(registryTables)

/** The parts of a running agent, in the order in which they start. */
export interface Agent {
  readonly store: Store
  /** What is followed of the store, and by whom. */
  readonly feeds: Feeds
  /** Those of the configuration. */
  readonly sinks: AgentSinks
  readonly timekeeper: Timekeeper
  readonly events: Events
  readonly local: LocalState
  readonly http: HttpFace
  readonly grpc: GrpcFace
  readonly dns: DnsFace
  readonly watches: Watches
  readonly registry: Registry
  readonly audit: Audit
  readonly servers: Servers
  /** Archives that are saved by themselves. */
  readonly schedule: SnapshotSchedule | undefined
  /** What agents without a store follow of this one's. */
  readonly views: Publisher
  readonly liveness: ServerLiveness
  readonly sync: AgentSync
  /** What other agents may call here. */
  readonly rpc: readonly RpcService[]
  readonly agents: AgentsRpc | undefined
  readonly secrets: SecretsHalf | undefined
  /** What takes over a changed configuration, in order. */
  readonly reloadables: readonly Reloadable[]
  /** Ends what gauges observe all the time. */
  stopGauges(): void
  stopSinks(): void
}

/**
 * Opens the store that the configuration names, over this server's `member` where it runs one.
 * Throws OperatingError with the way out.
 */
export async function openStore(
  config: SettledConfig,
  { clock, random, log, metrics }: World,
  member?: ManagedMember,
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
  const endpoints = member?.endpoints ?? etcd.endpoints
  const access = member?.storeAccess ?? etcdAccess(etcd, clock)
  const { prefix } = etcd
  const { nodeId: serverId, dataDir } = config
  const kept = dataDir === undefined ? {} : { checkpointFolder: join(dataDir, 'checkpoint') }
  const quotaSizeBytes =
    member === undefined ? etcd.quotaSizeBytes : config.store.member.quotaSizeBytes
  const place = { endpoints, prefix, access, serverId, quotaSizeBytes, ...kept }
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
  /** The way to other servers; undefined where servers do not talk to each other. */
  readonly channel: AgentChannel | undefined
  /** The feature levels of this program unless given. */
  readonly levels?: Levels | undefined
  /** What speaks with other agents; undefined where `ports.server` is off. */
  readonly agents: AgentsRpc | undefined
  readonly secrets?: SecretsHalf | undefined
}

/** Makes all parts of a server agent on an open store; nothing listens or runs yet. */
export function composeAgent(
  started: SettledConfig,
  { store, access, audit, age, members, channel, agents, secrets, levels = ownLevels }: Ground,
  world: World,
  process: ProcessPort,
): Agent {
  const live: Live = { config: started }
  const { config } = live
  const { clock, random, log, metrics } = world
  const timeouts = new Timeouts(clock)
  const asker = new Asker(store, timeouts, age)
  const resolver = createResolver({ clock })
  const tools = checkTools(live, world, resolver)
  const { authority, writer } = access
  const common = { store, clock, timeouts, log }
  const standing = { store, writer, timeouts, age, members, channel, metrics, levels }
  const servers = new Servers(config, standing, world)
  const liveness = livenessOf(config, { store, channel }, world, () => registry)
  const feeds = feedsOf(config, { store, authority, age }, world, secrets)
  const { sinks, storedSinks } = serverSinks(config, { store, access, feeds }, world)
  const external = externalChecks({ ...common, random, tools }, config)
  const duties = [external, storedSinks.duty, ...liveness.duties]
  const timekeeper = timekeeperOf(config, store, world, servers, duties)
  const events = new Events({ store, writer, log, node: config.nodeName })
  const snapshots = snapshotsOf(store, allTables, archiveProblems(access, levels))
  const reload = () => process.reload()
  secrets?.reach({ live, cluster: servers.cluster, snapshots, reload })
  const registry = registryOf(config, { ...common, writer, metrics }, servers, timekeeper)
  const sealer = sealerFor(access.key, 'agent/definition')
  const localPorts = { ...common, writer, random, tools, read: definitionsOf(config), sealer }
  const local = new LocalState({ ...localPorts, tokens: access.agentTokens }, config)
  access.tokens.onChange(() => local.lookOver())
  const queries = queriesOf(config, store, access, random)
  const schedule = scheduleOf(config, snapshots, world)
  const paths = registryPaths({
    ...{ registry, events, feeds, audit, queries, snapshots, acl: access.acl },
    tokens: agentTokens(live, access),
    agent: local,
    identity: identityOf(live, store, { liveness, servers }),
    metrics: metricsSource(live, metrics, clock),
    ...{ storedSinks, sinks: sinks.tasks },
    conditions: access.acl?.conditions,
    bounds: boundsOf(config),
    cluster: servers.cluster,
    agentsCa: agents?.ca,
    runtime: { ...process, nodeName: config.nodeName, log, host: () => hostFacts(clock) },
    debug: { enabled: config.debug || config.acl.enabled, profiler: createProfiler(clock) },
  })
  const guards = { authority, audit, rates: new RateGate(config.http.rates, world) }
  const asked = secrets?.makeWay
  const http = httpOf(config, paths, asker, { ...guards, asked }, world)
  const rooms = { ...common, registry, asker, events, queries, servers, access, secrets, age }
  const rights = rightsOfDns(access, store, queries)
  const dns = createDnsFace({
    ...{ asker, random, clock, log, metrics, config, rights, hasThread: true },
  })
  const grpcRooms = { ...rooms, random, local, snapshots, feeds, dns, process }
  const grpc = grpcOfServer(live, { ...world, ...guards }, grpcRooms)
  const stopGauges = addGauges({
    ...{ metrics, store, asker, timeouts, timers: timersSet, cluster: servers.cluster },
    ...{ nodeId: config.nodeId, datacenter: config.datacenter },
  })
  addCertificateGauge(metrics, clock, () => live.config.tls)
  const naming = (): MetricNaming => live.config.telemetry
  const stopSinks = startSinks(config.telemetry, { metrics, log, resolver, naming })
  const watches = new Watches({
    ...{ asker, timeouts, clock, random, log, paths, tools },
    ...{ tokens: access.agentTokens, authority },
  })
  const taking = { http, grpc, dns, watches, audit, secrets, sinks }
  const takers = reloadables(live, log, local, taking, access.tokens)
  const faces = { http, grpc, dns, watches }
  const parts = { store, feeds, sinks, timekeeper, events, local, ...faces, registry }
  const kinds = viewKinds(config.acl)
  const views = new Publisher({ ...common, authority, kinds, ageMs: () => age.ageMs() })
  const sync = new AgentSync({ store, writer, authority, clock, log })
  const ofServers = [servers.service(timekeeper), ...(secrets?.rpc ?? []), ...liveness.services]
  const rpc = [...ofServers, ...ofAgents({ http, grpc, secrets, views, sync })]
  const reached = { audit, servers, rpc, agents, secrets, liveness, views, sync, schedule }
  return { ...parts, ...reached, reloadables: takers, stopGauges, stopSinks }
}

/** What agents that are no servers may call, for themselves and for their clients. */
const ofAgents = (
  parts: Pick<Agent, 'http' | 'grpc' | 'secrets' | 'views' | 'sync'>,
): readonly RpcService[] => [
  viewService(parts.views),
  syncService(parts.sync),
  forwardService(parts.http.takeForwarded, parts.secrets?.takeForwarded),
  callService(path => parts.grpc.methodOf(path)),
]

const registryOf = (
  { sessionTtlMinMs }: SettledConfig,
  ports: Omit<RegistryOptions, 'sessionTtlMinMs' | 'renewals'>,
  servers: Servers,
  timekeeper: Timekeeper,
): Registry => new Registry({ ...ports, sessionTtlMinMs, renewals: servers.renewals(timekeeper) })

const livenessOf = (
  { nodeId }: SettledConfig,
  ground: Pick<Ground, 'store' | 'channel'>,
  world: World,
  registry: () => Registry,
): ServerLiveness => new ServerLiveness(nodeId, { ...ground, registry }, world)

/** Which rows of an archive must not be restored here. */
const archiveProblems =
  ({ acl }: AccessControl, levels: Levels): ProblemOf =>
  row =>
    archiveProblem(row, levels) ?? acl?.room.restoreProblem(row)

interface HttpGround {
  readonly authority: Authority
  readonly audit: Audit
  readonly rates: RateGate
  /** Hears that somebody asks for something. */
  readonly asked: (() => void) | undefined
}

const httpOf = (
  config: SettledConfig,
  paths: readonly PathDeclaration[],
  asker: Asker,
  { authority, audit, rates, asked }: HttpGround,
  { clock, random, log, metrics }: World,
): HttpFace =>
  createHttpFace({
    ...{ asker, random, clock, log, metrics, authority, datacenter: config.datacenter },
    ...(audit.isOn ? { audit } : {}),
    ...(asked === undefined ? {} : { asked }),
    ...config.http,
    ...httpSettings(config),
    admission: new Admission({ ...config.http, gate: rates, clock, log, metrics }),
    paths,
  })

const queriesOf = (
  { nodeName: node }: SettledConfig,
  store: Store,
  { authority, writer, key }: AccessControl,
  random: Random,
): Queries => {
  const sealer = sealerFor(key, 'registry/query')
  return new Queries({ store, writer, random, node, authority, sealer })
}

/** What clients follow. */
const feedsOf = (
  { datacenter }: SettledConfig,
  ground: Pick<FeedPorts, 'store' | 'authority' | 'age'>,
  { clock, log, random }: World,
  secrets: SecretsHalf | undefined,
): Feeds => {
  const topics = [...registryTopics(datacenter), ...(secrets?.topics ?? [])]
  return new Feeds({ ...ground, topics, clock, log, processId: random.uuid() })
}

/** What saves archives by itself, where that is wanted. */
const scheduleOf = (
  { store: { snapshots: settings } }: SettledConfig,
  snapshots: Snapshots,
  world: World,
): SnapshotSchedule | undefined =>
  settings && new SnapshotSchedule({ ...world, ...snapshots }, settings)

/** What ends overdue rows where this server holds the role, and does the duties of the holder. */
const timekeeperOf = (
  { nodeId, checkDeregisterMinMs, reconnectTimeoutMs }: SettledConfig,
  store: Store,
  { clock, random, log }: World,
  servers: Servers,
  duties: readonly Duty[],
): Timekeeper =>
  new Timekeeper(
    { store, clock, random, log },
    {
      role: LEADING_ROLE,
      holder: nodeId,
      mayHold: () => servers.mayKeepTime,
      kinds: [...registryTimers(checkDeregisterMinMs), deadAgent(reconnectTimeoutMs), tokenExpiry],
      duties: [
        coldSweep({ store, tables: registryTables, clock, log }),
        coldProof({ store, clock, log }),
        ...servers.duties,
        ...duties,
      ],
    },
  )

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

function identityOf(
  live: Live,
  store: Store,
  { liveness, servers }: Pick<Agent, 'liveness' | 'servers'>,
): AgentIdentity {
  return {
    ...live.config,
    get nodeMeta() {
      return live.config.nodeMeta
    },
    get tls() {
      return live.config.tls
    },
    revision: () => store.view().revision,
    alarm: () => liveness.alarm,
    clockAlarm: () => servers.refuseIssuing()?.text ?? '',
  }
}

/** What takes over which settings while the agent runs, in the order in which they are told. */
function reloadables(
  live: Live,
  log: LiveLog,
  local: LocalState,
  {
    http,
    grpc,
    dns,
    watches,
    audit,
    secrets,
    sinks,
  }: Pick<Agent, 'http' | 'grpc' | 'dns' | 'watches' | 'audit' | 'secrets' | 'sinks'>,
  tokens: OwnTokens,
): Reloadable[] {
  return [
    ...commonReloadables(live, log, http, tokens),
    ...grpcReloadables(grpc),
    // Files that were renamed are begun anew; which devices there are takes a restart.
    { takes: [], always: true, apply: () => audit.reopen() },
    { takes: ['tls'], apply: next => secrets?.secure(next) },
    {
      takes: ['http.rates', 'http.connectionsPerClient'],
      apply: next => secrets?.setLimits(next),
    },
    { takes: ['dns'], apply: next => dns.configure(next.dns) },
    { takes: ['watches'], apply: next => watches.configure(next.watches) },
    sinksReloadable(sinks),
    definitionsReloadable(local),
  ]
}
