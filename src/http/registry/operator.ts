/**
 * The paths of operators: `/v1/operator/`.
 *
 * Owns how one server looks where Consul shows its raft, its autopilot and its gossip keys: it is
 * the only voter and its leader, its term is the store's generation, and there is no gossip. Must
 * not claim what is not so.
 */
import type { Revision, WallMs } from '../../base/brand.ts'
import { refuse } from '../../base/denied.ts'
import { formatDuration } from '../../base/duration.ts'
import { Refusal, severalErrors } from '../../base/errors.ts'
import { consulVersion } from '../../base/version.ts'
import { access, type Who } from '../../base/who.ts'
import { autopilotDefaults } from '../../registry/autopilot.ts'
import type { Registry } from '../../registry/room.run.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { AutopilotRow } from '../../store/tables/autopilot.ts'
import { acting, definePath, json, type Operation, type PathDeclaration } from '../declare.ts'
import { optionalString, string, uint64 } from '../query.ts'
import { bool, duration, int, list, map, type Of, object, text } from '../shape.ts'
import type { AgentIdentity } from './self.ts'

/** How the server fares. */
export interface ServerHealth {
  /** Whether it can write. */
  readonly isHealthy: boolean
  /** Since when that is as it is. */
  readonly since: WallMs
  readonly generation: number
  readonly revision: Revision
}

export interface OperatorOptions {
  readonly room: Registry
  readonly identity: AgentIdentity
  readonly health: () => ServerHealth
}

/** The paths of operators. */
export function operatorPaths(options: OperatorOptions): PathDeclaration[] {
  return [
    raftConfigurationPath(options),
    raftPeerPath(options),
    transferPath(),
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

const addressOf = ({ leader }: AgentIdentity): string => leader()

// --- raft

/** The set of servers has been the same since the first index that there is. */
const FIRST_INDEX = 1
const RAFT_PROTOCOL = '3'

function raftConfigurationPath({ identity, health }: OperatorOptions): PathDeclaration {
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
        summary: 'The servers that decide together: this one.',
        query: {},
        body: undefined,
        answers: {
          200: { json: object({ Servers: list(serverShape), Index: int }), help: 'servers' },
        },
        access: mayRead,
        run({ who }) {
          const Servers = [
            {
              ID: identity.nodeId,
              Node: identity.nodeName,
              Address: addressOf(identity),
              Leader: true,
              ProtocolVersion: RAFT_PROTOCOL,
              LastIndex: health().revision,
              Voter: true,
            },
          ]
          return refuseReader(who) ?? json({ Servers, Index: FIRST_INDEX })
        },
      }),
    },
  })
}

const NEITHER =
  "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"

function raftPeerPath({ identity }: OperatorOptions): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/operator/raft/peer',
    operations: {
      DELETE: acting({
        summary: 'Removes a server: there is none but this, and it stays.',
        query: {
          id: optionalString('The id of its node.'),
          address: optionalString('Its address and port.'),
        },
        body: undefined,
        answers: { 500: { text: 'No such server, or it is the last one.' } },
        access: mayWrite,
        run({ query: { id, address }, who }) {
          if (id === undefined && address === undefined) return new Refusal(400, NEITHER)
          if (id !== undefined && address !== undefined) {
            return new Refusal(400, 'Must specify only one of ?id or ?address')
          }
          const lacking = refuseWriter(who)
          if (lacking !== undefined) return lacking
          const isOwn = id === undefined ? address === addressOf(identity) : id === identity.nodeId
          if (isOwn) return new Refusal(500, 'need at least one voter in configuration')
          const given = id === undefined ? `address ${quoted(address!)}` : `id ${quoted(id)}`
          return new Refusal(500, `${given} was not found in the Raft configuration`)
        },
      }),
    },
  })
}

const quoted = (given: string): string => JSON.stringify(given.slice(0, 256))

function transferPath(): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/operator/raft/transfer-leader',
    operations: {
      POST: acting({
        summary: 'Hands the lead to another server: there is none.',
        query: { id: string('The id of the node that is to lead.') },
        body: { raw: 'Not read.' },
        answers: { 500: { text: 'There is no other server.' } },
        access: mayWrite,
        run: ({ who }) => refuseWriter(who) ?? new Refusal(500, 'cannot find peer'),
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

/** One server can lose none. */
const TOLERANCE = 0
/** Who leads heard from the leader just now. */
const NO_TIME = '0s'

const timeText = (at: WallMs): string => new Date(Math.floor(at / 1000) * 1000).toISOString()

function autopilotHealthPath({ identity, health }: OperatorOptions): PathDeclaration {
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
          429: { json: shape, help: 'one is not: it cannot write' },
        },
        access: mayRead,
        run({ who }) {
          const lacking = refuseReader(who)
          if (lacking !== undefined) return lacking
          const { isHealthy, since, generation, revision } = health()
          const server = {
            ID: identity.nodeId,
            Name: identity.nodeName,
            Address: addressOf(identity),
            SerfStatus: 'alive',
            Version: consulVersion,
            Leader: true,
            LastContact: NO_TIME,
            LastTerm: generation,
            LastIndex: revision,
            Healthy: isHealthy,
            Voter: true,
            StableSince: timeText(since),
          }
          const body = { Healthy: isHealthy, FailureTolerance: TOLERANCE, Servers: [server] }
          return json(body, isHealthy ? 200 : 429)
        },
      }),
    },
  })
}

function autopilotStatePath({ identity, health }: OperatorOptions): PathDeclaration {
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
          return json(stateJson(identity, health()))
        },
      }),
    },
  })
}

function stateJson(identity: AgentIdentity, health: ServerHealth): unknown {
  const { nodeId, nodeName } = identity
  const server = {
    ID: nodeId,
    Name: nodeName,
    Address: addressOf(identity),
    NodeStatus: 'alive',
    Version: consulVersion,
    LastContact: NO_TIME,
    LastTerm: health.generation,
    LastIndex: health.revision,
    Healthy: health.isHealthy,
    StableSince: timeText(health.since),
    ReadReplica: false,
    Status: 'leader',
    Meta: identity.nodeMeta,
    NodeType: 'voter',
  }
  return {
    Healthy: health.isHealthy,
    FailureTolerance: TOLERANCE,
    OptimisticFailureTolerance: TOLERANCE,
    Servers: { [nodeId]: server },
    Leader: nodeId,
    Voters: [nodeId],
  }
}

// --- keyring

const keyShape = object({ Key: text })
const RELAY_MAX = 5

/** There is no gossip here, so nothing of it is encrypted: Consul's answer where that is off. */
function keyringPath({ datacenter, nodeName }: AgentIdentity): PathDeclaration {
  const empty = (node: string): string => `${node}: Keyring is empty (encryption not enabled)`
  const refusal = new Refusal(
    500,
    severalErrors([
      'WAN error: 1/1 nodes reported failure',
      empty(`${nodeName}.${datacenter}`),
      `${datacenter} (LAN) error: 1/1 nodes reported failure`,
      empty(nodeName),
    ]),
  )
  const query = {
    'relay-factor': string('How many others pass a message on, at most 5.'),
    'local-only': string('Asks only this server; for lists alone.'),
  }
  const answers = { 500: { text: 'There are no keys: nothing is gossiped.' } }
  const run = (given: Record<keyof typeof query, string>, who: Who, isList: boolean): Refusal =>
    refuse(who, [access(isList ? 'read' : 'write', 'keyring')]) ??
    refuseKeyringQuery(given, isList) ??
    refusal
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
