/**
 * Who is in the cluster: `/v1/agent/members`.
 *
 * Owns members on the wire: servers, and agents that are none, which are the other nodes with the
 * health check of a member. There is no gossip; ports and protocol numbers are those that clients
 * know.
 */
import { refuse } from '../../base/denied.ts'
import { Refusal } from '../../base/errors.ts'
import { inSlices } from '../../base/slices.ts'
import { consulVersion } from '../../base/version.ts'
import { access } from '../../base/who.ts'
import {
  type ClientFacts,
  type ClusterPort,
  clientsSeen,
  type ServerFacts,
  serversSeen,
} from '../../cluster/port.ts'
import {
  type Fields,
  int as intField,
  itself,
  record,
  text as textField,
} from '../../filter/fields.ts'
import { acting, definePath, EMPTY, json, type PathDeclaration } from '../declare.ts'
import { filtering, flag, string } from '../query.ts'
import { int, list, map, type Of, object, text } from '../shape.ts'
import type { AgentIdentity } from './self.ts'

export const memberShape = object({
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

/** How Consul's gossip numbers what a member is. */
const STATUS = { alive: 1, leaving: 2, left: 3, failed: 4 } as const

const PROTOCOLS = {
  ProtocolMin: 1,
  ProtocolMax: 5,
  ProtocolCur: 2,
  DelegateMin: 2,
  DelegateMax: 5,
  DelegateCur: 4,
} as const

const portTag = (name: string, port = -1): Record<string, string> =>
  port > 0 ? { [name]: String(port) } : {}

/** A server as a member. */
export function serverMember(
  server: Pick<ServerFacts, 'name' | 'nodeId' | 'address' | 'ports' | 'hasAcl' | 'status'>,
  datacenter: string,
  wan: boolean,
): Member {
  const { name, nodeId, address, ports, hasAcl, status } = server
  return {
    Name: wan ? `${name}.${datacenter}` : name,
    Addr: address,
    Port: wan ? ports.serfWan : ports.serfLan,
    Tags: {
      acls: hasAcl ? '1' : '0',
      build: `${consulVersion}:`,
      dc: datacenter,
      ft_fs: '1',
      ft_si: '1',
      ...portTag('grpc_port', ports.grpc),
      ...portTag('grpc_tls_port', ports.grpcTls),
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
    Status: STATUS[status],
    ...PROTOCOLS,
  }
}

/** An agent that is no server as a member. */
export const clientMember = (
  client: ClientFacts,
  { datacenter, ports, acl }: AgentIdentity,
): Member => ({
  Name: client.name,
  Addr: client.address,
  Port: ports.serfLan,
  Tags: {
    acls: acl.enabled ? '1' : '0',
    build: `${client.version}:`,
    dc: datacenter,
    id: client.nodeId,
    role: 'node',
    segment: '',
    vsn: '2',
    vsn_max: '3',
    vsn_min: '2',
  },
  Status: client.isAlive ? STATUS.alive : STATUS.failed,
  ...PROTOCOLS,
})

/** The path of members. */
export function membersPath(identity: AgentIdentity, cluster: ClusterPort): PathDeclaration {
  return definePath({
    path: '/v1/agent/members',
    where: 'servers',
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
        async run({ query: { wan, segment, filter }, who }) {
          if (wan && segment !== '') {
            return new Refusal(400, 'Cannot provide a segment with wan=true')
          }
          if (segment !== '' && segment !== '_all') {
            const text = 'Network segments are not supported in this version of Consul'
            return new Refusal(500, text)
          }
          const members: Member[] = []
          const add = (member: Member): void => {
            if (filter === undefined || filter.keeps(member)) members.push(member)
          }
          for (const server of serversSeen(cluster, who)) {
            add(serverMember(server, identity.datacenter, wan))
          }
          if (!wan) {
            await inSlices(clientsSeen(cluster, who), client => {
              if (client !== undefined) add(clientMember(client, identity))
            })
          }
          return json(members)
        },
      }),
    },
  })
}

/**
 * The path that joins an agent to others. One that runs is in its cluster already, let in by a join
 * token when it started: to join a member again changes nothing, and nobody else can be joined.
 */
export function joinPath(identity: AgentIdentity, cluster: ClusterPort): PathDeclaration {
  const rights = () => [access('write', 'agent', identity.nodeName)]
  return definePath({
    path: '/v1/agent/join/{address}',
    where: 'servers',
    operations: {
      PUT: acting({
        summary: 'Joins an agent: one that is a member is joined already.',
        query: { wan: flag('The servers of another datacenter.') },
        body: { raw: 'Not read.' },
        answers: {
          200: { empty: 'The address is that of a living member.' },
          500: { text: 'It is not: agents join when they start, by retry_join and a join token.' },
        },
        access: rights,
        run({ name, query, who }) {
          const denied = refuse(who, rights())
          if (denied !== undefined) return denied
          const isMember = !query.wan && isLivingMember(cluster, hostOf(name))
          return isMember ? EMPTY : new Refusal(500, notJoined(name))
        },
      }),
    },
  })
}

const SHOWN_CHARS = 256

const notJoined = (address: string): string =>
  `Failed to join ${address.slice(0, SHOWN_CHARS)}: no member of this cluster is there. Agents ` +
  'join when they start, by retry_join and a join token'

/** The address without its port. */
const hostOf = (address: string): string =>
  /^\[(.*)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/^([^:]*):\d+$/, '$1')

function isLivingMember(cluster: ClusterPort, host: string): boolean {
  const isThere = cluster.servers().some(one => one.status === 'alive' && one.address === host)
  if (isThere) return true
  for (const client of cluster.clients()) {
    if (client?.isAlive === true && client.address === host) return true
  }
  return false
}
