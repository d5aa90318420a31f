/**
 * The registry's HTTP face on a store of the test's own, and a client that is stricter than any:
 * every answer is held against its declaration, field by field.
 *
 * The parts are joined as compose.ts does; nothing is faked.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { Cluster } from '../../src/agent/cluster.ts'
import { hostFacts } from '../../src/agent/host.ts'
import { LocalState } from '../../src/agent/local-state.ts'
import { type AgentTokens, openTokens } from '../../src/agent/publishers.ts'
import { healthOf } from '../../src/agent/server-health.ts'
import { snapshotsOf } from '../../src/agent/snapshots.ts'
import { Audit, type AuditPorts, type AuditSettings } from '../../src/audit/audit.run.ts'
import { type Clock, systemClock, systemRandom } from '../../src/base/clock.ts'
import type { Refusal } from '../../src/base/errors.ts'
import { createResolver } from '../../src/base/io/dns2.ts'
import type { ListenerOptions } from '../../src/base/io/http-listener.ts'
import { createProfiler } from '../../src/base/io/profiler.ts'
import { limits } from '../../src/base/limits.ts'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { plainSealer } from '../../src/base/sealer.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { type Authority, openAuthority } from '../../src/base/who.ts'
import { Feeds } from '../../src/feed/feed.run.ts'
import type { FollowPort } from '../../src/feed/follow.ts'
import type { SinkKind } from '../../src/feed/sink/declare.ts'
import { sinkKinds } from '../../src/feed/sink/mod.ts'
import { StoredSinks } from '../../src/feed/sink/stored.run.ts'
import { SinkTasks } from '../../src/feed/sink/tasks.run.ts'
import { Admission, NO_RATES, type RequestRates } from '../../src/http/admission.ts'
import type { PathDeclaration } from '../../src/http/declare.ts'
import { checkFromFile, serviceFromFile } from '../../src/http/registry/agent-body.ts'
import type { AgentCertificate } from '../../src/http/registry/metrics.ts'
import { registryPaths } from '../../src/http/registry/mod.ts'
import type { AgentIdentity } from '../../src/http/registry/self.ts'
import { createHttpFace, type HttpFace, type HttpOptions } from '../../src/http/server.ts'
import type { HttpViews } from '../../src/http/views.ts'
import { conditionGate } from '../../src/identity/condition/gate.ts'
import { Conditions } from '../../src/identity/condition/room.run.ts'
import { tokenExpiry } from '../../src/identity/token.ts'
import { Events } from '../../src/registry/event.run.ts'
import { Queries } from '../../src/registry/query.run.ts'
import { Registry } from '../../src/registry/room.run.ts'
import { registryTimers } from '../../src/registry/timers.ts'
import { registryTopics } from '../../src/registry/topic/mod.ts'
import { Asker } from '../../src/store/ask.ts'
import { type Age, ageless, Freshness } from '../../src/store/freshness.ts'
import type { Store } from '../../src/store/store.ts'
import { ownRenewals, Timekeeper } from '../../src/store/timekeeper.ts'
import { openGate, Writer } from '../../src/store/writer.ts'
import { settings as auditSettings, portsOn } from '../audit/support.ts'
import { aloneAgents } from '../cluster/alone.ts'
import { type AclOptions, openAcl } from './acl.ts'
import { Client } from './client.ts'
import { allTables, type OpenStore, openMemory } from './engines.ts'

const bounds = { kvValueSizeBytes: 524_288, txnBodySizeBytes: 524_288 }
const sessionTtlMinMs = 10

/** The name of the agent's own node. */
export const NODE = 'alpha'
export const NODE_ID = '0f3c7a52-1111-4222-8333-444455556666'

export type FaceBounds = Pick<HttpOptions, 'bodySizeBytes'> & ListenerOptions

/** The bounds of faces in tests: the program's own, but any number of connections. */
export const boundsOfTests: FaceBounds = {
  maxHeaderSizeBytes: limits.httpHeaderSizeBytes,
  headerTimeoutMs: limits.httpHeaderReadTimeoutMs,
  requestTimeoutMs: limits.httpRequestTimeoutMs,
  idleTimeoutMs: limits.httpIdleTimeoutMs,
  handshakeTimeoutMs: limits.httpsHandshakeTimeoutMs,
  writeTimeoutMs: 0,
  connectionsPerClient: 0,
  bodySizeBytes: limits.httpBodySizeBytes,
}

export interface FaceOptions {
  readonly open?: OpenStore
  readonly log?: LiveLog
  readonly reload?: () => Promise<readonly string[]>
  readonly leave?: (force: boolean) => Promise<true | Refusal>
  readonly drain?: () => void
  readonly debug?: boolean
  readonly authority?: Partial<Authority>
  /** Whether conditions are served; the program serves them where ACLs are on. */
  readonly hasConditions?: boolean
  readonly tokens?: AgentTokens
  /** Access control is on, by default as default deny; see acl.ts. */
  readonly acl?: AclOptions
  /** Of an agent that keeps a part of a store. */
  readonly views?: HttpViews
  /** Why silent nodes keep their state. */
  readonly alarm?: () => string
  readonly pretty?: boolean
  readonly responseHeaders?: Readonly<Record<string, string>>
  readonly usesCache?: boolean
  readonly discoveryMaxStaleMs?: number
  readonly bounds?: Partial<FaceBounds>
  readonly takesUnprintable?: boolean
  readonly takesAnyKey?: boolean
  readonly blockEndpoints?: readonly string[]
  /** Hears of each request. */
  readonly asked?: () => void
  readonly allowWriteFrom?: readonly string[]
  readonly rates?: RequestRates
  readonly clock?: Clock
  /** How old the view is; looked after unless given. */
  readonly age?: Age
  readonly prometheusRetentionMs?: number
  readonly certificates?: readonly AgentCertificate[]
  /** Whether and what is recorded; nothing unless given. */
  readonly audit?: Partial<AuditSettings>
  readonly auditPorts?: Partial<AuditPorts>
  /** What sinks there are and what they follow; none and nothing unless given. */
  readonly sinks?: { readonly kinds: readonly SinkKind[]; readonly follow: FollowPort }
}

export type RoomsOfFaces = Pick<
  Parameters<typeof registryPaths>[0],
  'registry' | 'agent' | 'identity' | 'acl' | 'bounds' | 'cluster' | 'snapshots'
> & { readonly asker: Asker; readonly reload: () => Promise<readonly string[]> }

/** A running face. */
export interface Face {
  readonly client: Client
  readonly store: Store
  readonly feeds: Feeds
  readonly metrics: Metrics
  readonly authority: Authority
  readonly http: HttpFace
  readonly paths: readonly PathDeclaration[]
  readonly host: string
  readonly port: number
  /** What stands behind it, for another face on the same. */
  readonly rooms: RoomsOfFaces
  /** Resolves when so many blocking queries wait. */
  waiting(count: number): Promise<void>
  /** Ends it before the test does, as a stop of the agent would. */
  stop(): Promise<void>
}

const noTls = {
  caFile: undefined,
  caPath: undefined,
  certFile: undefined,
  keyFile: undefined,
  minVersion: 'TLSv1.2' as const,
  ciphers: [],
  verifyIncoming: false,
  verifyOutgoing: false,
  verifyServerHostname: false,
}

const identityOf = (
  store: Store,
  hasAcl: boolean,
): AgentIdentity & { readonly nodeId: string } => ({
  datacenter: 'dc1',
  nodeName: NODE,
  nodeId: NODE_ID,
  isServer: true,
  nodeMeta: { rack: 'a1' },
  domain: 'consul',
  altDomain: undefined,
  isDev: false,
  debug: true,
  dataDir: undefined,
  bindAddress: '127.0.0.1',
  advertiseAddress: '127.0.0.1',
  taggedAddresses: {},
  translateWanAddresses: false,
  locality: { region: '', zone: '' },
  addresses: {
    dns: ['127.0.0.1'],
    http: ['127.0.0.1'],
    https: [],
    secrets: [],
    grpc: [],
    grpcTls: [],
  },
  ports: {
    dns: 8600,
    http: 8500,
    grpc: -1,
    grpcTls: -1,
    https: -1,
    secrets: 8200,
    server: 8300,
    serfLan: 8301,
    serfWan: 8302,
  },
  tls: { https: noTls, grpc: noTls, internalRpc: noTls, serverName: undefined, forChecks: false },
  acl: { enabled: hasAcl, defaultPolicy: 'allow', downPolicy: 'extend-cache', keepsTokens: false },
  defaultIntentionPolicy: 'allow',
  revision: () => store.view().revision,
})

/** The cluster of one server, whose row is what its identity says. */
function aloneCluster(
  { nodeId, nodeName, advertiseAddress, ports, acl, nodeMeta }: AgentIdentity,
  { store, writer, timeouts }: { store: Store; writer: Writer; timeouts: Timeouts },
): Cluster {
  const clock = systemClock
  const sinceMs = clock.wall()
  const row = {
    ...{ nodeId, name: nodeName, address: advertiseAddress, ports, hasAcl: acl.enabled },
    ...{ meta: nodeMeta, version: '0', level: 1, sinceMs, stateAtMs: sinceMs },
    state: 'in' as const,
  }
  // Also on a store that others could open: no other server of these tests says that it is one.
  const supports = { ...store.supports, shared: false }
  const alone: Store = new Proxy(store, {
    get(target, name) {
      if (name === 'supports') return supports
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return new Cluster({
    ...{ store: alone, writer, clock, timeouts, age: ageless, own: () => row },
    health: healthOf(store, clock),
    reportOf: () => undefined,
    judgesInMs: () => 0,
    isManaged: false,
    hasVote: () => undefined,
    isMemberWell: () => true,
    removeMember: async () => {},
  })
}

/** What conditions know of a token that nobody gave anything. */
const NO_TOKEN = { policies: [], roles: [], authMethod: '', metadata: {} }

/** The sinks of a face: those that are stored, run by nobody, and the agent's own. */
function sinksOf(
  { sinks }: FaceOptions,
  ports: { readonly store: Store; readonly writer: Writer; readonly log: LiveLog },
) {
  const [clock, random] = [systemClock, systemRandom]
  const portsOf = (task: string) => ({
    ...{ task, clock, random, addressesOf: async () => [], mayReach: () => true },
    ...{ run: async () => ({ what: 'fault' as const, text: 'none' }), variable: () => undefined },
  })
  const followAs = () => sinks?.follow ?? { follow: () => ({ stop() {} }) }
  const common = { ...ports, clock, random, followAs, portsOf }
  return {
    sinks: new SinkTasks(common),
    storedSinks: new StoredSinks({
      ...{ ...common, kinds: sinks?.kinds ?? sinkKinds, sealer: plainSealer, nodeName: NODE },
    }),
  }
}

/** Starts a face; it is stopped at the end of the test. */
export async function startFace(t: Test, options: FaceOptions = {}): Promise<Face> {
  const store = await (options.open ?? openMemory)()
  const ports = { store, clock: systemClock, random: systemRandom, log: options.log ?? silentLog }
  const timeouts = new Timeouts(systemClock)
  // Of their own, so that they can be counted.
  const waits = new Timeouts(systemClock)
  const timekeeper = new Timekeeper(ports, {
    role: 'registry',
    holder: NODE_ID,
    kinds: [...registryTimers(0), tokenExpiry],
  })
  const metrics = new Metrics(systemClock)
  const common = { ...ports, timeouts, metrics }
  const audit = new Audit(
    { ...auditSettings, enabled: options.audit !== undefined, ...options.audit },
    portsOn(store, { log: ports.log, metrics, server: NODE_ID, ...options.auditPorts }),
  )
  const acl =
    options.acl === undefined ? undefined : await openAcl(store, NODE, options.acl, audit.recordOf)
  const conditional = conditionGate(openGate, (_view, { accessor }) => ({ accessor, ...NO_TOKEN }))
  const writer = acl?.writer ?? new Writer(store, conditional, audit.recordOf)
  const registry = new Registry({
    ...{ ...common, writer, sessionTtlMinMs },
    renewals: ownRenewals(timekeeper),
  })
  const { alarm = () => '' } = options
  const identity = { ...identityOf(store, options.acl !== undefined), alarm }
  const authority = acl?.authority ?? { ...openAuthority, ...options.authority }
  const events = new Events({ store, writer, log: ports.log, node: NODE })
  const read = { service: (body: unknown) => serviceFromFile(NODE, body), check: checkFromFile }
  const tools = {
    resolver: createResolver({ clock: systemClock }),
    mayReach: () => true,
    programs: { start: () => ({ end() {} }), close: async () => {} },
    environment: {},
    dockerHost: '',
  }
  const agent = new LocalState(
    {
      ...ports,
      writer,
      timeouts,
      tools,
      read,
      sealer: plainSealer,
      tokens: acl?.agentTokens ?? options.tokens ?? openTokens,
    },
    {
      ...identity,
      services: [],
      checks: [],
      checkUpdateIntervalMs: 0,
      checkOutputMaxSizeBytes: 4096,
      discardCheckOutput: false,
      scriptChecks: { byAnybody: false, byFiles: false },
      checkReapIntervalMs: 30_000,
      checkDeregisterMinMs: 60_000,
      antiEntropyIntervalMs: 60_000,
    },
  )
  const feeds = new Feeds({
    ...{ store, clock: options.clock ?? systemClock, log: ports.log, processId: 'test' },
    authority,
    topics: registryTopics(identity.datacenter),
    age: ageless,
  })
  const naming = { prefix: 'consul', hostName: NODE, prefixFilter: [], filterDefault: true }
  const agents = await aloneAgents({ store, writer }, ports.log)
  await agents.start()
  const ofFaces = {
    ...{ registry, agent, identity, acl: acl?.acl },
    bounds: { ...bounds, takesAnyKey: options.takesAnyKey ?? false },
    cluster: aloneCluster(identity, { store, writer, timeouts }),
    snapshots: snapshotsOf(store, allTables),
    reload: options.reload ?? (async () => []),
  }
  const paths = registryPaths({
    ...ofFaces,
    feeds,
    tokens: acl?.tokens,
    metrics: {
      metrics,
      nodeName: NODE,
      naming: () => naming,
      prometheusRetentionMs: () => options.prometheusRetentionMs ?? 0,
      certificates: () => options.certificates ?? [],
      now: () => (options.clock ?? systemClock).wall(),
    },
    agentsCa: agents.ca,
    debug: { enabled: options.debug ?? true, profiler: createProfiler(systemClock) },
    runtime: {
      nodeName: NODE,
      log: options.log ?? silentLog,
      host: () => hostFacts(systemClock),
      reload: ofFaces.reload,
      leave: options.leave ?? (async () => true),
      drain: options.drain ?? (() => {}),
    },
    events,
    audit,
    queries: new Queries({
      ...{ store, writer, random: systemRandom, node: NODE, authority },
      sealer: plainSealer,
    }),
    ...sinksOf(options, { ...ports, writer }),
    conditions: options.hasConditions === false ? undefined : new Conditions(writer),
  })
  const fresh = new Freshness(store, systemClock)
  const age = options.age ?? fresh
  const asker = new Asker(store, waits, age)
  const http = createHttpFace({
    asker,
    random: systemRandom,
    clock: systemClock,
    metrics,
    log: ports.log,
    authority,
    ...(audit.isOn ? { audit } : {}),
    ...(options.views === undefined ? {} : { views: options.views }),
    datacenter: 'dc1',
    pretty: options.pretty ?? false,
    queryWaitDefaultMs: 300_000,
    queryWaitMaxMs: 600_000,
    usesCache: options.usesCache ?? true,
    discoveryMaxStaleMs: options.discoveryMaxStaleMs ?? 0,
    responseHeaders: options.responseHeaders ?? {},
    paths,
    takesUnprintable: options.takesUnprintable ?? false,
    admission: new Admission({
      clock: options.clock ?? systemClock,
      log: ports.log,
      metrics,
      blockEndpoints: options.blockEndpoints ?? [],
      allowWriteFrom: options.allowWriteFrom ?? [],
      rates: options.rates ?? NO_RATES,
    }),
    ...boundsOfTests,
    ...options.bounds,
    ...(options.asked === undefined ? {} : { asked: options.asked }),
  })
  if (options.age === undefined) fresh.start()
  timekeeper.start()
  events.start()
  await audit.start()
  await agent.start()
  await until(() => timekeeper.holding)
  const { host, port } = await http.listen('127.0.0.1', 0)
  const { defaultPolicy } = authority
  const client = new Client({ t, host, port, paths, defaultPolicy })
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    client.close()
    feeds.close()
    fresh.stop()
    http.cut()
    await http.close()
    await agent.stop()
    await agents.stop()
    await events.stop()
    await timekeeper.stop()
    await audit.stop()
    await store.close()
  }
  const stopOnce = (): Promise<void> => {
    stopped ??= stop()
    return stopped
  }
  t.teardown(stopOnce)
  const waiting = (count: number): Promise<void> => until(() => waits.waiting === count)
  const rooms = { ...ofFaces, asker }
  const parts = { client, store, feeds, metrics, authority, http, paths, host, port, rooms }
  return { ...parts, waiting, stop: stopOnce }
}

const POLLS = 1_000
const POLL_MS = 5

/** Polls until something is so. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let polls = 0; polls < POLLS; polls++) {
    if (await condition()) return
    await sleep(POLL_MS)
  }
  throw new Error('the condition did not come true')
}
