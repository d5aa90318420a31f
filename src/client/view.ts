/**
 * What a follower knows: the items of one topic and subject, and what each frame changes in them.
 *
 * Owns that each change is told once and none is left out: frames must join on to what is known,
 * and after a resync what came is compared with what was known. Pure: no clock, no I/O.
 */
import { isDeepStrictEqual } from 'node:util'

/** One item as it is known. `revision` grows with each change of it. */
export interface Item<V> {
  readonly key: string
  readonly revision: number
  readonly value: V
}

/** Something that happened to an item. */
export type Change<V> =
  | {
      readonly kind: 'added'
      readonly key: string
      readonly revision: number
      readonly value: V
      readonly before: undefined
    }
  | {
      readonly kind: 'changed'
      readonly key: string
      readonly revision: number
      readonly value: V
      readonly before: V
    }
  | {
      readonly kind: 'removed'
      readonly key: string
      /** The revision by which it was known to be gone. */
      readonly revision: number
      readonly value: undefined
      readonly before: V
    }

/**
 * What a server tells at once. Snapshots and deltas may come in parts: the last one alone has a
 * resume token.
 */
export type Frame<W> =
  | {
      readonly kind: 'snapshot'
      readonly items: readonly Item<W>[]
      readonly revision: number
      readonly resume: string
    }
  | {
      readonly kind: 'delta'
      /** What this reader was told last; undefined where the server does not say. */
      readonly since: number | undefined
      readonly revision: number
      readonly items: readonly Item<W>[]
      readonly deletes: readonly string[]
      readonly resume: string
    }
  | { readonly kind: 'heartbeat'; readonly revision: number; readonly resume: string }
  | { readonly kind: 'resync'; readonly reason: string }

/** What a frame did. `gap`: it does not join on to what is known, and nothing was taken from it. */
export type Applied<V> =
  | { readonly kind: 'told'; readonly changes: readonly Change<V>[]; readonly isWhole: boolean }
  | { readonly kind: 'gap'; readonly problem: string }

/** The items of one subject. `read` makes of a wire value what is kept, or leaves it out. */
export class LocalView<W, V> {
  readonly #read: (wire: W, key: string) => V | undefined
  #items = new Map<string, Item<V>>()
  /** The parts of a snapshot, or of a delta, that came so far. */
  #coming: Map<string, Item<V>> | undefined
  #parts: FrameOf<W, 'delta'>[] = []
  #revision = 0
  #resume = ''

  constructor(read: (wire: W, key: string) => V | undefined) {
    this.#read = read
  }

  get items(): ReadonlyMap<string, Item<V>> {
    return this.#items
  }

  /** Of the newest whole state that is known; 0 before there was one. */
  get revision(): number {
    return this.#revision
  }

  /** Goes on from here on any server; empty where only a snapshot helps. */
  get resume(): string {
    return this.#resume
  }

  /** A connection begins: what was half told before is not known. */
  begin(): void {
    this.#coming = undefined
    this.#parts = []
  }

  /** The next connection starts with a snapshot, as the resume token is not to be trusted. */
  forget(): void {
    this.begin()
    this.#resume = ''
  }

  apply(frame: Frame<W>): Applied<V> {
    switch (frame.kind) {
      case 'resync':
        this.#coming = new Map()
        this.#parts = []
        return told([], false)
      case 'snapshot':
        return this.#snapshot(frame)
      case 'delta':
        return this.#delta(frame)
      case 'heartbeat':
        return this.#goOn(frame) ?? told([], true)
    }
  }

  #snapshot({ items, revision, resume }: FrameOf<W, 'snapshot'>): Applied<V> {
    this.#coming ??= new Map()
    for (const item of items) {
      const value = this.#read(item.value, item.key)
      if (value !== undefined) this.#coming.set(item.key, { ...item, value })
    }
    if (resume === '') return told([], false)
    const before = this.#items
    this.#items = this.#coming
    this.#coming = undefined
    this.#revision = revision
    this.#resume = resume
    return told(differences(before, this.#items, revision), true)
  }

  #delta(frame: FrameOf<W, 'delta'>): Applied<V> {
    if (frame.resume === '') {
      if (this.#coming !== undefined) return gap('a delta within a snapshot')
      this.#parts.push(frame)
      return told([], false)
    }
    const parts = [...this.#parts, frame]
    const gone = this.#goOn({ ...frame, since: parts[0]?.since })
    if (gone !== undefined) return gone
    this.#parts = []
    const changes: Change<V>[] = []
    for (const part of parts) {
      for (const key of part.deletes) this.#remove(key, part.revision, changes)
      for (const item of part.items) this.#put(item, changes)
    }
    return told(changes, true)
  }

  #put({ key, revision, value: wire }: Item<W>, changes: Change<V>[]): void {
    const value = this.#read(wire, key)
    if (value === undefined) {
      this.#remove(key, revision, changes)
      return
    }
    const known = this.#items.get(key)
    // Told again by a server that knows less: what is newer stays.
    if (known !== undefined && known.revision > revision) return
    this.#items.set(key, { key, revision, value })
    const change = changeOf(known, { key, revision, value })
    if (change !== undefined) changes.push(change)
  }

  #remove(key: string, revision: number, changes: Change<V>[]): void {
    const known = this.#items.get(key)
    if (known === undefined) return
    this.#items.delete(key)
    changes.push({ kind: 'removed', key, revision, value: undefined, before: known.value })
  }

  /** Takes the place that a frame ends at, if it begins where we are. */
  #goOn(frame: FrameOf<W, 'delta'> | FrameOf<W, 'heartbeat'>): Applied<V> | undefined {
    const since = frame.kind === 'delta' ? frame.since : undefined
    if (this.#coming !== undefined) return gap(`a ${frame.kind} within a snapshot`)
    if (this.#resume === '') return gap(`a ${frame.kind} before a snapshot`)
    if (frame.kind === 'heartbeat' && this.#parts.length > 0) return gap('a delta was cut')
    if (since !== undefined && since !== this.#revision) {
      return gap(`a change from revision ${since} on, after ${this.#revision}`)
    }
    if (frame.revision < this.#revision) {
      return gap(`revision ${frame.revision} after ${this.#revision}`)
    }
    this.#revision = frame.revision
    this.#resume = frame.resume
    return undefined
  }
}

type FrameOf<W, K extends Frame<W>['kind']> = Extract<Frame<W>, { kind: K }>

const told = <V>(changes: readonly Change<V>[], isWhole: boolean): Applied<V> => {
  return { kind: 'told', changes, isWhole }
}

const gap = <V>(problem: string): Applied<V> => ({ kind: 'gap', problem })

/** What became of an item; undefined where nobody could tell the difference. */
function changeOf<V>(known: Item<V> | undefined, now: Item<V>): Change<V> | undefined {
  if (known === undefined) return { kind: 'added', ...now, before: undefined }
  if (isDeepStrictEqual(known.value, now.value)) return undefined
  return { kind: 'changed', ...now, before: known.value }
}

function differences<V>(
  before: ReadonlyMap<string, Item<V>>,
  after: ReadonlyMap<string, Item<V>>,
  revision: number,
): Change<V>[] {
  const changes: Change<V>[] = []
  for (const { key, value } of before.values()) {
    if (after.has(key)) continue
    changes.push({ kind: 'removed', key, revision, value: undefined, before: value })
  }
  const changed = [...after.values()].flatMap(item => changeOf(before.get(item.key), item) ?? [])
  return [...changes, ...changed.sort((a, b) => a.revision - b.revision)]
}

/**
 * Changes that wait for a slow reader: one for each key, so that they are never more than there
 * are items. What came and went meanwhile is not told.
 */
export class Waiting<V> {
  readonly #changes = new Map<string, Change<V>>()

  get size(): number {
    return this.#changes.size
  }

  add(change: Change<V>): void {
    const earlier = this.#changes.get(change.key)
    // What changed last stands last, so that revisions rise for the reader.
    this.#changes.delete(change.key)
    const joined = earlier === undefined ? change : joinedOf(earlier, change)
    if (joined !== undefined) this.#changes.set(change.key, joined)
  }

  /** The change that waits longest. */
  take(): Change<V> | undefined {
    for (const change of this.#changes.values()) {
      this.#changes.delete(change.key)
      return change
    }
    return undefined
  }
}

/** Two changes of one key as one; undefined where nothing is different for the reader. */
function joinedOf<V>(earlier: Change<V>, later: Change<V>): Change<V> | undefined {
  const { before } = earlier
  if (later.kind === 'removed') {
    return earlier.kind === 'added' ? undefined : ({ ...later, before } as Change<V>)
  }
  const { key, revision, value } = later
  if (earlier.kind === 'added') return { kind: 'added', key, revision, value, before: undefined }
  if (isDeepStrictEqual(before, value)) return undefined
  return { kind: 'changed', key, revision, value, before: before as V }
}
