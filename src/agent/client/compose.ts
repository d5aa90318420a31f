/**
 * Joins the parts of an agent that is no server: what it keeps and runs itself is made of the same
 * parts as a server's, everything else is forwarded.
 *
 * Owns who gets what. Holds no rule and no protocol. Imports nothing that only a server needs: an
 * agent runs on every machine, and must be small.
 */
import { join } from 'node:path'
import { timersSet } from '../../base/clock.ts'
import type { Refusal } from '../../base/errors.ts'
import { createResolver } from '../../base/io/dns2.ts'
import { createProfiler } from '../../base/io/profiler.ts'
import { RateGate } from '../../base/request-rates.ts'
import { Timeouts } from '../../base/timeouts.ts'
import type { Coordinate } from '../../base/vivaldi.ts'
import { createDnsFace, type DnsFace } from '../../dns/server.ts'
import { followStream } from '../../feed/follow-stream.run.ts'
import { localService } from '../../grpc/registry/agent.ts'
import type { GrpcFace } from '../../grpc/server.ts'
import { Admission } from '../../http/admission.ts'
import type { PathDeclaration } from '../../http/declare.ts'
import { pathIn } from '../../http/path.ts'
import { keptPaths } from '../../http/registry/kept.ts'
import { ownPaths } from '../../http/registry/own.ts'
import type { AgentIdentity } from '../../http/registry/self.ts'
import type { SecretsRelay } from '../../http/secrets/relay.ts'
import { createHttpFace, type HttpFace } from '../../http/server.ts'
import { mayTakeKept } from '../../http/views.ts'
import { recoveryPrincipal } from '../../identity/recovery.ts'
import { type RegistryKey, sealerFor } from '../../identity/registry-key.ts'
import type { AgentPort } from '../../registry/local.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import { Asker } from '../../store/ask.ts'
import { withSystemTables } from '../../store/local.ts'
import { isRefusal, type Store } from '../../store/store.ts'
import { registryTables } from '../../store/tables/mod.ts'
import { Writer } from '../../store/writer.ts'
import { addCertificateGauge } from '../certificates.ts'
import type { SettledConfig } from '../config.ts'
import { addProcessGauges } from '../gauges.ts'
import { grpcOf, grpcReloadables } from '../grpc.ts'
import { hostFacts } from '../host.ts'
import { LocalState } from '../local-state.ts'
import {
  checkTools,
  commonReloadables,
  definitionsOf,
  definitionsReloadable,
  httpSettings,
  type Live,
  metricsSource,
  type ProcessPort,
  type World,
} from '../parts.ts'
import { openTokens, Publishers } from '../publishers.ts'
import type { Reloadable } from '../reload.ts'
import { AgentSinks, sinksReloadable } from '../sinks.ts'
import { startSinks } from '../telemetry.ts'
import type { OwnTokens } from '../tokens.ts'
import { forwardedCalls } from './calls.ts'
import { streamAs } from './feed.ts'
import { Forwarder, registryHalf } from './forward.ts'
import { pathMatcher } from './paths.ts'
import { relayReloadables, secretsRelayOf } from './secrets.ts'
import { Upstream } from './upstream.ts'
import { ClientViews } from './views.ts'

/** Who may what on an agent that is no server. */
export interface ClientAccess {
  /** Seals what others leave with this agent. */
  readonly key: RegistryKey
  /** The agent's own tokens. */
  readonly tokens: OwnTokens
  /** Whether ACLs are on. */
  readonly isOn: boolean
}

/** What is there before the parts of an agent. */
export interface ClientGround {
  /** What this agent was asked to keep, and how its node stands by that. */
  readonly store: Store
  readonly channel: ServerChannel
  readonly access: ClientAccess
  /** Where this agent stands among the others. */
  readonly coordinate: () => Coordinate
}

/** The parts of a running agent that is no server. */
export interface ClientAgent {
  readonly store: Store
  readonly local: LocalState
  readonly upstream: Upstream
  /** Those of the configuration. */
  readonly sinks: AgentSinks
  readonly forwarder: Forwarder
  /** What it keeps of the servers' store. */
  readonly views: ClientViews
  readonly http: HttpFace
  readonly grpc: GrpcFace
  /** Undefined where secrets are not asked for here. */
  readonly secrets: SecretsRelay | undefined
  readonly dns: DnsFace
  /** What takes over a changed configuration, in order. */
  readonly reloadables: readonly Reloadable[]
  stopGauges(): void
  stopSinks(): void
}

/** Opens the agent's own store. Throws OperatingError with the way out. */
export async function openClientStore(
  { dataDir, store: { acceptRevision } }: SettledConfig,
  { clock, random }: Pick<World, 'clock' | 'random'>,
): Promise<Store> {
  const common = { tables: withSystemTables(registryTables), clock, random }
  if (dataDir === undefined) {
    const { openMemoryStore } = await import('../../store/memory/engine.ts')
    return openMemoryStore(common)
  }
  const { openLevelStore } = await import('../../store/level/engine.ts')
  return openLevelStore({ ...common, folder: join(dataDir, 'agent'), acceptRevision })
}

/** Makes all parts of an agent on its open store; nothing listens or runs yet. */
export function composeClient(
  started: SettledConfig,
  { store, channel, access, coordinate }: ClientGround,
  world: World,
  process: ProcessPort,
): ClientAgent {
  const live: Live = { config: started }
  const { config } = live
  const { clock, random, log, metrics } = world
  const timeouts = new Timeouts(clock)
  const asker = new Asker(store, timeouts)
  const resolver = createResolver({ clock })
  const tools = checkTools(live, world, resolver)
  const sealer = sealerFor(access.key, 'agent/definition')
  const common = { store, clock, timeouts, random, log }
  // Whether entries may be so in the catalog is for the servers to say, as they are told of them.
  const local = new LocalState(
    {
      ...{ ...common, tools, sealer, tokens: openTokens },
      ...{ writer: new Writer(store), read: definitionsOf(config) },
    },
    config,
  )
  const upstream = new Upstream(
    {
      ...{ ...common, channel, metrics, tokenOf: kind => access.tokens.of(kind) },
      publishers: new Publishers(config.nodeName, { tokens: openTokens, sealer, log }),
    },
    config.nodeName,
    config.antiEntropyIntervalMs,
  )
  access.tokens.onChange(() => upstream.suspectAll())
  const views = new ClientViews({
    ...{ channel, clock, random, timeouts, log, tokens: access.tokens },
    acl: access.isOn ? config.acl : undefined,
    recoverer: recoveryPrincipal(config.nodeName),
  })
  const { authority } = views
  const forwarder = new Forwarder({
    ...{ channel, clock, timeouts, metrics, node: config.nodeName },
    half: registryHalf(() => access.tokens.of('default')),
    awaySinceMs: () => upstream.awaySinceMs,
    responseHeaders: () => httpSettings(live.config).responseHeaders,
  })
  const ground = { store, channel, access, coordinate }
  const sinks = sinksOf(config, ground, world)
  const paths = pathsOf(live, { ...ground, local, upstream, sinks }, world, process)
  const kept = keptPaths(config.datacenter, config.nodeName)
  const [isOwn, isKept] = [pathMatcher(paths), pathMatcher(kept)]
  const http = createHttpFace({
    ...{ asker, random, clock, log, metrics, authority, datacenter: config.datacenter },
    ...config.http,
    ...httpSettings(config),
    admission: new Admission({ ...config.http, clock, log, metrics }),
    paths: [...paths, ...kept],
    views: views.http((message, response, reply) => forwarder.send(message, response, reply)),
    divert(message, response, reply) {
      const { method, url = '/' } = message
      const path = pathIn(url)
      if (!path.startsWith('/v1/') || isOwn(path)) return false
      // Looked at closer by the face, which has those forwarded that what is kept cannot answer.
      const mayBeKept = method === 'GET' && isKept(path)
      if (mayBeKept && mayTakeKept(url, live.config.discoveryMaxStaleMs)) return false
      forwarder.send(message, response, reply)
      return true
    },
  })
  const grpc = grpcOfClient(config, { channel, access, timeouts, local, upstream, views }, world)
  const awaySinceMs = (): number | undefined => upstream.awaySinceMs
  const secrets = secretsRelayOf(config, { channel, timeouts, awaySinceMs }, world)
  const stopGauges = addProcessGauges({ metrics, asker, timeouts, timers: timersSet })
  const dns = createDnsFace({
    ...{ asker: views.asker, random, clock, log, metrics, config },
    ...{ rights: views.dnsRights, views: views.dns },
  })
  addClientGauges({ channel, upstream, forwarder, views, clock, metrics })
  addCertificateGauge(metrics, clock, () => live.config.tls)
  const sinkPorts = { metrics, log, resolver, naming: () => live.config.telemetry }
  const stopSinks = startSinks(config.telemetry, sinkPorts)
  const parts = { store, local, sinks, upstream, forwarder, views, http, grpc, secrets, dns }
  const reloadables = reloadablesOf(live, log, parts, access.tokens)
  return { ...parts, reloadables, stopGauges, stopSinks }
}

/** What takes over which settings while the agent runs, in the order in which they are told. */
const reloadablesOf = (
  live: Live,
  log: World['log'],
  {
    http,
    grpc,
    secrets,
    dns,
    sinks,
    local,
  }: Pick<ClientAgent, 'http' | 'grpc' | 'secrets' | 'dns' | 'sinks' | 'local'>,
  tokens: OwnTokens,
): Reloadable[] => [
  ...commonReloadables(live, log, http, tokens),
  ...grpcReloadables(grpc),
  ...relayReloadables(secrets),
  { takes: ['dns'], apply: next => dns.configure(next.dns) },
  sinksReloadable(sinks),
  definitionsReloadable(local),
]

/** What the agent keeps right by its configuration. */
function sinksOf(
  { checkTargetsAllow: allow, nodeName: node }: SettledConfig,
  { channel, access }: Pick<ClientGround, 'channel' | 'access'>,
  { clock, random, log, metrics, environment }: World,
): AgentSinks {
  const shown = (token: string) => () => token || access.tokens.of('default')
  return new AgentSinks({
    ...{ clock, random, log, metrics, environment, allow },
    followAs: token =>
      followStream({ clock, random, open: streamAs({ channel, node }, shown(token)) }),
  })
}

/** The face of gRPC: health and what is registered here is its own, servers answer all else. */
function grpcOfClient(
  config: SettledConfig,
  parts: Pick<ClientGround, 'channel' | 'access'> &
    Pick<ClientAgent, 'local' | 'upstream' | 'views'> & { readonly timeouts: Timeouts },
  world: World,
): GrpcFace {
  const { channel, access, timeouts, local, upstream, views } = parts
  const { clock } = world
  const fallback = forwardedCalls({
    ...{ channel, clock, timeouts, node: config.nodeName },
    defaultToken: () => access.tokens.of('default'),
  })
  const rates = new RateGate(config.http.rates, world)
  const methods = localService({ agent: told(local, upstream), clock })
  const ground = { ...world, authority: views.authority, rates }
  return grpcOf(config, ground, methods, { fallback, reflects: false })
}

/** The paths that the agent answers of itself. */
function pathsOf(
  live: Live,
  parts: ClientGround & Pick<ClientAgent, 'local' | 'upstream' | 'sinks'>,
  { clock, log, metrics }: World,
  process: ProcessPort,
): PathDeclaration[] {
  const { store, channel, access, coordinate, local, upstream, sinks } = parts
  const { config } = live
  return ownPaths({
    agent: told(local, upstream),
    identity: identityOf(live, store),
    metrics: metricsSource(live, metrics, clock),
    runtime: { ...process, nodeName: config.nodeName, log, host: () => hostFacts(clock) },
    debug: { enabled: config.debug || config.acl.enabled, profiler: createProfiler(clock) },
    tokens: access.isOn
      ? { nodeName: config.nodeName, set: (kind, token) => access.tokens.set(kind, token) }
      : undefined,
    registry: { coordinateOf: coordinate },
    cluster: { knownServers: () => channel.servers.length },
    sinks: sinks.tasks,
  })
}

/** The agent's own side, with word to the servers of what clients registered, if only again. */
function told(local: LocalState, upstream: Upstream): AgentPort {
  /** Answers once it is durable here and, where a server is reached, stands in the catalog. */
  const after = async (
    answer: true | Refusal,
    tell: () => void = () => {},
  ): Promise<true | Refusal> => {
    if (isRefusal(answer)) return answer
    tell()
    await upstream.told()
    return answer
  }
  return {
    node: local.node,
    nodeId: local.nodeId,
    datacenter: local.datacenter,
    services: who => local.services(who),
    checks: who => local.checks(who),
    async registerService(who, request) {
      const { id } = request.service
      return after(await local.registerService(who, request), () =>
        upstream.registered([id], local.checkIdsOf(id)),
      )
    },
    deregisterService: async (who, id) => after(await local.deregisterService(who, id)),
    async registerCheck(who, request) {
      const { checkId, name } = request.check
      return after(await local.registerCheck(who, request), () =>
        upstream.registered([], [checkId || name]),
      )
    },
    deregisterCheck: async (who, id) => after(await local.deregisterCheck(who, id)),
    updateTtl: async (who, id, said) => after(await local.updateTtl(who, id, said)),
    ttlMsOf: checkId => local.ttlMsOf(checkId),
    setMaintenance: async (who, request) => after(await local.setMaintenance(who, request)),
  }
}

const identityOf = (live: Live, store: Store): AgentIdentity => ({
  ...live.config,
  get nodeMeta() {
    return live.config.nodeMeta
  },
  get tls() {
    return live.config.tls
  },
  revision: () => store.view().revision,
})

interface ClientGaugePorts {
  readonly channel: Pick<ServerChannel, 'servers'>
  readonly upstream: Pick<Upstream, 'awaySinceMs' | 'pending'>
  readonly forwarder: Pick<Forwarder, 'size'>
  readonly views: Pick<ClientViews, 'replica'>
  readonly clock: World['clock']
  readonly metrics: World['metrics']
}

/** How the agent stands to its servers. */
function addClientGauges(ports: ClientGaugePorts): void {
  const { channel, upstream, forwarder, views, clock, metrics } = ports
  const { replica } = views
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.gauge(`client.${name}`, help, read)
  gauge('servers', 'Servers that are known.', () => channel.servers.length)
  gauge('connected', 'Whether a server is reached: 1 or 0.', () =>
    upstream.awaySinceMs === undefined ? 1 : 0,
  )
  gauge('away_seconds', 'For how long no server was reached.', () =>
    upstream.awaySinceMs === undefined ? 0 : (clock.monotonic() - upstream.awaySinceMs) / 1_000,
  )
  gauge('sync.pending', 'Entries that no server was told of yet.', () => upstream.pending)
  gauge(
    'views.interests',
    'Services, nodes and tokens that are followed.',
    () => replica.kept.interests,
  )
  gauge('views.size_bytes', 'What is kept of rows, about.', () => replica.kept.sizeBytes)
  gauge('views.age_seconds', 'How old that may be.', () => replica.ageMs() / 1_000)
  gauge('rpc.open', 'Requests that are forwarded now.', () => forwarder.size)
}
