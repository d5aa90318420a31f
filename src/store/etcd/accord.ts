/**
 * Accord: what etcd says now must fit what it said before, and what other servers saw.
 *
 * Owns the checks by which faults of etcd's are noticed that its answers do not admit: a write
 * that is gone after a crash, a revision that goes down, events that a watch leaves out, a stale
 * read. Each head row carries the view of its writer (revision and sum of rows), and every server
 * holds that against its own. Never repairs: who finds a fault stops (see Follower.stop), and
 * serves no reads as the newest from then on.
 */
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Cell } from '../table.ts'
import type { WatchEvent } from './client.ts'

/** A view in short. */
interface Mark {
  readonly revision: number
  readonly sum: number
}

export class Accord {
  /** The views that were shown lately, oldest first. */
  #marks: Mark[] = []
  #generation = 0
  /** How often each head row was written, by its key. */
  readonly #versions = new Map<string, number>()
  /** The revision of the newest head row that was seen, or written. */
  #newestHead = 0
  /** Head rows up to here were not looked at one by one. */
  #loadedAt = 0

  /** Starts over at a view that was loaded, not followed. */
  restart(generation: number, { revision, sum }: Mark): void {
    this.#generation = generation
    this.#marks = [{ revision, sum }]
    this.#versions.clear()
    this.#loadedAt = revision
  }

  /** The view is this now. */
  note({ revision, sum }: Mark): void {
    this.#marks.push({ revision, sum })
    if (this.#marks.length < 2 * limits.etcdAccordViews) return
    this.#marks = this.#marks.slice(-limits.etcdAccordViews)
  }

  /** What a head row says of the view of its writer. */
  claim(): string {
    const { revision, sum } = this.#marks.at(-1)!
    return `${this.#generation} ${revision} ${sum}`
  }

  /** The revision of the view that is shown now; 0 before there is one. */
  get shownRevision(): number {
    return this.#marks.at(-1)?.revision ?? 0
  }

  get newestHead(): number {
    return this.#newestHead
  }

  /** A head row was seen in the watch, after the view of its revision was noted. */
  heard(key: string, { type, kv }: WatchEvent): void {
    if (type === 'DELETE') {
      this.#versions.delete(key)
      return
    }
    const version = kv.version.toNumber()
    const known = this.#versions.get(key)
    if (known !== undefined && version !== known + 1) {
      throw damaged(`a head row was written ${version} times, and ${known} times before`)
    }
    this.#versions.set(key, version)
    this.#newestHead = Math.max(this.#newestHead, kv.modRevision.toNumber())
    this.#compare(kv.value.toString('latin1').split(' ').slice(2).map(Number))
  }

  #compare([generation, revision, sum]: readonly number[]): void {
    if (revision === undefined || generation !== this.#generation) return
    const own = this.#marks.findLast(mark => mark.revision <= revision)
    if (own === undefined || own.sum === sum) return
    throw damaged(`this server and another saw different rows at revision ${revision}`)
  }

  /**
   * A transaction of ours has this revision; its lane's one before it, or the view that was shown
   * when it was sent, had the other.
   */
  committed(at: number, before: number): void {
    if (at <= before) throw damaged(`it gave revision ${at} to a write, after ${before}`)
    this.#newestHead = Math.max(this.#newestHead, at)
  }

  /** A head row was read that a lane knew at a revision. */
  headRead(at: number, before: number): void {
    if (at < before) throw damaged(`a head row is of revision ${at}, and was of ${before} before`)
  }

  /** A linearizable read was answered at this revision; `seen` was shown when it was sent. */
  etcdAt(now: number, seen: number): void {
    if (now >= seen) return
    const text = `etcd is at revision ${now} and was at ${seen} before`
    throw new OperatingError(OperatingCode.damaged, text)
  }

  /** A linearizable read found this newest head row; `seen` was known when it was sent. */
  pointRead(at: number, seen: number): void {
    if (at < seen) throw damaged(`its newest head row is of revision ${at}, and was of ${seen}`)
  }

  /** The view shows a revision: the newest head row up to there must have been among its events. */
  shown(head: number): void {
    if (head <= Math.max(this.#newestHead, this.#loadedAt)) return
    throw damaged(`its watch has left out the head row of revision ${head}`)
  }
}

/** Throws where a row's event cannot follow on what was known of the row. */
export function checkSuccession({ type, kv }: WatchEvent, before: Cell<unknown> | undefined): void {
  if (type === 'DELETE') {
    if (before === undefined) throw damaged('its watch deleted a row that was not there')
    return
  }
  const version = kv.version.toNumber()
  if (version === (before?.version ?? 0) + 1) return
  throw damaged(`its watch gave version ${version} of a row after ${before?.version ?? 0}`)
}

function damaged(what: string): OperatingError {
  return new OperatingError(OperatingCode.damaged, `etcd contradicts itself: ${what}`)
}
