/**
 * What is to be done about the members next: one change at a time over the whole cluster.
 *
 * Owns the order (make room, add as a learner, promote once it has caught up, clean up) and that no
 * change is proposed that could cost the quorum. Pure: it is asked again after each look, whatever
 * happened in between, so that a server that takes the work over goes on where another one ended.
 */
import { limits } from '../../../base/limits.ts'
import type { AutopilotRow } from '../../tables/autopilot.ts'
import type { MemberRow } from '../../tables/member.ts'
import { type MemberHealth, quorumOf } from './health.ts'

/** What one server knows when it decides. */
export interface Sight {
  /** As etcd lists them. */
  readonly members: readonly MemberHealth[]
  /** What servers said of their own members, by the ids of their nodes. */
  readonly rows: ReadonlyMap<string, MemberRow>
  readonly rules: AutopilotRow
  /** Servers that left or were made to: their members go. */
  readonly left: ReadonlySet<string>
}

/** One change. `why` is for people. */
export type Change =
  | { readonly kind: 'remove'; readonly member: MemberHealth; readonly why: string }
  | { readonly kind: 'add'; readonly row: MemberRow; readonly why: string }
  /** A learner that was added for this row: it only has to be told. */
  | { readonly kind: 'tell'; readonly row: MemberRow; readonly memberId: string }
  | { readonly kind: 'promote'; readonly member: MemberHealth; readonly why: string }
  /** It may start its process anew, for what etcd reads only then. */
  | { readonly kind: 'restart'; readonly row: MemberRow }

/** The next change, or what is waited for. */
export interface Step {
  readonly change: Change | undefined
  /** Why what somebody waits for is not done yet, for people. */
  readonly waiting: readonly string[]
}

/** Decides on the next change. */
export function nextChange(sight: Sight): Step {
  const waiting: string[] = []
  const change =
    goneLearner(sight) ??
    leftMember(sight, waiting) ??
    nextForAskers(sight, waiting) ??
    promotion(sight, waiting) ??
    deadMember(sight, waiting) ??
    restart(sight)
  return { change, waiting }
}

const votersOf = ({ members }: Sight): MemberHealth[] =>
  members.filter(({ isLearner }) => !isLearner)

/** Whether the others can go on without a member, and the change itself be agreed upon. */
function isSafeToRemove(sight: Sight, member: MemberHealth): boolean {
  if (member.isLearner) return true
  const voters = votersOf(sight)
  const others = voters.filter(one => one.memberId !== member.memberId)
  const healthy = others.filter(({ isHealthy }) => isHealthy).length
  const agreeing = healthy + (member.isHealthy ? 1 : 0)
  return (
    others.length > 0 && healthy >= quorumOf(others.length) && agreeing >= quorumOf(voters.length)
  )
}

/** A learner that nobody starts, or that ended again, is in the way of all others. */
function goneLearner({ members, rows }: Sight): Change | undefined {
  const gone = members.find(({ isLearner, isHealthy, stableForMs, nodeId, peerUrl }) => {
    if (!isLearner || isHealthy) return false
    const isWanted = [...rows.values()].some(
      row => row.peerUrl === peerUrl && (row.phase === 'asking' || row.phase === 'added'),
    )
    // One that has no name yet is known by its URL alone.
    const boundMs = isWanted || nodeId !== '' ? limits.memberJoinMs : limits.memberStrayMs
    return stableForMs >= boundMs
  })
  return gone && { kind: 'remove', member: gone, why: 'it was added and does not come' }
}

function leftMember(sight: Sight, waiting: string[]): Change | undefined {
  const { members, left } = sight
  for (const member of members.filter(({ nodeId }) => left.has(nodeId))) {
    if (isSafeToRemove(sight, member)) return { kind: 'remove', member, why: 'its server left' }
    waiting.push(`${member.nodeId} left, and removing its member now would cost the quorum`)
  }
  return undefined
}

/** The first server that asks to be added, and what stands in its way. */
function nextForAskers(sight: Sight, waiting: string[]): Change | undefined {
  const { members, rows, left } = sight
  const askers = [...rows.values()]
    .filter(({ phase, nodeId }) => phase === 'asking' && !left.has(nodeId))
    .sort((a, b) => a.askedAtMs - b.askedAtMs || (a.nodeId < b.nodeId ? -1 : 1))
  for (const row of askers) {
    const own = members.find(one => one.peerUrl === row.peerUrl || one.nodeId === row.nodeId)
    if (own !== undefined && own.nodeId === '' && own.isLearner && own.peerUrl === row.peerUrl) {
      return { kind: 'tell', row, memberId: own.memberId }
    }
    if (own !== undefined) {
      const why = 'its server lost its data and joins anew'
      if (isSafeToRemove(sight, own)) return { kind: 'remove', member: own, why }
      waiting.push(`${row.nodeId} lost its data; removing its old member would cost the quorum`)
      continue
    }
    const step = roomFor(row, sight, waiting)
    if (step !== undefined) return step
  }
  return undefined
}

/** Adds a server's member, or removes a dead one that keeps etcd from adding any. */
function roomFor(row: MemberRow, sight: Sight, waiting: string[]): Change | undefined {
  const { members, rules } = sight
  const sick = votersOf(sight).filter(({ isHealthy }) => !isHealthy)
  const longDead = sick.find(
    ({ stableForMs }) => stableForMs >= Math.max(limits.memberReplacedMs, stableMs(rules)),
  )
  if (longDead !== undefined && rules.cleanupDeadServers && isSafeToRemove(sight, longDead)) {
    return { kind: 'remove', member: longDead, why: `dead, and ${row.nodeId} takes its place` }
  }
  const [first] = sick
  if (first !== undefined) {
    // Etcd adds nobody while a voter is away, and it is right: that could cost the quorum.
    waiting.push(`${row.nodeId} is not added while ${nameOf(first)} is not healthy: ${first.fault}`)
    return undefined
  }
  const learner = members.find(({ isLearner }) => isLearner)
  if (learner !== undefined) {
    waiting.push(`${row.nodeId} is added once ${nameOf(learner)} has a vote`)
    return undefined
  }
  if (members.length >= limits.members) {
    waiting.push(`${row.nodeId} is not added: there are ${limits.members} members already`)
    return undefined
  }
  return { kind: 'add', row, why: 'its server asks to join' }
}

function promotion({ members, rules }: Sight, waiting: string[]): Change | undefined {
  const learner = members.find(one => one.isLearner && one.nodeId !== '')
  if (learner === undefined) return undefined
  const name = nameOf(learner)
  if (!learner.isHealthy) {
    waiting.push(`${name} gets no vote while it is not healthy: ${learner.fault}`)
    return undefined
  }
  if (learner.stableForMs < stableMs(rules)) {
    waiting.push(`${name} gets a vote once it was healthy for ${stableMs(rules) / 1_000} s`)
    return undefined
  }
  return { kind: 'promote', member: learner, why: 'it has caught up and is healthy' }
}

/** A dead member that nobody replaces goes only after long: its server may be back any time. */
function deadMember(sight: Sight, waiting: string[]): Change | undefined {
  const { rules, left } = sight
  if (!rules.cleanupDeadServers) return undefined
  const voters = votersOf(sight)
  const dead = voters.find(
    ({ isHealthy, stableForMs, nodeId }) =>
      !isHealthy && stableForMs >= limits.memberDeadMs && !left.has(nodeId),
  )
  if (dead === undefined) return undefined
  if (voters.length - 1 < rules.minQuorum) {
    waiting.push(`${nameOf(dead)} is dead and stays: min_quorum is ${rules.minQuorum}`)
    return undefined
  }
  if (isSafeToRemove(sight, dead)) return { kind: 'remove', member: dead, why: 'dead for long' }
  waiting.push(`${nameOf(dead)} is dead, and removing it would cost the quorum`)
  return undefined
}

/** One after the other, and only while everybody else is there. */
function restart({ members, rows }: Sight): Change | undefined {
  if (members.some(({ isHealthy }) => !isHealthy)) return undefined
  const all = [...rows.values()]
  // Somebody was told and has not come back yet.
  if (all.some(({ wantsRestart, mayRestart }) => wantsRestart && mayRestart)) return undefined
  const row = all.find(({ wantsRestart }) => wantsRestart)
  return row && { kind: 'restart', row }
}

const stableMs = ({ serverStabilizationTimeMs }: AutopilotRow): number => serverStabilizationTimeMs

const nameOf = ({ nodeId, peerUrl }: MemberHealth): string => (nodeId === '' ? peerUrl : nodeId)
