/**
 * Tells the operator when somebody else took a service away from this agent: a deregistration
 * through the catalog removes the agent's definition too, so that the service does not come back.
 *
 * Owns the distinction from the agent's own removals, by the revisions of its writes. A write and
 * the feed may tell of a revision in either order, so the judgement comes a moment later.
 */
import type { Revision } from '../base/brand.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'

export interface LossPorts {
  readonly timeouts: Timeouts
  readonly log: Log
}

export class Losses {
  readonly #ports: LossPorts
  /** Revisions of this agent's writes since the last judgement, and of those before it. */
  #own = new Set<Revision>()
  #ownBefore = new Set<Revision>()
  #removed: { readonly at: Revision; readonly service: string }[] = []
  #judgement: Timeout | undefined

  constructor(ports: LossPorts) {
    this.#ports = ports
  }

  /** The agent itself wrote this revision. */
  expect(at: Revision): void {
    this.#own.add(at)
    this.#judgeSoon()
  }

  /** The definition of a service is gone since this revision. */
  note(at: Revision, service: string): void {
    this.#removed.push({ at, service })
    this.#judgeSoon()
  }

  stop(): void {
    this.#judgement?.cancel()
  }

  #judgeSoon(): void {
    this.#judgement ??= this.#ports.timeouts.after(limits.agentSyncDelayMs, () => {
      this.#judgement = undefined
      const removed = this.#removed
      const [own, ownBefore] = [this.#own, this.#ownBefore]
      this.#removed = []
      this.#own = new Set()
      this.#ownBefore = own
      for (const { at, service } of removed) {
        if (own.has(at) || ownBefore.has(at)) continue
        this.#ports.log.info(
          'a service of this agent was deregistered through the catalog: its definition is gone too',
          { service },
        )
      }
    })
  }
}
