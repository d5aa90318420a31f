/**
 * What servers ask of single members, and how they know that one of them serves.
 *
 * Owns one connection to each member, kept as long as it is of use. Which part of etcd's interface
 * is used here is a port that tests replace.
 */
import { messageOf } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { EtcdAccess } from '../client.ts'
import type { EtcdAlarm, EtcdMember, EtcdMemberStatus, EtcdOperator } from '../cluster.ts'

export type { EtcdAlarm, EtcdMember, EtcdMemberStatus }

/** One member, asked as its operator. Calls reject with RpcError. */
export type MemberOperator = Pick<
  EtcdOperator,
  | 'members'
  | 'add'
  | 'promote'
  | 'remove'
  | 'update'
  | 'status'
  | 'confirm'
  | 'alarms'
  | 'disarm'
  | 'compact'
  | 'defragment'
  | 'moveLeader'
  | 'close'
>

/** Connects to the member at this endpoint. */
export type ConnectMember = (endpoint: string, access: EtcdAccess) => Promise<MemberOperator>

export class Operators {
  readonly #access: EtcdAccess
  readonly #connect: ConnectMember
  readonly #open = new Map<string, Promise<MemberOperator>>()

  constructor(access: EtcdAccess, connect: ConnectMember) {
    this.#access = access
    this.#connect = connect
  }

  /** The connection to the member at this endpoint. */
  at(endpoint: string): Promise<MemberOperator> {
    let operator = this.#open.get(endpoint)
    if (operator === undefined) {
      operator = this.#connect(endpoint, this.#access)
      this.#open.set(endpoint, operator)
    }
    return operator
  }

  /** Lets go of the connections to all other members. */
  keep(endpoints: readonly string[]): void {
    for (const [endpoint, operator] of this.#open) {
      if (endpoints.includes(endpoint)) continue
      this.#open.delete(endpoint)
      operator.then(
        one => one.close(),
        () => {},
      )
    }
  }

  close(): void {
    this.keep([])
  }

  /**
   * Whether a member serves: it knows of a leader, and answers what it must ask the others about.
   * Gives '' when it does, else why not, for people.
   */
  async ready(endpoint: string): Promise<string> {
    try {
      const operator = await this.at(endpoint)
      const { leaderId, isLearner } = await operator.status(limits.memberAskTimeoutMs)
      if (leaderId === '') return 'it knows of no leader: too few of the members are there'
      if (isLearner) return 'it is a learner still'
      await operator.confirm(limits.memberAskTimeoutMs)
      return ''
    } catch (error) {
      return whyOf(error)
    }
  }
}

/** Why a member does not answer, for people: what the library says, and what to look at. */
export function whyOf(error: unknown): string {
  const text = messageOf(error)
  if (/ECONNREFUSED/.test(text)) return 'nothing listens there: is its server running?'
  if (/EHOSTUNREACH|ENETUNREACH/.test(text)) return 'its machine cannot be reached'
  if (/DEADLINE|[Dd]eadline|timed? ?out/.test(text)) {
    return 'no answer in time: is a firewall between the two?'
  }
  if (/certificate|[Tt][Ll][Ss]|SSL|alert/.test(text)) {
    const advice = 'do the clocks agree, and are both of the same cluster?'
    return `the two do not trust each other's certificates (${text}): ${advice}`
  }
  return text
}
