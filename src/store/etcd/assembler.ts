/**
 * Puts the events of a watch together by revision.
 *
 * Owns the rule that a revision is seen whole or not at all: etcd may cut a large response
 * anywhere, also between the events of one revision. Notices a watch that goes back in time.
 */
import { type Revision, revision } from '../../base/brand.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import type { WatchEvent, WatchResponse } from './client.ts'

/** All events of one revision. */
export interface WholeRevision {
  readonly at: Revision
  readonly events: readonly WatchEvent[]
}

export class Assembler {
  /** The newest revision that was begun; those before it are whole. */
  #at: number
  #events: WatchEvent[] = []

  /** `after` is the revision behind which the watch begins. */
  constructor(after: number) {
    this.#at = after
  }

  /** Takes a response and gives the revisions that are whole by now. */
  push({ events, fragment }: Pick<WatchResponse, 'events' | 'fragment'>): WholeRevision[] {
    const whole: WholeRevision[] = []
    for (const event of events) {
      const at = event.kv.modRevision.toNumber()
      if (at < this.#at || (at === this.#at && this.#events.length === 0)) {
        const text = `etcd's watch gave revision ${at} after ${this.#at}`
        throw new OperatingError(OperatingCode.damaged, text)
      }
      if (at > this.#at) {
        this.#finish(whole)
        this.#at = at
      }
      this.#events.push(event)
    }
    // Without more fragments to come, etcd has told all of the last revision too.
    if (!fragment) this.#finish(whole)
    return whole
  }

  #finish(whole: WholeRevision[]): void {
    if (this.#events.length === 0) return
    whole.push({ at: revision(this.#at), events: this.#events })
    this.#events = []
  }
}
