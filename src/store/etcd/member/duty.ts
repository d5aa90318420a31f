/**
 * Carrying out changes of the members: work of the one server that holds the timekeeper's role.
 *
 * Owns that there is one change at a time, made after a look that is newer than the last change,
 * and only while the role is held: each begins with a fenced write. What etcd refuses is tried
 * again after the next look; nothing here decides (plan.ts does).
 */
import type { Clock } from '../../../base/clock.ts'
import { messageOf, OperatingError, Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { pause } from '../../../base/pause.ts'
import { type Decide, del, put, type Store } from '../../store.ts'
import type { AutopilotRow } from '../../tables/autopilot.ts'
import { type MemberRow, storeMembers } from '../../tables/member.ts'
import type { Duty } from '../../timekeeper.ts'
import type { MemberHealth } from './health.ts'
import type { MemberOperator, Operators } from './operator.ts'
import { type Change, nextChange } from './plan.ts'

export interface ChangePorts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly operators: Operators
  /** Looks at all members now. */
  readonly look: () => Promise<readonly MemberHealth[]>
  readonly rules: () => AutopilotRow
  /** The ids of servers' nodes that left or were made to. */
  readonly left: () => ReadonlySet<string>
}

type Fenced = <A>(decide: Decide<A>) => Decide<A>

/** Changes members as the plan says, while the role is held. */
export const memberChanges =
  (ports: ChangePorts): Duty =>
  (signal, fenced) =>
    new MemberChanges(ports, fenced).serve(signal)

class MemberChanges {
  readonly #ports: ChangePorts
  readonly #fenced: Fenced
  #told = ''

  constructor(ports: ChangePorts, fenced: Fenced) {
    this.#ports = ports
    this.#fenced = fenced
  }

  async serve(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#ports
    while (!signal.aborted) {
      try {
        await this.#step()
      } catch (error) {
        if (error instanceof OperatingError && error.code === 'closed') return
        this.#tell(`a change of the members failed: ${messageOf(error)}`, text => log.warn(text))
      }
      await pause(clock, limits.memberLookMs, signal)
    }
  }

  async #step(): Promise<void> {
    const { store, rules, left, log, look } = this.#ports
    const members = await look()
    if (members.length === 0) return
    const view = store.view()
    const rows = new Map([...view.entries(storeMembers)].map(({ key, row }) => [key, row]))
    const leaving = [...rows.values()].filter(({ phase }) => phase === 'leaving')
    const gone = new Set([...left(), ...leaving.map(({ nodeId }) => nodeId)])
    const { change, waiting } = nextChange({ members, rows, rules: rules(), left: gone })
    if (change !== undefined && (await this.#isHeld())) {
      await this.#make(change, members)
      this.#told = ''
    } else if (waiting.length > 0) {
      this.#tell(waiting.join('; '), text => log.info('members', { waiting: text }))
    }
  }

  /** Says something once, until something else is to be said. */
  #tell(text: string, say: (text: string) => void): void {
    if (text !== this.#told) say(text)
    this.#told = text
  }

  /** Whether the role is held still, as the store says it. */
  async #isHeld(): Promise<boolean> {
    const { store } = this.#ports
    const given = await store.write(this.#fenced(() => ({ txn: [], answer: undefined })))
    return !(given instanceof Refusal)
  }

  async #make(change: Change, members: readonly MemberHealth[]): Promise<void> {
    const { log } = this.#ports
    switch (change.kind) {
      case 'add': {
        const { row, why } = change
        const operator = await this.#operator(members)
        const { id } = await operator.add([row.peerUrl], true)
        log.info('added a member as a learner', { node: row.nodeId, peer: row.peerUrl, why })
        return this.#tellAdded(row, id)
      }
      case 'tell':
        return this.#tellAdded(change.row, change.memberId)
      case 'promote': {
        const { member, why } = change
        const operator = await this.#operator(members)
        await operator.promote(member.memberId)
        log.info('a member has a vote now', { node: member.nodeId, why })
        return
      }
      case 'remove': {
        const { member, why } = change
        const operator = await this.#operator(members, member.memberId)
        await operator.remove(member.memberId)
        log.warn('removed a member', { node: member.nodeId, peer: member.peerUrl, why })
        return this.#forget(member)
      }
      case 'restart':
        log.info('a member is started anew', { node: change.row.nodeId })
        return this.#change(change.row, { mayRestart: true })
    }
  }

  /** A member that can make changes: the leader if it can be, never the one concerned. */
  async #operator(members: readonly MemberHealth[], except?: string): Promise<MemberOperator> {
    const able = members.filter(
      ({ memberId, isLearner, clientUrl }) => memberId !== except && !isLearner && clientUrl !== '',
    )
    const best =
      able.find(({ isLeader }) => isLeader) ?? able.find(({ isHealthy }) => isHealthy) ?? able[0]
    if (best === undefined) throw new Error('no member is there to ask')
    return this.#ports.operators.at(best.clientUrl)
  }

  #tellAdded(row: MemberRow, memberId: string): Promise<void> {
    this.#ports.log.debug('told a server that its member was added', { memberId })
    return this.#change(row, { phase: 'added' })
  }

  /** Changes another server's row, unless that server wrote it meanwhile. */
  async #change(row: MemberRow, part: Partial<MemberRow>): Promise<void> {
    await this.#ports.store.write(
      this.#fenced(view => {
        const now = view.get(storeMembers, row.nodeId)?.row
        if (now?.incarnation !== row.incarnation || now.phase !== row.phase) {
          return { txn: [], answer: undefined }
        }
        return { txn: [put(storeMembers, row.nodeId, { ...now, ...part })], answer: undefined }
      }),
    )
  }

  /** Takes the row of a removed member away, unless its server asks anew already. */
  async #forget({ nodeId, peerUrl }: MemberHealth): Promise<void> {
    await this.#ports.store.write(
      this.#fenced(view => {
        const row = view.get(storeMembers, nodeId)?.row
        const isIts = row !== undefined && row.peerUrl === peerUrl && row.phase !== 'asking'
        return { txn: isIts ? [del(storeMembers, nodeId)] : [], answer: undefined }
      }),
    )
  }
}
