/**
 * Scopes and who waits on them: how a blocking query sleeps until its own answer changed.
 *
 * Owns the newest revision of every named scope and all waiters. Fed by an engine when it makes a
 * version durable; never reads the store, never renders. A scope is as narrow as the question: one
 * service, one node, one key, one prefix. Wake-ups are handed out in slices, so that ten thousand
 * waiters on one service do not hold the loop.
 */
import { assert } from '../base/assert.ts'
import { type Revision, revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { Slicer } from '../base/slices.ts'

/** What a wait ended with. */
export type Woken = 'changed' | 'timeout' | 'closed'

/**
 * A named scope. Whoever keeps a rendered answer keeps the scope beside it: the answer holds
 * while `revision` is what it was.
 */
export interface Scope {
  readonly name: string
  readonly revision: Revision
  /** Set by whoever gives out what he keeps beside it; a replica keeps what is used. */
  isUsed: boolean
  /** Where `Scopes.marks` counts its changes; 0 until `Scopes.mark` gave it a place. */
  mark: number
}

/** The revision of a scope object that is no longer kept up: equal to no answer's. */
const FORGOTTEN = revision(Number.MAX_SAFE_INTEGER)

class LiveScope implements Scope {
  readonly name: string
  revision: Revision
  isUsed = false
  mark = 0
  #waiters: Set<Waiting> | undefined
  /** False while it exists only because somebody waits for something that is not there. */
  touched: boolean

  constructor(name: string, at: Revision, touched: boolean) {
    this.name = name
    this.revision = at
    this.touched = touched
  }

  /** Made when somebody waits: most scopes never see anybody. */
  get waiters(): Set<Waiting> {
    this.#waiters ??= new Set()
    return this.#waiters
  }

  get isWaitedFor(): boolean {
    return this.#waiters !== undefined && this.#waiters.size > 0
  }
}

/** A wait under way; `cancel` ends it without calling back, also when it was woken just now. */
export interface Waiter {
  cancel(): void
}

interface Waiting extends Waiter {
  /** Undefined once it was woken or cancelled. */
  wake: ((why: Woken) => void) | undefined
}

/** What to wait for: a named scope, one key of a table, or all keys under a prefix. */
export type Target =
  | { readonly scope: string }
  | { readonly table: string; readonly key: Bytes }
  | { readonly table: string; readonly prefix: Bytes }

export class Scopes {
  readonly #named = new Map<string, LiveScope>()
  /** Waiters on keys, by table and key; they exist only while somebody waits. */
  readonly #keys = new Map<string, Set<Waiting>>()
  readonly #prefixes = new Map<string, PrefixWaiters>()
  readonly #slicer = new Slicer()
  #floor: Revision = revision(0)
  #waiting = 0
  #marks: Int32Array<SharedArrayBuffer> | undefined
  #lastMark = 0

  /**
   * Counts changes of scopes, each at its mark, in memory that threads share: what one of them
   * keeps beside a count holds while the count is what it was.
   */
  get marks(): Int32Array<SharedArrayBuffer> {
    const { scopeMarks } = limits
    this.#marks ??= new Int32Array(new SharedArrayBuffer(scopeMarks * Int32Array.BYTES_PER_ELEMENT))
    return this.#marks
  }

  /** Has the changes of a scope counted; the same place may count those of others. */
  mark(scope: Scope): void {
    if (scope.mark !== 0) return
    this.#lastMark = (this.#lastMark % (limits.scopeMarks - 1)) + 1
    scope.mark = this.#lastMark
  }

  #outdate(scope: LiveScope, at: Revision): void {
    scope.revision = at
    if (scope.mark !== 0) Atomics.add(this.marks, scope.mark, 1)
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * A scope that some row has touched, or undefined. Kept beside a rendered answer, it tells by
   * its revision whether the answer still holds.
   */
  known(name: string): Scope | undefined {
    const found = this.#named.get(name)
    return found?.touched === true ? found : undefined
  }

  /** The newest revision of a scope; the floor where nothing is known of it. */
  newest(name: string): Revision {
    return this.known(name)?.revision ?? this.#floor
  }

  #live(name: string, touched: boolean): LiveScope {
    let found = this.#named.get(name)
    if (found === undefined) {
      found = new LiveScope(name, this.#floor, touched)
      this.#named.set(name, found)
    }
    return found
  }

  /**
   * Calls `wake` once when the target changes; the caller has made sure that it did not change
   * since its answer was read. `wake` runs in a slice of its own.
   */
  wait(target: Target, wake: (why: Woken) => void): Waiter {
    assert(this.#waiting < limits.waiters, 'waiters are counted before they wait')
    const set = this.#waitersOf(target)
    const waiter: Waiting = {
      wake,
      cancel: () => {
        if (waiter.wake === undefined) return
        waiter.wake = undefined
        if (!set.delete(waiter)) return
        this.#waiting--
        if (set.size === 0) this.#forget(target)
      },
    }
    set.add(waiter)
    this.#waiting++
    return waiter
  }

  #waitersOf(target: Target): Set<Waiting> {
    if ('scope' in target) return this.#live(target.scope, false).waiters
    if ('prefix' in target) {
      let table = this.#prefixes.get(target.table)
      if (table === undefined) {
        table = new PrefixWaiters()
        this.#prefixes.set(target.table, table)
      }
      return table.of(target.prefix)
    }
    const id = `${target.table}\n${target.key}`
    let set = this.#keys.get(id)
    if (set === undefined) {
      set = new Set()
      this.#keys.set(id, set)
    }
    return set
  }

  #forget(target: Target): void {
    if ('scope' in target) {
      if (this.#named.get(target.scope)?.touched === false) this.#named.delete(target.scope)
    } else if ('prefix' in target) this.#prefixes.get(target.table)?.forget(target.prefix)
    else this.#keys.delete(`${target.table}\n${target.key}`)
  }

  /** An engine tells which scopes a revision touched. */
  touch(name: string, at: Revision): void {
    const scope = this.#live(name, true)
    scope.touched = true
    if (at > scope.revision) this.#outdate(scope, at)
    if (scope.isWaitedFor) this.#wakeAll(scope.waiters)
    if (this.#named.size > limits.scopes) this.#sweep()
  }

  /**
   * Forgets the older half of the scopes that nobody waits on. They then answer with the floor,
   * which is raised to the newest of them: an index never goes back, and answers kept beside a
   * forgotten scope are seen as outdated.
   */
  #sweep(): void {
    const idle = [...this.#named.values()].filter(scope => !scope.isWaitedFor)
    idle.sort((a, b) => a.revision - b.revision)
    for (const scope of idle.slice(0, idle.length >> 1)) {
      this.#named.delete(scope.name)
      if (scope.revision > this.#floor) this.#floor = scope.revision
      this.#outdate(scope, FORGOTTEN)
    }
  }

  /** Whether somebody waits on a named scope. */
  isWaitedOn(name: string): boolean {
    return this.#named.get(name)?.isWaitedFor === true
  }

  /** Whether a scope was used since this was last asked, or somebody waits on it. */
  takeUse(name: string): boolean {
    const scope = this.#named.get(name)
    if (scope === undefined) return false
    const isUsed = scope.isUsed || scope.isWaitedFor
    scope.isUsed = false
    return isUsed
  }

  /**
   * An engine tells that it does not keep a scope up any more. Who waits is woken, and the floor is
   * raised to it, so that no index goes back.
   */
  forget(name: string): void {
    const scope = this.#named.get(name)
    if (scope === undefined) return
    this.#named.delete(name)
    if (scope.revision > this.#floor) this.#floor = scope.revision
    this.#outdate(scope, FORGOTTEN)
    if (scope.isWaitedFor) this.#wakeAll(scope.waiters)
  }

  /** An engine tells that a key changed. */
  touchKey(table: string, key: Bytes): void {
    if (this.#keys.size > 0) {
      const id = `${table}\n${key}`
      const set = this.#keys.get(id)
      if (set !== undefined) {
        this.#keys.delete(id)
        this.#wakeAll(set)
      }
    }
    this.#prefixes.get(table)?.touching(key, set => this.#wakeAll(set))
  }

  #wakeAll(set: Set<Waiting>): void {
    this.#waiting -= set.size
    const woken = [...set]
    set.clear()
    this.#slicer.each(woken, wakeOne)
  }

  /**
   * Starts over: nothing before `floor` is known scope by scope. Wakes everybody (a restored or
   * freshly loaded store answers all questions anew).
   */
  reset(floor: Revision): void {
    this.#floor = floor
    for (const scope of this.#named.values()) {
      this.#outdate(scope, FORGOTTEN)
      if (scope.isWaitedFor) this.#wakeAll(scope.waiters)
    }
    this.#named.clear()
    this.#wakeKeys()
  }

  /**
   * Any named scope may have changed up to here, nobody knows which: all are as new as that, and
   * who waits on one is woken. What keys were is known by their rows.
   */
  raise(at: Revision): void {
    if (at > this.#floor) this.#floor = at
    for (const { name } of this.#named.values()) this.touch(name, at)
  }

  /** Wakes everybody, so that a server that stops answers all who wait. */
  wakeEverybody(): void {
    for (const scope of this.#named.values()) {
      if (scope.isWaitedFor) this.#wakeAll(scope.waiters)
    }
    this.#wakeKeys()
  }

  #wakeKeys(): void {
    for (const set of this.#keys.values()) this.#wakeAll(set)
    this.#keys.clear()
    for (const table of this.#prefixes.values()) table.all(set => this.#wakeAll(set))
  }
}

/** It has nothing to cancel any more when it hears of it. */
function wakeOne(waiter: Waiting): void {
  const { wake } = waiter
  waiter.wake = undefined
  wake?.('changed')
}

/** Waiters on the prefixes of one table: found by asking once per distinct prefix length. */
class PrefixWaiters {
  readonly #byPrefix = new Map<Bytes, Set<Waiting>>()
  readonly #lengths = new Map<number, number>()

  of(prefix: Bytes): Set<Waiting> {
    let set = this.#byPrefix.get(prefix)
    if (set === undefined) {
      set = new Set()
      this.#byPrefix.set(prefix, set)
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1)
    }
    return set
  }

  forget(prefix: Bytes): void {
    if (!this.#byPrefix.delete(prefix)) return
    const left = (this.#lengths.get(prefix.length) ?? 1) - 1
    if (left === 0) this.#lengths.delete(prefix.length)
    else this.#lengths.set(prefix.length, left)
  }

  touching(key: Bytes, wake: (set: Set<Waiting>) => void): void {
    for (const length of this.#lengths.keys()) {
      if (length > key.length) continue
      const prefix = key.slice(0, length)
      const set = this.#byPrefix.get(prefix)
      if (set === undefined) continue
      this.forget(prefix)
      wake(set)
    }
  }

  all(wake: (set: Set<Waiting>) => void): void {
    for (const set of this.#byPrefix.values()) wake(set)
    this.#byPrefix.clear()
    this.#lengths.clear()
  }
}
