/**
 * Looking at all members, again and again, from one server.
 *
 * Owns the last look and since when each member is as it is. Asks each member itself: what one says
 * of another is hearsay. Changes nothing.
 */
import type { Clock } from '../../../base/clock.ts'
import { limits } from '../../../base/limits.ts'
import { pause } from '../../../base/pause.ts'
import type { AutopilotRow } from '../../tables/autopilot.ts'
import {
  faultOf,
  healthOf,
  type MemberAlarm,
  type MemberAnswer,
  type MemberHealth,
  type Since,
} from './health.ts'
import {
  type EtcdAlarm,
  type EtcdMember,
  type EtcdMemberStatus,
  type Operators,
  whyOf,
} from './operator.ts'
import type { MemberAddress } from './words.ts'

export interface WatchPorts {
  readonly clock: Clock
  readonly operators: Operators
  /** Where members may be, as far as it is known before the first look. */
  readonly endpoints: () => readonly string[]
  readonly rules: () => Pick<AutopilotRow, 'lastContactThresholdMs' | 'maxTrailingLogs'>
  /** Told after each look that found the members. */
  readonly onLook: (members: readonly MemberAddress[]) => void
}

interface Asked {
  readonly endpoint: string
  readonly status: EtcdMemberStatus | undefined
  readonly why: string
  readonly tookMs: number
}

export class MemberWatch {
  readonly #ports: WatchPorts
  readonly #since = new Map<string, Since>()
  /** When each member answered last. */
  readonly #heardMs = new Map<string, number>()
  readonly #stopping = new AbortController()
  #members: readonly MemberHealth[] = []
  #known: readonly string[] = []
  #looking: Promise<readonly MemberHealth[]> | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(ports: WatchPorts) {
    this.#ports = ports
  }

  /** The members as they were at the last look; empty before the first one found any. */
  get members(): readonly MemberHealth[] {
    return this.#members
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.look()
      await pause(this.#ports.clock, limits.memberLookMs, signal)
    }
  }

  /** Looks once, or takes part in the look that is under way. Gives the members. */
  look(): Promise<readonly MemberHealth[]> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** What was seen before stays where nobody can say who the members are. */
  async #look(): Promise<readonly MemberHealth[]> {
    const endpoints = [...new Set([...this.#known, ...this.#ports.endpoints()])]
    const asked = await Promise.all(endpoints.map(one => this.#ask(one)))
    const best = bestOf(asked)
    if (best === undefined) {
      this.#members = this.#members.map(one => this.#silent(one))
      return this.#members
    }
    const members = await this.#membersAt(best.endpoint)
    if (members === undefined) return this.#members
    const alarms = await this.#alarmsAt(best.endpoint)
    const answers = members.map(member => this.#answerOf(member, asked, alarms))
    this.#judge(answers, asked)
    const addresses = addressesOf(members)
    this.#known = addresses.map(({ clientUrl }) => clientUrl)
    this.#ports.operators.keep([...this.#known, ...this.#ports.endpoints()])
    if (addresses.length > 0) this.#ports.onLook(addresses)
    return this.#members
  }

  async #ask(endpoint: string): Promise<Asked> {
    const { clock, operators } = this.#ports
    const startMs = clock.monotonic()
    try {
      const operator = await operators.at(endpoint)
      const status = await operator.status(limits.memberAskTimeoutMs)
      return { endpoint, status, why: '', tookMs: clock.monotonic() - startMs }
    } catch (error) {
      return { endpoint, status: undefined, why: whyOf(error), tookMs: 0 }
    }
  }

  async #membersAt(endpoint: string): Promise<readonly EtcdMember[] | undefined> {
    try {
      return await (await this.#ports.operators.at(endpoint)).members()
    } catch {
      return undefined
    }
  }

  /** Without an answer there are none that is known of. */
  async #alarmsAt(endpoint: string): Promise<readonly EtcdAlarm[]> {
    try {
      return await (await this.#ports.operators.at(endpoint)).alarms()
    } catch {
      return []
    }
  }

  #answerOf(
    member: EtcdMember,
    asked: readonly Asked[],
    alarms: readonly EtcdAlarm[],
  ): MemberAnswer {
    const nowMs = this.#ports.clock.monotonic()
    // By what it says of itself: its URL may be another one's by now.
    const own = asked.find(({ status }) => status?.memberId === member.id)
    if (own !== undefined) this.#heardMs.set(member.id, nowMs)
    const heardMs = this.#heardMs.get(member.id)
    const failed = asked.find(({ endpoint }) => member.clientUrls.includes(endpoint))
    const kinds = alarms
      .filter(({ memberId }) => memberId === member.id)
      .map(({ kind }) => kind as MemberAlarm)
    return {
      member,
      status: own?.status,
      why: failed?.why || 'it was not asked yet',
      lastContactMs: own?.tookMs ?? (heardMs === undefined ? 0 : nowMs - heardMs),
      alarms: kinds,
    }
  }

  #judge(answers: readonly MemberAnswer[], asked: readonly Asked[]): void {
    const { clock, rules } = this.#ports
    const nowMs = clock.monotonic()
    const leader = leaderOf(asked)
    const seen = new Set<string>()
    this.#members = answers.map(answer => {
      const { id } = answer.member
      seen.add(id)
      const fault = faultOf(answer, leader?.raftIndex ?? 0, rules())
      const isHealthy = fault === ''
      const before = this.#since.get(id)
      const isSame = before !== undefined && before.isHealthy === isHealthy
      const since = isSame ? before : { isHealthy, monotonicMs: nowMs, wallMs: clock.wall() }
      this.#since.set(id, since)
      return healthOf(answer, leader, fault, since, nowMs)
    })
    for (const id of [...this.#since.keys()].filter(one => !seen.has(one))) {
      this.#since.delete(id)
      this.#heardMs.delete(id)
    }
  }

  /** Nobody answered at all: nothing is known of anybody. */
  #silent(member: MemberHealth): MemberHealth {
    const { clock } = this.#ports
    const nowMs = clock.monotonic()
    const before = this.#since.get(member.memberId)
    const isSame = before?.isHealthy === false
    const since = isSame ? before : { isHealthy: false, monotonicMs: nowMs, wallMs: clock.wall() }
    this.#since.set(member.memberId, since)
    return {
      ...member,
      isHealthy: false,
      isLeader: false,
      fault: 'no member answers',
      stableSinceMs: since.wallMs,
      stableForMs: nowMs - since.monotonicMs,
    }
  }
}

/** Whose list of members is the newest: the leader's, else that of who has applied most. */
function bestOf(asked: readonly Asked[]): Asked | undefined {
  const answered = asked.filter(({ status }) => status !== undefined)
  const rank = ({ status }: Asked): readonly number[] => [
    status!.leaderId === status!.memberId ? 1 : 0,
    status!.leaderId === '' ? 0 : 1,
    status!.raftTerm,
    status!.raftAppliedIndex,
  ]
  return answered.sort((a, b) => compare(rank(b), rank(a)))[0]
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at === -1 ? 0 : a[at]! - b[at]!
}

/** What the leader says of itself, of the newest term; undefined while there is none. */
function leaderOf(asked: readonly Asked[]): EtcdMemberStatus | undefined {
  return asked
    .flatMap(({ status }) => (status === undefined ? [] : [status]))
    .filter(status => status.leaderId === status.memberId)
    .sort((a, b) => b.raftTerm - a.raftTerm)[0]
}

const addressesOf = (members: readonly EtcdMember[]): MemberAddress[] =>
  members.flatMap(({ name, peerUrls, clientUrls }) =>
    name === '' || peerUrls[0] === undefined || clientUrls[0] === undefined
      ? []
      : [{ name, peerUrl: peerUrls[0], clientUrl: clientUrls[0] }],
  )
