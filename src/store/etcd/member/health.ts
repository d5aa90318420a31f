/**
 * How the members are, as one server sees them.
 *
 * Owns the type that operators' endpoints show and that the plan goes by, and what counts as
 * healthy: answers quickly, knows of a leader, trails by little. Pure.
 */
import type { AutopilotRow } from '../../tables/autopilot.ts'
import type { EtcdMember, EtcdMemberStatus } from './operator.ts'

/** An alarm of etcd's: NOSPACE takes no more puts, CORRUPT serves nothing. */
export type MemberAlarm = 'NOSPACE' | 'CORRUPT'

/** How one member is. Sizes are bytes, ids decimal digits. */
export interface MemberHealth {
  readonly memberId: string
  /** The id of its server's node; '' for a member that was added and has never started. */
  readonly nodeId: string
  readonly peerUrl: string
  /** '' for one that has never started. */
  readonly clientUrl: string
  /** It takes part, and has no vote yet. */
  readonly isLearner: boolean
  readonly isLeader: boolean
  readonly isHealthy: boolean
  /** Why it is not, for people; '' when it is. */
  readonly fault: string
  /** Since when it is healthy, or is not: by the wall clock, and how long that was at the look. */
  readonly stableSinceMs: number
  readonly stableForMs: number
  /** How long its last answer took, or how long it has been silent. */
  readonly lastContactMs: number
  /** Of etcd; '' while it never answered. */
  readonly version: string
  readonly raftTerm: number
  readonly raftIndex: number
  /** Entries that it is behind the leader. */
  readonly trailing: number
  readonly revision: number
  readonly sizeBytes: number
  readonly usedSizeBytes: number
  readonly alarms: readonly MemberAlarm[]
}

/** What was found out about one member. */
export interface MemberAnswer {
  readonly member: EtcdMember
  /** What it said of itself; undefined where it did not answer. */
  readonly status: EtcdMemberStatus | undefined
  /** Why it did not answer. */
  readonly why: string
  readonly lastContactMs: number
  readonly alarms: readonly MemberAlarm[]
}

/** Since when a member is as it is. */
export interface Since {
  readonly isHealthy: boolean
  readonly monotonicMs: number
  readonly wallMs: number
}

/** What is wrong with a member; '' for nothing. */
export function faultOf(
  { member, status, why, lastContactMs, alarms }: MemberAnswer,
  leaderIndex: number,
  rules: Pick<AutopilotRow, 'lastContactThresholdMs' | 'maxTrailingLogs'>,
): string {
  if (member.name === '') return 'it has not started yet'
  if (status === undefined) return why
  if (alarms.includes('CORRUPT')) return 'its data differs from that of the others'
  if (status.leaderId === '') return 'it knows of no leader'
  if (lastContactMs > rules.lastContactThresholdMs) {
    return `it took ${Math.round(lastContactMs)} ms to answer`
  }
  const trailing = leaderIndex - status.raftIndex
  if (trailing > rules.maxTrailingLogs) return `it is ${trailing} entries behind the leader`
  return ''
}

/** The whole of what is shown of a member. */
export function healthOf(
  answer: MemberAnswer,
  leader: EtcdMemberStatus | undefined,
  fault: string,
  { wallMs, monotonicMs }: Since,
  nowMs: number,
): MemberHealth {
  const { member, status, lastContactMs, alarms } = answer
  return {
    memberId: member.id,
    nodeId: member.name,
    peerUrl: member.peerUrls[0] ?? '',
    clientUrl: member.clientUrls[0] ?? '',
    isLearner: member.isLearner,
    isLeader: leader !== undefined && leader.leaderId === member.id,
    isHealthy: fault === '',
    fault,
    stableSinceMs: wallMs,
    stableForMs: nowMs - monotonicMs,
    lastContactMs,
    version: status?.version ?? '',
    raftTerm: status?.raftTerm ?? 0,
    raftIndex: status?.raftIndex ?? 0,
    trailing: Math.max(0, (leader?.raftIndex ?? 0) - (status?.raftIndex ?? 0)),
    revision: status?.revision ?? 0,
    sizeBytes: status?.sizeBytes ?? 0,
    usedSizeBytes: status?.usedSizeBytes ?? 0,
    alarms,
  }
}

/** How many voters must agree. */
export const quorumOf = (voters: number): number => Math.floor(voters / 2) + 1

/** How many more members may fail before nothing can be written; negative when it is so. */
export function failureTolerance(members: readonly MemberHealth[]): number {
  const voters = members.filter(({ isLearner }) => !isLearner)
  const healthy = voters.filter(({ isHealthy }) => isHealthy)
  return healthy.length - quorumOf(voters.length)
}
