/**
 * What an agent says of itself: `/v1/agent/self`, `/v1/agent/members`.
 *
 * Owns the keys that clients read there (Nomad, Prometheus, Fabio and the like) and the tags of a
 * member. What does not exist here is told as Consul tells it when it is off: ports of -1, no
 * supported proxies. Must never tell a token or a key.
 */
import { availableParallelism } from 'node:os'
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { buildDate, consulVersion } from '../../base/version.ts'
import { access, everybody } from '../../base/who.ts'
import {
  type Fields,
  int as intField,
  itself,
  record,
  text as textField,
} from '../../filter/fields.ts'
import type { Registry } from '../../registry/room.run.ts'
import { acting, definePath, json, type PathDeclaration } from '../declare.ts'
import { filtering, flag, string } from '../query.ts'
import { anything, bool, int, list, map, type Of, object, text } from '../shape.ts'
import type { AgentPort } from './agent.ts'
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
  }
  /** -1 where nothing listens. */
  readonly ports: {
    readonly dns: number
    readonly http: number
    readonly https: number
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
  /** The leader's address, '' while there is none. */
  leader(): string
  /** The addresses of all servers. */
  peers(): readonly string[]
  /** The revision of this server's view. */
  revision(): number
}

const memberShape = object({
  Name: text,
  Addr: text,
  Port: int,
  Tags: map(text),
  Status: int,
  ProtocolMin: int,
  ProtocolMax: int,
  ProtocolCur: int,
  DelegateMin: int,
  DelegateMax: int,
  DelegateCur: int,
})

type Member = Of<typeof memberShape>

const memberFields: Fields<Member> = {
  Name: textField(member => member.Name),
  Addr: textField(member => member.Addr),
  Port: intField(member => member.Port),
  Tags: record(member => member.Tags, itself),
  Status: intField(member => member.Status),
  ProtocolMin: intField(member => member.ProtocolMin),
  ProtocolMax: intField(member => member.ProtocolMax),
  ProtocolCur: intField(member => member.ProtocolCur),
  DelegateMin: intField(member => member.DelegateMin),
  DelegateMax: intField(member => member.DelegateMax),
  DelegateCur: intField(member => member.DelegateCur),
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

/** The paths of the agent itself. */
export function selfPaths(
  identity: AgentIdentity,
  agent: AgentPort,
  room: Standing,
): PathDeclaration[] {
  return [selfPath(identity, agent, room), membersPath(identity)]
}

/** What knows where this agent stands. */
type Standing = Pick<Registry, 'coordinateOf'>

function selfPath(identity: AgentIdentity, agent: AgentPort, room: Standing): PathDeclaration {
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
        run: ({ who }) => refuse(who, rights()) ?? json(selfOf(identity, agent, room)),
      }),
    },
  })
}

function membersPath(identity: AgentIdentity): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/agent/members',
    operations: {
      GET: acting({
        summary: 'Who is in the cluster.',
        query: {
          wan: flag('The servers of all datacenters.'),
          segment: string('_all; there are no network segments.'),
          filter: filtering(memberFields),
        },
        body: undefined,
        answers: { 200: { json: list(memberShape), help: 'members' } },
        access: () => [access('read', 'node')],
        run({ query: { wan, segment, filter }, who }) {
          if (wan && segment !== '') {
            return new Refusal(400, 'Cannot provide a segment with wan=true')
          }
          if (segment !== '' && segment !== '_all') {
            const text = 'Network segments are not supported in this version of Consul'
            return new Refusal(500, text)
          }
          const maySee = who.may(access('read', 'node', identity.nodeName))
          const members = maySee ? [memberOf(identity, wan)] : []
          return json(filter === undefined ? members : members.filter(filter.keeps))
        },
      }),
    },
  })
}

const OFF = -1

function selfOf(identity: AgentIdentity, agent: AgentPort, room: Standing): unknown {
  return {
    Config: {
      Datacenter: identity.datacenter,
      PrimaryDatacenter: identity.datacenter,
      NodeName: identity.nodeName,
      NodeID: identity.nodeId,
      Revision: '',
      Server: true,
      Version: consulVersion,
      BuildDate: buildDate,
    },
    DebugConfig: debugConfigOf(identity),
    Coord: coordinateJson(room.coordinateOf(identity.nodeName)),
    Member: memberOf(identity, false),
    Stats: statsOf(identity, agent),
    Meta: { ...identity.nodeMeta, 'consul-network-segment': '', 'consul-version': consulVersion },
    xDS: { SupportedProxies: { envoy: [] }, Port: OFF, Ports: { Plaintext: OFF, TLS: OFF } },
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
    Bootstrap: true,
    BootstrapExpect: 1,
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
    GRPCAddrs: [],
    GRPCPort: OFF,
    GRPCTLSAddrs: [],
    GRPCTLSPort: OFF,
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
    ServerMode: true,
    ServerPort: ports.server,
    TLS: {
      AutoTLS: false,
      Domain: `${identity.domain}.`,
      EnableAgentTLSForChecks: identity.tls.forChecks,
      GRPC: tlsOf(identity.tls.grpc),
      HTTPS: tlsOf(identity.tls.https),
      InternalRPC: tlsOf(identity.tls.internalRpc),
      NodeName: identity.nodeName,
      ServerMode: true,
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

/** How Consul's gossip numbers that a member is well. */
const ALIVE = 1

function memberOf(identity: AgentIdentity, wan: boolean): Member {
  const { datacenter, nodeName, nodeId, advertiseAddress, ports } = identity
  return {
    Name: wan ? `${nodeName}.${datacenter}` : nodeName,
    Addr: advertiseAddress,
    Port: wan ? ports.serfWan : ports.serfLan,
    Tags: {
      acls: identity.acl.enabled ? '1' : '0',
      build: `${consulVersion}:`,
      dc: datacenter,
      ft_fs: '1',
      ft_si: '1',
      id: nodeId,
      port: String(ports.server),
      raft_vsn: '3',
      role: 'consul',
      segment: '',
      vsn: '2',
      vsn_max: '3',
      vsn_min: '2',
      wan_join_port: String(ports.serfWan),
    },
    Status: ALIVE,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  }
}

function statsOf(
  identity: AgentIdentity,
  agent: AgentPort,
): Record<string, Record<string, string>> {
  const checks = agent.checks(everybody)
  const members = { failed: '0', left: '0', members: '1' }
  const revision = String(identity.revision())
  const leader = identity.leader()
  return {
    agent: {
      check_monitors: '0',
      check_ttls: String(checks.filter(({ type }) => type === 'ttl').length),
      checks: String(checks.length),
      services: String(agent.services(everybody).length),
    },
    build: { prerelease: '', revision: '', version: consulVersion, version_metadata: '' },
    consul: {
      acl: identity.acl.enabled ? 'enabled' : 'disabled',
      bootstrap: 'true',
      known_datacenters: '1',
      leader: String(leader !== ''),
      leader_addr: leader,
      server: 'true',
    },
    raft: {
      applied_index: revision,
      commit_index: revision,
      last_log_index: revision,
      num_peers: String(Math.max(0, identity.peers().length - 1)),
      state: leader === '' ? 'Follower' : 'Leader',
    },
    runtime: {
      arch: process.arch === 'x64' ? 'amd64' : process.arch,
      cpu_count: String(availableParallelism()),
      os: process.platform,
      version: process.version,
    },
    serf_lan: members,
    serf_wan: members,
  }
}
