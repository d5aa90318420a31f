/**
 * What an agent says of itself: `/v1/agent/self`.
 *
 * Owns the keys that clients read there (Nomad, Prometheus, Fabio and the like). What does not
 * exist here is told as Consul tells it when it is off: ports of -1, no supported proxies. Must
 * never tell a token or a key.
 */
import { availableParallelism } from 'node:os'
import { refuse } from '../../base/denied.ts'
import { buildDate, consulVersion } from '../../base/version.ts'
import { access, everybody } from '../../base/who.ts'
import { type ClusterPort, peersOf, serverAddress } from '../../cluster/port.ts'
import type { AgentPort } from '../../registry/local.ts'
import type { Registry } from '../../registry/room.run.ts'
import { acting, definePath, json, type PathDeclaration } from '../declare.ts'
import { anything, bool, int, list, map, object, text } from '../shape.ts'
import { clientMember, memberShape, serverMember } from './members.ts'
import { coordinateJson, coordinateShape } from './wire.ts'

/** What is told of a listener's TLS: where its files are, and never what they hold. */
interface TlsFacts {
  readonly caFile: string | undefined
  readonly caPath: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly ciphers: readonly string[]
  readonly verifyIncoming: boolean
  readonly verifyOutgoing: boolean
  readonly verifyServerHostname: boolean
}

/** What the agent is, as its configuration and its store have it. */
export interface AgentIdentity {
  readonly datacenter: string
  readonly nodeName: string
  readonly nodeId: string
  readonly isServer: boolean
  readonly nodeMeta: Readonly<Record<string, string>>
  readonly domain: string
  readonly altDomain: string | undefined
  readonly isDev: boolean
  /** Whether profiles are served. */
  readonly debug: boolean
  readonly dataDir: string | undefined
  readonly bindAddress: string
  readonly advertiseAddress: string
  readonly taggedAddresses: Readonly<Record<string, string>>
  readonly translateWanAddresses: boolean
  readonly locality: { readonly region: string; readonly zone: string }
  readonly addresses: {
    readonly dns: readonly string[]
    readonly http: readonly string[]
    readonly https: readonly string[]
    readonly secrets: readonly string[]
    readonly grpc: readonly string[]
    readonly grpcTls: readonly string[]
  }
  /** -1 where nothing listens. */
  readonly ports: {
    readonly dns: number
    readonly http: number
    readonly https: number
    readonly secrets: number
    readonly grpc: number
    readonly grpcTls: number
    readonly server: number
    readonly serfLan: number
    readonly serfWan: number
  }
  /** How TLS is spoken, as it is now. */
  readonly tls: {
    readonly https: TlsFacts
    readonly grpc: TlsFacts
    readonly internalRpc: TlsFacts
    readonly serverName: string | undefined
    readonly forChecks: boolean
  }
  /** Whether tokens are asked for, and what holds where no policy says anything. */
  readonly acl: {
    readonly enabled: boolean
    readonly defaultPolicy: 'allow' | 'deny'
    readonly downPolicy: string
    readonly keepsTokens: boolean
  }
  /** What holds for a call of which no intention says anything. */
  readonly defaultIntentionPolicy: 'allow' | 'deny'
  /** The revision of this server's view. */
  revision(): number
  /** Why nodes that fell silent keep their state although nobody reaches them, '' if none do. */
  alarm?(): string
  /** Why this server issues nothing and keeps no time, '' where it does. */
  clockAlarm?(): string
}

const selfShape = object({
  Config: object({
    Datacenter: text,
    PrimaryDatacenter: text,
    NodeName: text,
    NodeID: text,
    Revision: text,
    Server: bool,
    Version: text,
    BuildDate: text,
  }),
  DebugConfig: map(anything),
  Coord: coordinateShape,
  Member: memberShape,
  Stats: map(map(text)),
  Meta: map(text),
  xDS: object({
    SupportedProxies: map(list(text)),
    Port: int,
    Ports: object({ Plaintext: int, TLS: int }),
  }),
})

/** What an agent that is no server knows of those that are. */
export interface KnownServers {
  /** How many it knows. */
  knownServers(): number
}

/** The paths of the agent itself. */
export function selfPaths(
  identity: AgentIdentity,
  agent: AgentPort,
  room: Standing,
  cluster: ClusterPort | KnownServers,
): PathDeclaration[] {
  return [selfPath(identity, agent, room, cluster)]
}

/** What knows where this agent stands. */
type Standing = Pick<Registry, 'coordinateOf'>

function selfPath(
  identity: AgentIdentity,
  agent: AgentPort,
  room: Standing,
  cluster: ClusterPort | KnownServers,
): PathDeclaration {
  const rights = () => [access('read', 'agent', identity.nodeName)]
  return definePath({
    where: 'agent',
    path: '/v1/agent/self',
    operations: {
      GET: acting({
        summary: 'What this agent is, how it is configured and how it fares.',
        query: {},
        body: undefined,
        answers: { 200: { json: selfShape, help: 'the agent' } },
        access: rights,
        run: ({ who }) => refuse(who, rights()) ?? json(selfOf(identity, agent, room, cluster)),
      }),
    },
  })
}

const OFF = -1

function selfOf(
  identity: AgentIdentity,
  agent: AgentPort,
  room: Standing,
  cluster: ClusterPort | KnownServers,
): unknown {
  return {
    Config: {
      Datacenter: identity.datacenter,
      PrimaryDatacenter: identity.datacenter,
      NodeName: identity.nodeName,
      NodeID: identity.nodeId,
      Revision: '',
      Server: identity.isServer,
      Version: consulVersion,
      BuildDate: buildDate,
    },
    DebugConfig: debugConfigOf(identity),
    Coord: coordinateJson(room.coordinateOf(identity.nodeName)),
    Member: ownMember(identity),
    Stats: statsOf(identity, agent, cluster),
    Meta: { ...identity.nodeMeta, 'consul-network-segment': '', 'consul-version': consulVersion },
    xDS: {
      // None yet: what speaks xDS comes with the mesh, on these ports.
      SupportedProxies: { envoy: [] },
      Port: identity.ports.grpc,
      Ports: { Plaintext: identity.ports.grpc, TLS: identity.ports.grpcTls },
    },
  }
}

/** Tokens are never told, nor whether there is one. */
const HIDDEN_TOKEN = 'hidden'

/** Configuration under the names of Consul's runtime configuration. */
function debugConfigOf(identity: AgentIdentity): Record<string, unknown> {
  const { addresses, ports, advertiseAddress, acl } = identity
  const dns = addresses.dns.flatMap(host => [
    `tcp://${joined(host, ports.dns)}`,
    `udp://${joined(host, ports.dns)}`,
  ])
  return {
    ACLsEnabled: acl.enabled,
    ACLInitialManagementToken: HIDDEN_TOKEN,
    ACLResolverSettings: {
      ACLDefaultPolicy: acl.defaultPolicy,
      ACLDownPolicy: acl.downPolicy,
      ACLsEnabled: acl.enabled,
      Datacenter: identity.datacenter,
      NodeName: identity.nodeName,
    },
    ACLTokens: {
      ACLAgentRecoveryToken: HIDDEN_TOKEN,
      ACLAgentToken: HIDDEN_TOKEN,
      ACLDefaultToken: HIDDEN_TOKEN,
      ACLReplicationToken: HIDDEN_TOKEN,
      EnablePersistence: acl.keepsTokens,
    },
    AdvertiseAddrLAN: advertiseAddress,
    AdvertiseAddrWAN: identity.taggedAddresses.wan ?? advertiseAddress,
    BindAddr: identity.bindAddress,
    Bootstrap: identity.isServer,
    BootstrapExpect: identity.isServer ? 1 : 0,
    ClientAddrs: addresses.http,
    ConnectEnabled: false,
    DNSAddrs: ports.dns === OFF ? [] : dns,
    DNSAltDomain: identity.altDomain ?? '',
    DNSDomain: `${identity.domain}.`,
    DNSPort: ports.dns,
    DataDir: identity.dataDir ?? '',
    Datacenter: identity.datacenter,
    DevMode: identity.isDev,
    EnableDebug: identity.debug,
    GRPCAddrs: addresses.grpc.map(host => listening(host, ports.grpc)),
    GRPCPort: ports.grpc,
    GRPCTLSAddrs: addresses.grpcTls.map(host => listening(host, ports.grpcTls)),
    GRPCTLSPort: ports.grpcTls,
    HTTPAddrs: addresses.http.map(host => listening(host, ports.http)),
    HTTPPort: ports.http,
    HTTPSAddrs: addresses.https.map(host => listening(host, ports.https)),
    HTTPSPort: ports.https,
    Locality: { Region: identity.locality.region, Zone: identity.locality.zone },
    NodeID: identity.nodeId,
    NodeMeta: identity.nodeMeta,
    NodeName: identity.nodeName,
    PeeringEnabled: false,
    PrimaryDatacenter: identity.datacenter,
    SerfPortLAN: ports.serfLan,
    SerfPortWAN: ports.serfWan,
    ServerMode: identity.isServer,
    ServerPort: ports.server,
    TLS: {
      AutoTLS: false,
      Domain: `${identity.domain}.`,
      EnableAgentTLSForChecks: identity.tls.forChecks,
      GRPC: tlsOf(identity.tls.grpc),
      HTTPS: tlsOf(identity.tls.https),
      InternalRPC: tlsOf(identity.tls.internalRpc),
      NodeName: identity.nodeName,
      ServerMode: identity.isServer,
      ServerName: identity.tls.serverName ?? '',
    },
    TaggedAddresses: identity.taggedAddresses,
    TranslateWANAddrs: identity.translateWanAddresses,
    UIConfig: { Enabled: false },
    Version: consulVersion,
  }
}

/** Consul hides every field whose name speaks of a key, the path of its file too. */
const tlsOf = (facts: TlsFacts): Record<string, unknown> => ({
  CAFile: facts.caFile ?? '',
  CAPath: facts.caPath ?? '',
  CertFile: facts.certFile ?? '',
  CipherSuites: facts.ciphers,
  KeyFile: 'hidden',
  TLSMinVersion: facts.minVersion.replace('.', '_'),
  UseAutoCert: false,
  VerifyIncoming: facts.verifyIncoming,
  VerifyOutgoing: facts.verifyOutgoing,
  VerifyServerHostname: facts.verifyServerHostname,
})

const listening = (host: string, port: number): string =>
  host.startsWith('unix:') ? host : `tcp://${joined(host, port)}`

const joined = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** This agent as a member, whatever its row says: who answers is alive. */
function ownMember(identity: AgentIdentity): unknown {
  const { nodeName: name, nodeId, advertiseAddress: address, ports, acl, datacenter } = identity
  if (!identity.isServer) {
    return clientMember({ name, nodeId, address, isAlive: true, version: consulVersion }, identity)
  }
  const facts = { name, nodeId, address, ports, hasAcl: acl.enabled, status: 'alive' as const }
  return serverMember(facts, datacenter, false)
}

function statsOf(
  identity: AgentIdentity,
  agent: AgentPort,
  cluster: ClusterPort | KnownServers,
): Record<string, Record<string, string>> {
  const checks = agent.checks(everybody)
  const stats = {
    agent: {
      check_monitors: '0',
      check_ttls: String(checks.filter(({ type }) => type === 'ttl').length),
      checks: String(checks.length),
      services: String(agent.services(everybody).length),
    },
    build: { prerelease: '', revision: '', version: consulVersion, version_metadata: '' },
    ...('servers' in cluster ? statsOfServer(identity, cluster) : statsOfClient(identity, cluster)),
    runtime: {
      arch: process.arch === 'x64' ? 'amd64' : process.arch,
      cpu_count: String(availableParallelism()),
      os: process.platform,
      version: process.version,
    },
  }
  // By name, as Go writes them.
  return Object.fromEntries(Object.entries(stats).sort(([a], [b]) => (a < b ? -1 : 1)))
}

const aclText = ({ acl }: AgentIdentity): string => (acl.enabled ? 'enabled' : 'disabled')

const statsOfClient = (identity: AgentIdentity, servers: KnownServers) => ({
  consul: {
    acl: aclText(identity),
    known_servers: String(servers.knownServers()),
    server: 'false',
  },
})

function statsOfServer(identity: AgentIdentity, cluster: ClusterPort) {
  const servers = cluster.servers()
  const count = (wanted: string): string =>
    String(servers.filter(({ status }) => status === wanted).length)
  const members = {
    failed: count('failed'),
    left: count('left'),
    members: String(servers.length),
  }
  const revision = String(identity.revision())
  const alarm = identity.alarm?.() ?? ''
  const clockAlarm = identity.clockAlarm?.() ?? ''
  const leading = cluster.leader()
  const leader = leading === undefined ? '' : serverAddress(leading)
  const isLeading = leading?.nodeId === identity.nodeId
  const peers = peersOf(cluster).length
  return {
    consul: {
      acl: aclText(identity),
      bootstrap: String(peers === 1),
      known_datacenters: '1',
      leader: String(isLeading),
      leader_addr: leader,
      server: 'true',
      ...(clockAlarm === '' ? {} : { alarm: clockAlarm }),
    },
    raft: {
      applied_index: revision,
      commit_index: revision,
      last_log_index: revision,
      num_peers: String(Math.max(0, peers - 1)),
      state: isLeading ? 'Leader' : 'Follower',
    },
    serf_lan: alarm === '' ? members : { ...members, alarm },
    serf_wan: members,
  }
}
