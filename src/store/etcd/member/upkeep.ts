/**
 * Looking after the members' files: work of the one server that holds the timekeeper's role, or of
 * the one whose member leads while the store is so full that nobody can take a role.
 *
 * Owns the memory of revisions by time, and that one piece of work is done at a time, after a new
 * look. Decides nothing (upkeep-plan.ts does).
 */
import { revision } from '../../../base/brand.ts'
import type { Clock } from '../../../base/clock.ts'
import { messageOf, OperatingError } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import type { Log } from '../../../base/log.ts'
import { pause } from '../../../base/pause.ts'
import type { Store } from '../../store.ts'
import type { MemberHealth } from './health.ts'
import type { Operators } from './operator.ts'
import { type History, nextUpkeep, type Work } from './upkeep-plan.ts'

export interface UpkeepPorts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly operators: Operators
  readonly look: () => Promise<readonly MemberHealth[]>
  /** Whether it is for this server to do anything. */
  readonly isOurs: (members: readonly MemberHealth[]) => boolean
  readonly quotaSizeBytes: number
}

export class Upkeep {
  readonly #ports: UpkeepPorts
  readonly #stopping = new AbortController()
  #history: { atMs: number; revision: number }[] = []
  #compacted = 0
  readonly #defragmented = new Map<string, number>()
  #told = ''
  #running: Promise<void> = Promise.resolve()

  constructor(ports: UpkeepPorts) {
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
    const { clock } = this.#ports
    const { signal } = this.#stopping
    while (!signal.aborted) {
      let delayMs: number = limits.memberUpkeepMs
      try {
        // There may be more to do at once: another member, or the alarm.
        if (await this.step()) delayMs = limits.memberLookMs
      } catch (error) {
        if (error instanceof OperatingError && error.code === 'closed') return
        this.#tell(`work on the members' files failed: ${messageOf(error)}`)
      }
      await pause(clock, delayMs, signal)
    }
  }

  /** Does one piece of work where there is one; gives whether there was. */
  async step(): Promise<boolean> {
    const { clock, store, look, isOurs, quotaSizeBytes } = this.#ports
    const members = await look()
    const nowMs = clock.monotonic()
    const newest = Math.max(0, ...members.map(one => one.revision))
    this.#history = remembered(this.#history, nowMs, newest)
    if (members.length === 0 || !isOurs(members)) return false
    this.#compacted = Math.max(this.#compacted, store.status().compacted)
    const { work, trouble } = nextUpkeep({
      ...{ members, history: this.#history, nowMs, quotaSizeBytes },
      ...{ compacted: this.#compacted, defragmented: this.#defragmented },
    })
    if (trouble !== '') this.#tell(trouble)
    if (work === undefined) return false
    await this.#do(work)
    return true
  }

  #tell(text: string): void {
    if (text !== this.#told) this.#ports.log.error(text)
    this.#told = text
  }

  async #do(work: Work): Promise<void> {
    const { store, log, operators, clock } = this.#ports
    switch (work.kind) {
      case 'compact':
        await store.compact(revision(work.revision))
        this.#compacted = work.revision
        log.debug('forgot history', { revision: work.revision })
        return
      case 'move-leader': {
        const operator = await operators.at(work.from.clientUrl)
        await operator.moveLeader(work.to.memberId)
        log.info('moved the leadership', { from: work.from.nodeId, to: work.to.nodeId })
        return
      }
      case 'defragment': {
        const { memberId, nodeId, clientUrl, sizeBytes } = work.member
        this.#defragmented.set(memberId, this.#compacted)
        const operator = await operators.at(clientUrl)
        log.info('defragmenting a member; it answers nothing meanwhile', { node: nodeId })
        const startMs = clock.monotonic()
        await operator.defragment()
        const after = await operator.status()
        const tookMs = Math.round(clock.monotonic() - startMs)
        log.info('defragmented a member', {
          ...{ node: nodeId, tookMs, sizeBytes, leftSizeBytes: after.sizeBytes },
        })
        return
      }
      case 'disarm':
        for (const { memberId, clientUrl, nodeId } of work.members) {
          const operator = await operators.at(clientUrl)
          await operator.disarm({ memberId, kind: 'NOSPACE' })
          log.warn('there is room again: the store takes writes', { node: nodeId })
        }
        this.#told = ''
    }
  }
}

/** One note a step, as many as the window needs. */
function remembered(
  history: History,
  atMs: number,
  now: number,
): { atMs: number; revision: number }[] {
  const from = atMs - limits.memberHistoryMs
  // The newest one before the window stays: it is what was there when the window began.
  const first = Math.max(
    0,
    history.findLastIndex(one => one.atMs <= from),
  )
  return [...history.slice(first), { atMs, revision: now }]
}
