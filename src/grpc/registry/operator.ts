/**
 * gatehouse.v1.Operator: what operators ask of a cluster.
 *
 * Owns parsing out of and rendering into messages, and how an archive goes in pieces both ways. The
 * rules are those of /v1/operator, /v1/status, /v1/agent/members and /v1/snapshot.
 */
import type { WallMs } from '../../base/brand.ts'
import { Refusal } from '../../base/errors.ts'
import { inSlices } from '../../base/slices.ts'
import { access } from '../../base/who.ts'
import { askKeyring } from '../../cluster/keyring.ts'
import {
  type ClientFacts,
  clientsSeen,
  peersOf,
  peerToRemove,
  type ServerFacts,
  serverAddress,
  serversSeen,
} from '../../cluster/port.ts'
import { autopilotDefaults } from '../../registry/autopilot.ts'
import type { Snapshots } from '../../store/snapshot.ts'
import type { AutopilotRow } from '../../store/tables/autopilot.ts'
import {
  anonymous,
  duplex,
  type GrpcCall,
  GrpcFailure,
  type GrpcIn,
  type GrpcMethod,
  type GrpcOut,
  serverStream,
  unary,
} from '../declare.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { byRoom } from './rights.ts'
import { type DurationMessage, durationOf, type Maybe, msOf } from './values.ts'

export type OperatorPorts = Pick<
  RegistryGrpcPorts,
  'cluster' | 'registry' | 'snapshots' | 'reload' | 'identity'
>

const PROTO = 'gatehouse/v1/operator.proto'
const mayRead = () => [access('read', 'operator')]
const mayWrite = () => [access('write', 'operator')]
const mayArchive = () => [access('write', 'acl')]

/** The methods of operators. */
export const operatorService = (ports: OperatorPorts): readonly GrpcMethod[] => [
  membersMethod(ports),
  statusMethod(ports),
  healthMethod(ports),
  transferMethod(ports),
  removePeerMethod(ports),
  getAutopilotMethod(ports),
  setAutopilotMethod(ports),
  listKeysMethod(ports),
  changeKeysMethod(ports),
  saveMethod(ports),
  restoreMethod(ports),
  reloadMethod(ports),
]

interface MemberMessage {
  readonly name: string
  readonly nodeId: string
  readonly address: string
  readonly status: (typeof STATUSES)[ServerFacts['status']]
  readonly version?: string
  readonly server?: {
    readonly rpcAddress: string
    readonly isLeader: boolean
    readonly isVoter: boolean
    readonly isHealthy: boolean
    readonly stableSince: DurationMessage
    readonly lastContact: DurationMessage
    readonly term: number
    readonly lastIndex: number
  }
}

const STATUSES = {
  alive: 'MEMBER_STATUS_ALIVE',
  leaving: 'MEMBER_STATUS_LEAVING',
  left: 'MEMBER_STATUS_LEFT',
  failed: 'MEMBER_STATUS_FAILED',
} as const

/** google.protobuf.Timestamp has the fields of a Duration. */
const timeOf = (at: WallMs): DurationMessage => durationOf(at)

const serverMessage = (server: ServerFacts): MemberMessage => ({
  name: server.name,
  nodeId: server.nodeId,
  address: server.address,
  status: STATUSES[server.status],
  server: {
    rpcAddress: serverAddress(server),
    isLeader: server.isLeader,
    isVoter: server.isVoter,
    isHealthy: server.isHealthy,
    stableSince: timeOf(server.stableSince),
    lastContact: durationOf(server.lastContactMs),
    term: server.term,
    lastIndex: server.lastIndex,
  },
})

const clientMessage = (client: ClientFacts): MemberMessage => ({
  name: client.name,
  nodeId: client.nodeId,
  address: client.address,
  status: client.isAlive ? STATUSES.alive : STATUSES.failed,
  version: client.version,
})

const membersMethod = ({ cluster }: OperatorPorts): GrpcMethod =>
  unary<object, { members: readonly MemberMessage[] }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/Members', effect: 'reads' },
    summary: 'Who is in the cluster.',
    access: byRoom,
    async run(_request, { who }) {
      const members = serversSeen(cluster, who).map(serverMessage)
      await inSlices(clientsSeen(cluster, who), client => {
        if (client !== undefined) members.push(clientMessage(client))
      })
      return { members }
    },
  })

const statusMethod = ({ cluster }: OperatorPorts): GrpcMethod =>
  unary<object, { leader: string; peers: readonly string[] }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/Status', effect: 'reads' },
    summary: 'Who leads, and the servers that decide together.',
    access: anonymous,
    run() {
      const leader = cluster.leader()
      return {
        leader: leader === undefined ? '' : serverAddress(leader),
        peers: peersOf(cluster).map(serverAddress),
      }
    },
  })

interface HealthAnswer {
  readonly isHealthy: boolean
  readonly failureTolerance: number
  readonly servers: readonly MemberMessage[]
}

const healthMethod = ({ cluster }: OperatorPorts): GrpcMethod =>
  unary<object, HealthAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/Health', effect: 'reads' },
    summary: 'Whether the servers are well, and how many may fail.',
    access: mayRead,
    run() {
      const peers = peersOf(cluster)
      return {
        isHealthy: peers.every(({ isHealthy }) => isHealthy),
        failureTolerance: cluster.failureTolerance(),
        servers: peers.map(serverMessage),
      }
    },
  })

const transferMethod = ({ cluster }: OperatorPorts): GrpcMethod =>
  unary<{ readonly nodeId: string }, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/TransferLeader', effect: 'writes' },
    summary: 'Hands the lead to another server.',
    access: mayWrite,
    async run({ nodeId }, { who }) {
      const moved = await cluster.transfer(who, nodeId)
      return moved instanceof Refusal ? moved : {}
    },
  })

const UNNAMED = new Refusal(
  400,
  "Must specify either node_id with the server's ID or address with IP:port of peer to remove",
)

const removePeerMethod = ({ cluster }: OperatorPorts): GrpcMethod =>
  unary<{ readonly nodeId?: string; readonly address?: string }, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/RemovePeer', effect: 'writes' },
    summary: 'Removes a server that failed from those that decide.',
    access: mayWrite,
    async run({ nodeId = '', address = '' }, { who }) {
      if (nodeId === '' && address === '') return UNNAMED
      const peer = peerToRemove(cluster, who, nodeId === '' ? { address } : { nodeId })
      const removed = peer instanceof Refusal ? peer : await cluster.removePeer(who, peer)
      return removed instanceof Refusal ? removed : {}
    },
  })

interface AutopilotMessage {
  readonly cleanupDeadServers: boolean
  readonly lastContactThreshold?: Maybe<DurationMessage>
  readonly maxTrailingLogs: number
  readonly minQuorum: number
  readonly serverStabilizationTime?: Maybe<DurationMessage>
  readonly redundancyZoneTag: string
  readonly disableUpgradeMigration: boolean
  readonly upgradeVersionTag: string
}

interface AutopilotAnswer {
  readonly settings: AutopilotMessage
  readonly createIndex: number
  readonly modifyIndex: number
}

const getAutopilotMethod = ({ registry }: OperatorPorts): GrpcMethod =>
  unary<object, AutopilotAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/GetAutopilot', effect: 'reads' },
    summary: 'How servers are to be looked after.',
    access: mayRead,
    async run(_request, { who }) {
      const cell = await registry.autopilotConfig(who)
      if (cell instanceof Refusal) return cell
      const { lastContactThresholdMs, serverStabilizationTimeMs, ...rest } =
        cell?.row ?? autopilotDefaults
      const settings = {
        ...rest,
        lastContactThreshold: durationOf(lastContactThresholdMs),
        serverStabilizationTime: durationOf(serverStabilizationTimeMs),
      }
      return { settings, createIndex: cell?.createIndex ?? 0, modifyIndex: cell?.modifyIndex ?? 0 }
    },
  })

interface AutopilotRequest {
  readonly settings?: Maybe<AutopilotMessage>
  readonly cas?: number | undefined
}

const setAutopilotMethod = ({ registry }: OperatorPorts): GrpcMethod =>
  unary<AutopilotRequest, { isWritten: boolean }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/SetAutopilot', effect: 'writes' },
    summary: 'Says as a whole how servers are to be looked after.',
    access: mayWrite,
    async run({ settings, cas }, { who }) {
      if (!settings) return new Refusal(400, 'Missing settings')
      const { lastContactThreshold, serverStabilizationTime } = settings
      const row: AutopilotRow = {
        cleanupDeadServers: settings.cleanupDeadServers,
        lastContactThresholdMs: msOf(lastContactThreshold) ?? 0,
        maxTrailingLogs: settings.maxTrailingLogs,
        minQuorum: settings.minQuorum,
        serverStabilizationTimeMs: msOf(serverStabilizationTime) ?? 0,
        redundancyZoneTag: settings.redundancyZoneTag,
        disableUpgradeMigration: settings.disableUpgradeMigration,
        upgradeVersionTag: settings.upgradeVersionTag,
      }
      const isWritten = await registry.putAutopilot(who, { row, cas })
      return isWritten instanceof Refusal ? isWritten : { isWritten }
    },
  })

const listKeysMethod = ({ identity }: OperatorPorts): GrpcMethod =>
  unary<object, { keys: readonly string[] }>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/ListKeys', effect: 'reads' },
    summary: 'The keys of gossip, which there is none of.',
    access: () => [access('read', 'keyring')],
    run: (_request, { who }) => askKeyring(who, 'read', identity),
  })

const changeKeysMethod = ({ identity }: OperatorPorts): GrpcMethod =>
  unary<object, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/ChangeKeys', effect: 'writes' },
    summary: 'Adds, uses or removes a key of gossip, which there is none of.',
    access: () => [access('write', 'keyring')],
    run: (_request, { who }) => askKeyring(who, 'write', identity),
  })

const reloadMethod = ({ identity: { nodeName }, reload }: OperatorPorts): GrpcMethod =>
  unary<object, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/Reload', effect: 'writes' },
    summary: 'Reads the configuration anew and takes over what needs no restart.',
    access: () => [access('write', 'agent', nodeName)],
    isOfAgent: true,
    async run() {
      const problems = await reload()
      if (problems.length === 0) return {}
      const text = `Reload failed: ${problems.join('\n')}`
      throw new GrpcFailure('FAILED_PRECONDITION', text, { reason: 'RELOAD_FAILED' })
    },
  })

// --- archives

interface Piece {
  readonly data: Buffer
}

const saveMethod = ({ snapshots }: OperatorPorts): GrpcMethod =>
  serverStream<{ readonly stale: boolean }, Piece>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/SaveSnapshot', effect: 'reads' },
    summary: 'Everything that is kept as one archive, in pieces.',
    access: mayArchive,
    async run({ stale }, { signal }, out) {
      if (!stale) await snapshots.confirm()
      // A piece is read once the one before it is on its way; who leaves ends the archive.
      for await (const data of snapshots.save()) {
        if (signal.aborted) return
        if (!out.send({ data })) await out.drained()
      }
    },
  })

const restoreMethod = ({ snapshots }: OperatorPorts): GrpcMethod =>
  duplex<Piece, object>(
    {
      ...{ protoFile: PROTO, path: 'gatehouse.v1.Operator/RestoreSnapshot', effect: 'writes' },
      summary: 'Replaces everything that is kept by what an archive holds.',
      access: mayArchive,
      open: (call, out) => restored(snapshots, call, out),
    },
    'client-stream',
  )

/** Takes the pieces of an archive, no faster than they are read. */
function restored(snapshots: Snapshots, { signal }: GrpcCall, out: GrpcOut<object>): GrpcIn<Piece> {
  const pieces = new Pieces()
  signal.addEventListener('abort', () => pieces.end(new Error('the client left')), { once: true })
  snapshots.restore(pieces).then(
    refusal => {
      if (refusal === undefined) out.send({})
      out.end(refusal)
    },
    (error: unknown) => out.end(error instanceof Refusal ? error : failed(error)),
  )
  return {
    onMessage: ({ data }) => pieces.push(data),
    onEnd: () => pieces.end(signal.aborted ? new Error('the client left') : undefined),
  }
}

const failed = (error: unknown): GrpcFailure =>
  new GrpcFailure('INTERNAL', error instanceof Error ? error.message : 'the restore failed')

/** Pieces on their way from a stream to a reader: one at a time. */
class Pieces implements AsyncIterable<Buffer> {
  #waiting: Buffer | undefined
  #taken: (() => void) | undefined
  #came: (() => void) | undefined
  #isOver = false
  #error: Error | undefined

  /** Resolves once the piece was taken, so that the next one may come. */
  push(piece: Buffer): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    this.#waiting = piece
    this.#came?.()
    return new Promise(resolve => {
      this.#taken = resolve
    })
  }

  end(error: Error | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#error = error
    this.#came?.()
    this.#taken?.()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
    try {
      for (;;) {
        const piece = this.#waiting
        if (piece !== undefined) {
          this.#waiting = undefined
          this.#taken?.()
          yield piece
        } else if (this.#isOver) {
          if (this.#error !== undefined) throw this.#error
          return
        } else {
          await new Promise<void>(resolve => {
            this.#came = resolve
          })
        }
      }
    } finally {
      // Who stops reading lets the rest go by.
      this.end(undefined)
    }
  }
}
