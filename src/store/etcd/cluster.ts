/**
 * etcd's members seen by who runs them: who belongs to the cluster, how one of them is, and the
 * work that one of them does on its own file.
 *
 * Owns the calls, each to the one member that was connected to. Repeats nothing, decides nothing.
 * Every call rejects with RpcError.
 */
import { limits } from '../../base/limits.ts'
import { type EtcdAccess, type EtcdChannel, openChannel } from './channel.ts'
import type { AlarmKind, MemberMessage } from './messages.ts'

/** A member as the cluster knows it. Ids are decimal digits here and everywhere. */
export interface EtcdMember {
  readonly id: string
  /** '' for one that was added and has not started yet. */
  readonly name: string
  readonly peerUrls: readonly string[]
  readonly clientUrls: readonly string[]
  readonly isLearner: boolean
}

/** How the member that was asked is. */
export interface EtcdMemberStatus {
  readonly version: string
  readonly clusterId: string
  readonly memberId: string
  /** The leader that it knows of; '' for none. */
  readonly leaderId: string
  readonly isLearner: boolean
  readonly revision: number
  readonly raftTerm: number
  readonly raftIndex: number
  readonly raftAppliedIndex: number
  /** Its file, what of that holds something, and what it may hold (0: not told, before 3.6). */
  readonly sizeBytes: number
  readonly usedSizeBytes: number
  readonly quotaSizeBytes: number
  readonly errors: readonly string[]
}

/** An alarm of one member. */
export interface EtcdAlarm {
  readonly memberId: string
  readonly kind: AlarmKind
}

/** The hash of all that a member holds at a revision: equal on all members. */
export interface EtcdHash {
  readonly revision: number
  readonly hash: number
  /** Hashes can be compared where this is equal. */
  readonly compactRevision: number
}

/** Connects to one member, as its operator. Nothing is asked of it yet. */
export async function connectMember(
  endpoint: string,
  access: EtcdAccess = {},
): Promise<EtcdOperator> {
  return new EtcdOperator(await openChannel([endpoint], access))
}

export class EtcdOperator {
  readonly #channel: EtcdChannel

  constructor(channel: EtcdChannel) {
    this.#channel = channel
  }

  /** All members. Linearizable where etcd can (3.5 on). */
  async members(): Promise<EtcdMember[]> {
    const request = { linearizable: true }
    const { members } = await this.#channel.call('etcdserverpb.Cluster/MemberList', request)
    return members.map(toMember)
  }

  /**
   * Adds a member that has not started yet; gives it with its id. UNAVAILABLE (`unhealthy cluster`)
   * until the members have been connected to each other for five seconds.
   */
  async add(peerUrls: readonly string[], isLearner: boolean): Promise<EtcdMember> {
    const request = { peerURLs: peerUrls, isLearner }
    const { member } = await this.#channel.call('etcdserverpb.Cluster/MemberAdd', request)
    return toMember(member)
  }

  /** Makes a learner a voter. FAILED_PRECONDITION while it has not caught up. */
  async promote(id: string): Promise<void> {
    await this.#channel.call('etcdserverpb.Cluster/MemberPromote', { ID: id })
  }

  async remove(id: string): Promise<void> {
    await this.#channel.call('etcdserverpb.Cluster/MemberRemove', { ID: id })
  }

  /** Changes where other members reach one. */
  async update(id: string, peerUrls: readonly string[]): Promise<void> {
    const request = { ID: id, peerURLs: peerUrls }
    await this.#channel.call('etcdserverpb.Cluster/MemberUpdate', request)
  }

  /** Answers without a quorum too. */
  async status(timeoutMs: number = limits.etcdRequestTimeoutMs): Promise<EtcdMemberStatus> {
    const said = await this.#channel.call('etcdserverpb.Maintenance/Status', {}, timeoutMs)
    return {
      version: said.version,
      clusterId: said.header.clusterId.toString(),
      memberId: said.header.memberId.toString(),
      leaderId: said.leader.isZero() ? '' : said.leader.toString(),
      isLearner: said.isLearner,
      revision: said.header.revision.toNumber(),
      raftTerm: said.raftTerm.toNumber(),
      raftIndex: said.raftIndex.toNumber(),
      raftAppliedIndex: said.raftAppliedIndex.toNumber(),
      sizeBytes: said.dbSize.toNumber(),
      usedSizeBytes: said.dbSizeInUse.toNumber(),
      quotaSizeBytes: said.dbSizeQuota.toNumber(),
      errors: said.errors,
    }
  }

  /** Resolves when a majority of the members agrees that this one still belongs to them. */
  async confirm(timeoutMs: number = limits.etcdRequestTimeoutMs): Promise<void> {
    const request = { key: Buffer.from('health'), keysOnly: true }
    await this.#channel.call('etcdserverpb.KV/Range', request, timeoutMs)
  }

  /** The alarms of all members. */
  async alarms(): Promise<EtcdAlarm[]> {
    const request = { action: 'GET' } as const
    const { alarms } = await this.#channel.call('etcdserverpb.Maintenance/Alarm', request)
    return alarms.flatMap(({ memberID, alarm }) =>
      alarm === 'NONE' ? [] : [{ memberId: memberID.toString(), kind: alarm }],
    )
  }

  /** Takes an alarm back. */
  async disarm({ memberId, kind }: EtcdAlarm): Promise<void> {
    const request = { action: 'DEACTIVATE', memberID: memberId, alarm: kind } as const
    await this.#channel.call('etcdserverpb.Maintenance/Alarm', request)
  }

  /** Forgets history up to a revision, and waits until the room is free. */
  async compact(revision: number): Promise<void> {
    const request = { revision, physical: true }
    const timeoutMs = limits.etcdMaintenanceTimeoutMs
    await this.#channel.call('etcdserverpb.KV/Compact', request, timeoutMs)
  }

  /** Rewrites this member's file without its holes. The member answers nothing meanwhile. */
  async defragment(): Promise<void> {
    const timeoutMs = limits.etcdMaintenanceTimeoutMs
    await this.#channel.call('etcdserverpb.Maintenance/Defragment', {}, timeoutMs)
  }

  /** The hash of this member's content up to a revision; 0 is the newest. */
  async hash(revision: number): Promise<EtcdHash> {
    const timeoutMs = limits.etcdMaintenanceTimeoutMs
    const method = 'etcdserverpb.Maintenance/HashKV'
    const said = await this.#channel.call(method, { revision }, timeoutMs)
    return {
      revision: said.header.revision.toNumber(),
      hash: said.hash,
      compactRevision: said.compactRevision.toNumber(),
    }
  }

  /** Hands this member's leadership to another one; FAILED_PRECONDITION where it has none. */
  async moveLeader(to: string): Promise<void> {
    await this.#channel.call('etcdserverpb.Maintenance/MoveLeader', { targetID: to })
  }

  /**
   * The member's file as it is now, in chunks to be written one after the other; the last 32 bytes
   * are the SHA-256 of those before. Who stops reading ends the stream.
   */
  async *snapshot(): AsyncGenerator<Buffer> {
    const timeoutMs = limits.etcdMaintenanceTimeoutMs
    const parts = this.#channel.receive('etcdserverpb.Maintenance/Snapshot', {}, timeoutMs)
    for await (const { blob } of parts) if (blob.length > 0) yield blob
  }

  close(): void {
    this.#channel.close()
  }
}

const toMember = ({ ID, name, peerURLs, clientURLs, isLearner }: MemberMessage): EtcdMember => ({
  id: ID.toString(),
  name,
  peerUrls: peerURLs,
  clientUrls: clientURLs,
  isLearner,
})
