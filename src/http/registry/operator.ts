/**
 * The paths of operators: `/v1/operator/`.
 *
 * Owns how servers look where Consul shows its raft, its autopilot and its gossip keys: the leader
 * is the one that holds the timekeeper's role, a term is the store's generation, an index its
 * revision, and there is no gossip. Must not claim what is not so.
 */
import type { WallMs } from '../../base/brand.ts'
import { refuse } from '../../base/denied.ts'
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { consulVersion } from '../../base/version.ts'
import { access, type Who } from '../../base/who.ts'
import { askKeyring } from '../../cluster/keyring.ts'
import {
  type ClusterPort,
  peersOf,
  peerToRemove,
  type ServerFacts,
  serverAddress,
} from '../../cluster/port.ts'
import { autopilotDefaults } from '../../registry/autopilot.ts'
import type { Registry } from '../../registry/room.run.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { AutopilotRow } from '../../store/tables/autopilot.ts'
import {
  acting,
  definePath,
  EMPTY,
  json,
  type Operation,
  type PathDeclaration,
} from '../declare.ts'
import { optionalString, string, uint64 } from '../query.ts'
import { bool, duration, int, list, map, type Of, object, text } from '../shape.ts'
import type { AgentIdentity } from './self.ts'

export interface OperatorOptions {
  readonly room: Registry
  readonly identity: AgentIdentity
  readonly cluster: ClusterPort
}

/** The paths of operators. */
export function operatorPaths(options: OperatorOptions): PathDeclaration[] {
  return [
    raftConfigurationPath(options),
    raftPeerPath(options),
    transferPath(options),
    autopilotConfigurationPath(options.room),
    autopilotHealthPath(options),
    autopilotStatePath(options),
    keyringPath(options.identity),
  ]
}

const mayRead = () => [access('read', 'operator')]
const mayWrite = () => [access('write', 'operator')]
const refuseReader = (who: Who): Refusal | undefined => refuse(who, mayRead())
const refuseWriter = (who: Who): Refusal | undefined => refuse(who, mayWrite())

// --- raft

/** The set of servers has been the same since the first index that there is. */
const FIRST_INDEX = 1
const RAFT_PROTOCOL = '3'

function raftConfigurationPath({ cluster }: OperatorOptions): PathDeclaration {
  const serverShape = object({
    ID: text,
    Node: text,
    Address: text,
    Leader: bool,
    ProtocolVersion: text,
    LastIndex: int,
    Voter: bool,
  })
  return definePath({
    where: 'servers',
    path: '/v1/operator/raft/configuration',
    operations: {
      GET: acting({
        summary: 'The servers that decide together.',
        query: {},
        body: undefined,
        answers: {
          200: { json: object({ Servers: list(serverShape), Index: int }), help: 'servers' },
        },
        access: mayRead,
        run({ who }) {
          const Servers = peersOf(cluster).map(server => ({
            ID: server.nodeId,
            Node: server.name,
            Address: serverAddress(server),
            Leader: server.isLeader,
            ProtocolVersion: RAFT_PROTOCOL,
            LastIndex: server.lastIndex,
            Voter: server.isVoter,
          }))
          return refuseReader(who) ?? json({ Servers, Index: FIRST_INDEX })
        },
      }),
    },
  })
}

const NEITHER =
  "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"

function raftPeerPath({ cluster }: OperatorOptions): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/operator/raft/peer',
    operations: {
      DELETE: acting({
        summary: 'Removes a server that failed from those that decide.',
        query: {
          id: optionalString('The id of its node.'),
          address: optionalString('Its address and port.'),
        },
        body: undefined,
        answers: {
          200: { empty: 'It is no more among them.' },
          500: { text: 'No such server, it lives, or it is the last one.' },
        },
        access: mayWrite,
        async run({ query: { id, address }, who }) {
          if (id === undefined && address === undefined) return new Refusal(400, NEITHER)
          if (id !== undefined && address !== undefined) {
            return new Refusal(400, 'Must specify only one of ?id or ?address')
          }
          const name = id === undefined ? { address: address! } : { nodeId: id }
          const peer = peerToRemove(cluster, who, name)
          const removed = peer instanceof Refusal ? peer : await cluster.removePeer(who, peer)
          return removed instanceof Refusal ? removed : EMPTY
        },
      }),
    },
  })
}

const quoted = (given: string): string => JSON.stringify(given.slice(0, 256))

function transferPath({ cluster }: OperatorOptions): PathDeclaration {
  return definePath({
    path: '/v1/operator/raft/transfer-leader',
    where: 'servers',
    operations: {
      POST: acting({
        summary: 'Hands the lead to another server.',
        query: { id: string('The id of the node that is to lead; any other unless given.') },
        body: { raw: 'Not read.' },
        answers: {
          200: { json: object({ Success: bool }), help: 'it leads' },
          500: { text: 'There is no such server, or it did not take the lead.' },
        },
        access: mayWrite,
        async run({ query: { id }, who }) {
          const lacking = refuseWriter(who)
          if (lacking !== undefined) return lacking
          const moved = await cluster.transfer(who, id)
          return moved instanceof Refusal ? moved : json({ Success: true })
        },
      }),
    },
  })
}

// --- autopilot

const settings = {
  CleanupDeadServers: bool,
  LastContactThreshold: duration,
  MaxTrailingLogs: int,
  MinQuorum: int,
  ServerStabilizationTime: duration,
  RedundancyZoneTag: text,
  DisableUpgradeMigration: bool,
  UpgradeVersionTag: text,
  CreateIndex: int,
  ModifyIndex: int,
}
const settingsShape = object(settings)

function autopilotConfigurationPath(room: Registry): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/operator/autopilot/configuration',
    operations: { GET: readAutopilot(room), PUT: writeAutopilot(room) },
  })
}

function readAutopilot(room: Registry): Operation {
  return acting({
    summary: 'How servers are to be looked after.',
    query: {},
    body: undefined,
    answers: { 200: { json: settingsShape, help: 'with indexes of 0 while the defaults hold' } },
    access: mayRead,
    async run({ who }) {
      const cell = await room.autopilotConfig(who)
      return isRefusal(cell) ? cell : json(settingsJson(cell))
    },
  })
}

function writeAutopilot(room: Registry): Operation {
  return acting({
    summary: 'Says as a whole how servers are to be looked after.',
    query: { cas: uint64('Only at this ModifyIndex; 0: only while the defaults hold.') },
    body: { shape: settingsShape, failure: 'Error parsing autopilot config' },
    answers: { 200: { json: bool, help: 'Whether the condition held.' } },
    access: mayWrite,
    async run({ body, query: { cas }, who }) {
      const row = rowOf(body)
      if (isRefusal(row)) return row
      const request = { row, cas: cas === undefined ? undefined : Number(cas) }
      const answer = await room.putAutopilot(who, request)
      return isRefusal(answer) ? answer : json(answer)
    },
  })
}

function rowOf(body: Of<typeof settingsShape>): AutopilotRow | Refusal {
  const { MaxTrailingLogs, MinQuorum } = body
  if (Math.min(MaxTrailingLogs, MinQuorum) < 0) {
    const text = 'Error parsing autopilot config: counts cannot be negative'
    return new Refusal(400, text)
  }
  return {
    cleanupDeadServers: body.CleanupDeadServers,
    lastContactThresholdMs: body.LastContactThreshold,
    maxTrailingLogs: MaxTrailingLogs,
    minQuorum: MinQuorum,
    serverStabilizationTimeMs: body.ServerStabilizationTime,
    redundancyZoneTag: body.RedundancyZoneTag,
    disableUpgradeMigration: body.DisableUpgradeMigration,
    upgradeVersionTag: body.UpgradeVersionTag,
  }
}

function settingsJson(cell: Cell<AutopilotRow> | undefined): unknown {
  const row = cell?.row ?? autopilotDefaults
  return {
    CleanupDeadServers: row.cleanupDeadServers,
    LastContactThreshold: formatDuration(row.lastContactThresholdMs),
    MaxTrailingLogs: row.maxTrailingLogs,
    MinQuorum: row.minQuorum,
    ServerStabilizationTime: formatDuration(row.serverStabilizationTimeMs),
    RedundancyZoneTag: row.redundancyZoneTag,
    DisableUpgradeMigration: row.disableUpgradeMigration,
    UpgradeVersionTag: row.upgradeVersionTag,
    CreateIndex: cell?.createIndex ?? 0,
    ModifyIndex: cell?.modifyIndex ?? 0,
  }
}

/** Consul gives fractions of milliseconds. */
const contactText = ({ lastContactMs }: ServerFacts): string =>
  formatDuration(Math.round(lastContactMs))

const timeText = (at: WallMs): string => new Date(Math.floor(at / 1000) * 1000).toISOString()

function autopilotHealthPath({ cluster }: OperatorOptions): PathDeclaration {
  const serverShape = object({
    ID: text,
    Name: text,
    Address: text,
    SerfStatus: text,
    Version: text,
    Leader: bool,
    LastContact: text,
    LastTerm: int,
    LastIndex: int,
    Healthy: bool,
    Voter: bool,
    StableSince: text,
  })
  const shape = object({ Healthy: bool, FailureTolerance: int, Servers: list(serverShape) })
  return definePath({
    where: 'servers',
    path: '/v1/operator/autopilot/health',
    operations: {
      GET: acting({
        summary: 'Whether the servers are well.',
        query: {},
        body: undefined,
        answers: {
          200: { json: shape, help: 'all are' },
          429: { json: shape, help: 'one is not: it cannot write, or is not there' },
        },
        access: mayRead,
        run({ who }) {
          const lacking = refuseReader(who)
          if (lacking !== undefined) return lacking
          const Servers = peersOf(cluster).map(server => ({
            ID: server.nodeId,
            Name: server.name,
            Address: serverAddress(server),
            SerfStatus: server.status,
            Version: consulVersion,
            Leader: server.isLeader,
            LastContact: contactText(server),
            LastTerm: server.term,
            LastIndex: server.lastIndex,
            Healthy: server.isHealthy,
            Voter: server.isVoter,
            StableSince: timeText(server.stableSince),
          }))
          const isHealthy = Servers.every(({ Healthy }) => Healthy)
          const body = {
            Healthy: isHealthy,
            FailureTolerance: cluster.failureTolerance(),
            Servers,
          }
          return json(body, isHealthy ? 200 : 429)
        },
      }),
    },
  })
}

function autopilotStatePath({ cluster }: OperatorOptions): PathDeclaration {
  const serverShape = object({
    ID: text,
    Name: text,
    Address: text,
    NodeStatus: text,
    Version: text,
    LastContact: text,
    LastTerm: int,
    LastIndex: int,
    Healthy: bool,
    StableSince: text,
    ReadReplica: bool,
    Status: text,
    Meta: map(text),
    NodeType: text,
  })
  const shape = object({
    Healthy: bool,
    FailureTolerance: int,
    OptimisticFailureTolerance: int,
    Servers: map(serverShape),
    Leader: text,
    Voters: list(text),
  })
  return definePath({
    where: 'servers',
    path: '/v1/operator/autopilot/state',
    operations: {
      GET: acting({
        summary: 'What is known of the servers.',
        query: {},
        body: undefined,
        answers: { 200: { json: shape, help: 'servers by the ids of their nodes' } },
        access: mayRead,
        run({ who }) {
          const lacking = refuseReader(who)
          if (lacking !== undefined) return lacking
          return json(stateJson(cluster))
        },
      }),
    },
  })
}

function stateJson(cluster: ClusterPort): unknown {
  const peers = peersOf(cluster)
  const servers = peers.map(server => [
    server.nodeId,
    {
      ID: server.nodeId,
      Name: server.name,
      Address: serverAddress(server),
      NodeStatus: server.status,
      Version: consulVersion,
      LastContact: contactText(server),
      LastTerm: server.term,
      LastIndex: server.lastIndex,
      Healthy: server.isHealthy,
      StableSince: timeText(server.stableSince),
      ReadReplica: false,
      Status: server.isLeader ? 'leader' : server.isVoter ? 'voter' : 'non-voter',
      Meta: server.meta,
      NodeType: 'voter',
    },
  ])
  const tolerance = cluster.failureTolerance()
  return {
    Healthy: peers.every(({ isHealthy }) => isHealthy),
    FailureTolerance: tolerance,
    OptimisticFailureTolerance: tolerance,
    Servers: Object.fromEntries(servers),
    Leader: cluster.leader()?.nodeId ?? '',
    Voters: peers.filter(({ isVoter }) => isVoter).map(({ nodeId }) => nodeId),
  }
}

// --- keyring

const keyShape = object({ Key: text })
const RELAY_MAX = 5

function keyringPath(self: AgentIdentity): PathDeclaration {
  const query = {
    'relay-factor': string('How many others pass a message on, at most 5.'),
    'local-only': string('Asks only this server; for lists alone.'),
  }
  const answers = { 500: { text: 'There are no keys: nothing is gossiped.' } }
  const run = (given: Record<keyof typeof query, string>, who: Who, isList: boolean): Refusal =>
    refuse(who, [access(isList ? 'read' : 'write', 'keyring')]) ??
    refuseKeyringQuery(given, isList) ??
    askKeyring(who, isList ? 'read' : 'write', self)
  const changing = (summary: string): Operation =>
    acting({
      summary,
      query,
      body: { shape: keyShape, failure: 'Request decode failed' },
      answers,
      access: () => [access('write', 'keyring')],
      run: request => run(request.query, request.who, false),
    })
  return definePath({
    where: 'servers',
    path: '/v1/operator/keyring',
    operations: {
      GET: acting({
        summary: 'The keys that gossip is encrypted with.',
        query,
        body: undefined,
        answers,
        access: () => [access('read', 'keyring')],
        run: request => run(request.query, request.who, true),
      }),
      POST: changing('Adds a key.'),
      PUT: changing('Makes a key the one that is used.'),
      DELETE: changing('Removes a key.'),
    },
  })
}

function refuseKeyringQuery(
  { 'relay-factor': factor, 'local-only': local }: Record<'relay-factor' | 'local-only', string>,
  isList: boolean,
): Refusal | undefined {
  if (factor !== '' && !/^[+-]?\d{1,9}$/.test(factor)) {
    const problem = `strconv.Atoi: parsing ${quoted(factor)}: invalid syntax`
    return new Refusal(400, `Error parsing relay factor: ${problem}`)
  }
  if (Number(factor) < 0 || Number(factor) > RELAY_MAX) {
    return new Refusal(400, `Invalid relay-factor: value must be in range: [0, ${RELAY_MAX}]`)
  }
  if (local === '' || /^(0|f|F|false|False|FALSE)$/.test(local)) return undefined
  if (!/^(1|t|T|true|True|TRUE)$/.test(local)) {
    const problem = `strconv.ParseBool: parsing ${quoted(local)}: invalid syntax`
    return new Refusal(400, `Error parsing local-only: ${problem}`)
  }
  return isList
    ? undefined
    : new Refusal(400, 'Invalid use of local-only: local-only can only be set for GET requests')
}
