/**
 * What this server says of its own member in the store, and what it does when it is told.
 *
 * Owns this server's row and no other: it asks to be added, starts its member once that was done,
 * and starts it anew when it may. Goes through the store like everything else, so that it works as
 * soon as any member serves.
 */
import type { Clock } from '../../../base/clock.ts'
import { messageOf, OperatingError, Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { pause } from '../../../base/pause.ts'
import { put, type Store } from '../../store.ts'
import { type MemberRow, storeMembers } from '../../tables/member.ts'
import type { MemberHealth } from './health.ts'
import type { ManagedMember } from './member.ts'

export interface EnrolPorts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly member: ManagedMember
  /** The members as they are. */
  readonly members: () => readonly MemberHealth[]
}

export class Enrolment {
  readonly #ports: EnrolPorts
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #lastFault = ''
  /** Said once in this run that it is here: who is made to leave after that leaves. */
  #hasEntered = false

  constructor(ports: EnrolPorts) {
    this.#ports = ports
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#ports
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.step()
        this.#lastFault = ''
      } catch (error) {
        if (error instanceof OperatingError && error.code === 'closed') return
        const fault = messageOf(error)
        if (fault !== this.#lastFault) log.warn("the member's row is not written", { error: fault })
        this.#lastFault = fault
      }
      await pause(clock, limits.memberLookMs, signal)
    }
  }

  /** Brings row and member in line, once. */
  async step(): Promise<void> {
    const { store, member } = this.#ports
    if (member.phase === 'removed') return
    const row = store.view().get(storeMembers, member.name)?.row
    const isTold = row?.phase === 'added' && row.incarnation === member.incarnation
    if ((member.phase === 'asking' && isTold) || member.phase === 'added') await this.#enter()
    if (row?.mayRestart === true && row.wantsRestart && member.wantsRestart) await member.restart()
    await this.#write()
  }

  /** Starts the member that was added. The list must be that of this moment, itself in it. */
  async #enter(): Promise<void> {
    const { member, members, log } = this.#ports
    const { peerUrl, name } = member.address
    const all = members().map(one => ({
      name: one.peerUrl === peerUrl ? name : one.nodeId,
      peerUrl: one.peerUrl,
    }))
    if (!all.some(one => one.peerUrl === peerUrl) || all.some(one => one.name === '')) return
    if (member.phase === 'asking') log.info('this member was added; it starts as a learner')
    await member.enter(all)
  }

  async #write(): Promise<void> {
    const { store, member, clock } = this.#ports
    const { name, peerUrl, clientUrl } = member.address
    const { incarnation, wantsRestart } = member
    const isAsking = member.phase === 'asking' || member.phase === 'added'
    const askedAtMs = clock.wall()
    const hasEntered = this.#hasEntered
    const written = await store.write(view => {
      const before = view.get(storeMembers, name)?.row
      const phase = isAsking ? 'asking' : 'member'
      const isSame =
        before !== undefined &&
        before.incarnation === incarnation &&
        before.peerUrl === peerUrl &&
        before.clientUrl === clientUrl &&
        before.wantsRestart === wantsRestart &&
        (before.phase === phase ||
          (isAsking && before.phase === 'added') ||
          (hasEntered && before.phase === 'leaving'))
      if (isSame) return { txn: [], answer: undefined }
      const row: MemberRow = {
        ...{ nodeId: name, peerUrl, clientUrl, incarnation, phase, askedAtMs, wantsRestart },
        mayRestart: false,
      }
      return { txn: [put(storeMembers, name, row)], answer: undefined }
    })
    if (written instanceof Refusal) throw new Error(written.text)
    this.#hasEntered = true
  }
}
