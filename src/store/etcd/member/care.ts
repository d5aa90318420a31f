/**
 * A server's care for the managed members, its own and, while it holds the role, all of them.
 *
 * Owns how the parts hang together: one watch that all of them look through, this server's
 * enrolment, and the duties for the timekeeper. For whoever composes an agent.
 */
import { type Clock, sleep } from '../../../base/clock.ts'
import { OperatingCode, OperatingError } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { type Op, put, type Store } from '../../store.ts'
import type { AutopilotRow } from '../../tables/autopilot.ts'
import { type MemberRow, storeMembers } from '../../tables/member.ts'
import type { Duty } from '../../timekeeper.ts'
import type { Reader } from '../../view.ts'
import { memberChanges } from './duty.ts'
import { Enrolment } from './enrol.ts'
import type { MemberHealth } from './health.ts'
import type { ManagedMember } from './member.ts'
import { Upkeep } from './upkeep.ts'
import { MemberWatch } from './watch.ts'

/** Whether a role is held, and by whom; see role.ts. */
type RoleState = 'ours' | 'theirs' | 'nobody'

export interface CarePorts {
  readonly member: ManagedMember
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** What operators said of how servers are looked after, as it is now. */
  readonly rules: () => AutopilotRow
  /** The ids of servers' nodes that left or were made to. */
  readonly left: () => ReadonlySet<string>
  /** Who holds the timekeeper's role. */
  readonly role: () => RoleState
}

export class MemberCare {
  /** Work of the one server that holds the timekeeper's role. */
  readonly duties: readonly Duty[]
  readonly #ports: CarePorts
  readonly #watch: MemberWatch
  readonly #enrolment: Enrolment
  readonly #upkeep: Upkeep

  constructor(ports: CarePorts) {
    this.#ports = ports
    const { member, rules } = ports
    const { operators } = member
    this.#watch = new MemberWatch({
      clock: ports.clock,
      operators,
      endpoints: () => member.endpoints,
      rules,
      onLook: members => void member.remember(members).catch(() => {}),
    })
    const look = (): Promise<readonly MemberHealth[]> => this.#watch.look()
    this.#enrolment = new Enrolment({ ...ports, members: () => this.#watch.members })
    this.duties = [memberChanges({ ...ports, operators, look })]
    this.#upkeep = new Upkeep({
      ...{ ...ports, operators, look, quotaSizeBytes: member.quotaSizeBytes },
      isOurs: members => isOurs(ports.role(), members, member.name),
    })
  }

  /** How all members are, as this server saw them last. */
  get members(): readonly MemberHealth[] {
    return this.#watch.members
  }

  /**
   * Has the member of a server taken out, and waits until that was done. Throws OperatingError
   * `unavailable` when it was not: the others would have no quorum, or nobody holds the role.
   */
  async remove(nodeId: string): Promise<void> {
    const { store, clock, member } = this.#ports
    const own = (await this.#watch.look()).find(one => one.nodeId === nodeId)
    if (own === undefined) return
    const isLast = this.members.filter(({ isLearner }) => !isLearner).length === 1
    if (isLast && !own.isLearner) return
    await store.write((view, now) => ({ txn: [leaving(view, own, now)], answer: undefined }))
    const endMs = clock.monotonic() + limits.memberRemoveMs
    const isOwn = nodeId === member.name
    while (this.#watch.members.some(({ memberId }) => memberId === own.memberId)) {
      // Whoever was removed hears it from its own process: nobody lists it any more.
      if (isOwn && member.standing === 'removed') return
      if (clock.monotonic() >= endMs) {
        throw new OperatingError(
          OperatingCode.unavailable,
          `the member of ${nodeId} was not taken out in time: the others lack a quorum, or no ` +
            'server looks after members now. It goes as soon as that can be',
        )
      }
      await sleep(clock, limits.memberReadyPollMs)
      await this.#watch.look()
    }
  }

  start(): void {
    this.#watch.start()
    this.#enrolment.start()
    this.#upkeep.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#watch.stop(), this.#enrolment.stop(), this.#upkeep.stop()])
  }
}

/** The row by which a member is made to leave. */
function leaving(view: Reader, { nodeId, peerUrl, clientUrl }: MemberHealth, now: number): Op {
  const before = view.get(storeMembers, nodeId)?.row
  const row: MemberRow = {
    ...{ nodeId, peerUrl, clientUrl, incarnation: '', askedAtMs: now },
    ...{ wantsRestart: false, mayRestart: false, ...before, phase: 'leaving' },
  }
  return put(storeMembers, nodeId, row)
}

/** In a full store nobody can take a role: then it is for the server whose member leads. */
function isOurs(role: RoleState, members: readonly MemberHealth[], name: string): boolean {
  if (role !== 'nobody') return role === 'ours'
  const isFull = members.some(({ alarms }) => alarms.includes('NOSPACE'))
  return isFull && members.some(({ isLeader, nodeId }) => isLeader && nodeId === name)
}
