/**
 * A feed in this process: what is true, what servers tell of it, and every way in which a stream
 * can end. Nothing of it waits: frames are handed over when a test says so.
 */
import { GatehouseError } from '../../src/client/errors.ts'
import type { FeedStream, OpenFeed } from '../../src/client/follower.ts'
import type { Frame, Item } from '../../src/client/view.ts'

interface Write {
  readonly revision: number
  readonly key: string
  /** Undefined: it is gone. */
  readonly value: string | undefined
}

type Listener = Parameters<OpenFeed<string>>[1]

/** What all servers know, and how long they remember changes. */
class Truth {
  revision = 10
  readonly items = new Map<string, Item<string>>()
  readonly writes: Write[] = []
  /** Changes up to here are forgotten. */
  compacted = 0

  put(key: string, value: string): number {
    this.revision++
    this.items.set(key, { key, revision: this.revision, value })
    this.writes.push({ revision: this.revision, key, value })
    return this.revision
  }

  delete(key: string): void {
    if (!this.items.has(key)) return
    this.revision++
    this.items.delete(key)
    this.writes.push({ revision: this.revision, key, value: undefined })
  }

  /** Something else in the store changed. */
  other(): void {
    this.revision++
  }

  compact(): void {
    this.compacted = this.revision
  }

  /** What changed since, the last of each key. */
  since(revision: number): { items: Item<string>[]; deletes: string[] } {
    const keys = new Set(this.writes.filter(one => one.revision > revision).map(({ key }) => key))
    const items = [...keys].flatMap(key => this.items.get(key) ?? [])
    return { items, deletes: [...keys].filter(key => !this.items.has(key)) }
  }
}

/** A reader's stream on one server. */
class FakeStream implements FeedStream {
  readonly server: string
  readonly resume: string
  isCancelled = false
  isOver = false
  readonly #truth: Truth
  readonly #listener: Listener
  #told: number | undefined
  readonly tokens: { isRenewed: boolean }

  constructor(truth: Truth, server: string, resume: string, listener: Listener) {
    this.#truth = truth
    this.server = server
    this.resume = resume
    this.#listener = listener
    this.tokens = { isRenewed: false }
  }

  works(): void {}
  failed(): void {}

  renewToken(): Promise<boolean> {
    return Promise.resolve(this.tokens.isRenewed)
  }

  cancel(): void {
    this.isCancelled = true
    this.isOver = true
  }

  frame(frame: Frame<string>): void {
    if (!this.isOver) this.#listener.onFrame(frame)
  }

  end(error?: GatehouseError): void {
    if (this.isOver) return
    this.isOver = true
    this.#listener.onEnd(error)
  }

  /** Tells all that is to be told now. `parts`: how many items a frame has at most. */
  tell(parts = Number.POSITIVE_INFINITY): void {
    for (const frame of this.frames(parts)) this.frame(frame)
  }

  /** What a server would tell now. */
  frames(parts = Number.POSITIVE_INFINITY): Frame<string>[] {
    const { revision } = this.#truth
    const resume = `at ${revision}`
    const known = this.#told ?? (this.resume === '' ? undefined : Number(this.resume.slice(3)))
    this.#told = revision
    if (known === undefined || known < this.#truth.compacted) {
      const snapshot = pieces([...this.#truth.items.values()], parts).map((items, at, all) => ({
        kind: 'snapshot' as const,
        items,
        revision,
        resume: at === all.length - 1 ? resume : '',
      }))
      return known === undefined ? snapshot : [{ kind: 'resync', reason: 'compacted' }, ...snapshot]
    }
    const { items, deletes } = this.#truth.since(known)
    if (items.length + deletes.length === 0) return [{ kind: 'heartbeat', revision, resume }]
    return pieces(items, parts).map((part, at, all) => ({
      kind: 'delta' as const,
      since: known,
      revision,
      items: part,
      deletes: at === 0 ? deletes : [],
      resume: at === all.length - 1 ? resume : '',
    }))
  }
}

function pieces<T>(all: readonly T[], size: number): T[][] {
  const parts: T[][] = []
  for (let at = 0; at < all.length; at += size) parts.push(all.slice(at, at + size))
  return parts.length === 0 ? [[]] : parts
}

/** Servers that a follower opens streams of. */
export class FakeFeed {
  readonly truth = new Truth()
  readonly streams: FakeStream[] = []
  isDown = false
  /** What the next opening ends with. */
  refusal: GatehouseError | undefined

  readonly open: OpenFeed<string> = async (resume, listener) => {
    if (this.refusal !== undefined) throw this.refusal
    if (this.isDown) throw new GatehouseError('UNAVAILABLE', 'no server could be reached')
    const stream = new FakeStream(this.truth, `server-${this.streams.length}`, resume, listener)
    this.streams.push(stream)
    return stream
  }

  /** The stream that is open. */
  get stream(): FakeStream {
    const stream = this.streams.at(-1)
    if (stream === undefined) throw new Error('nobody follows')
    return stream
  }
}
