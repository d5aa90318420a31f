/**
 * Whole state out of frames: snapshots in parts, deltas in parts, and where it can be gone on from.
 *
 * Owns that a state is told only when it is whole, and again after a loss although nothing changed.
 * What is kept is bounded. Pure.
 */
import { limits } from '../base/limits.ts'
import { NOTHING_SEEN } from './follow.ts'

interface Item {
  readonly key: string
  readonly value: unknown
}

/** What a frame says, whatever it was written in. */
export interface StateFrame {
  readonly items?: readonly Item[]
  readonly upserts?: readonly Item[]
  readonly deletes?: readonly string[]
  readonly revision?: number
  /** Whether something was left out that the follower may not see. */
  readonly filtered?: boolean
  /** Of an error. */
  readonly text?: string
}

export class WholeState {
  readonly #tell: (items: ReadonlyMap<string, unknown>, revision: number) => void
  #items = new Map<string, unknown>()
  /** The snapshot that is coming in. */
  #coming: Map<string, unknown> | undefined
  /** The parts of a delta that came without its last one. */
  #parts: StateFrame[] = []
  #revision = 0
  #resume = ''
  #isTold = false
  /** Whether it is empty only since nothing of it may be seen. */
  #isBlind = false
  readonly #lose: (problem: string) => void

  constructor(
    tell: (items: ReadonlyMap<string, unknown>, revision: number) => void,
    lose: (problem: string) => void,
  ) {
    this.#tell = tell
    this.#lose = lose
  }

  /** Where the state can be gone on from; '' while it is not whole. */
  get resume(): string {
    return this.#resume
  }

  /** What was coming in is cut off. */
  lost(): void {
    this.#coming = undefined
    this.#parts = []
    this.#isTold = false
  }

  /** It begins anew. */
  forget(): void {
    this.#resume = ''
  }

  /**
   * Takes a frame; `resume` comes with the last part of one alone. A text says why the feed is of
   * no use any more.
   */
  take(event: string, frame: StateFrame, resume: string | null | undefined): string | undefined {
    switch (event) {
      case 'snapshot':
        this.#coming ??= new Map()
        for (const { key, value } of frame.items ?? []) this.#coming.set(key, value)
        if (this.#coming.size > limits.followItems) return this.#tooMany()
        if (resume == null) return undefined
        this.#items = this.#coming
        this.#coming = undefined
        return this.#whole(frame, resume, true)
      case 'delta':
        this.#parts.push(frame)
        return resume == null ? undefined : this.#join(frame, resume)
      case 'heartbeat':
        return this.#whole(frame, resume ?? this.#resume, !this.#isTold)
      case 'resync':
        this.lost()
        this.#coming = new Map()
        this.#isTold = true
        this.#resume = ''
        return undefined
      case 'error':
        return frame.text ?? 'the feed ended'
      default:
        return undefined
    }
  }

  #join(frame: StateFrame, resume: string): string | undefined {
    for (const { upserts = [], deletes = [] } of this.#parts) {
      for (const { key, value } of upserts) this.#items.set(key, value)
      for (const key of deletes) this.#items.delete(key)
    }
    this.#parts = []
    if (this.#items.size > limits.followItems) return this.#tooMany()
    return this.#whole(frame, resume, true)
  }

  #tooMany(): string {
    this.#items = new Map()
    this.#resume = ''
    return `more than ${limits.followItems} items`
  }

  #whole({ revision, filtered }: StateFrame, resume: string, isNews: boolean): undefined {
    this.#resume = resume
    this.#revision = revision ?? this.#revision
    this.#isBlind = this.#items.size === 0 && (filtered ?? this.#isBlind)
    if (!isNews) return
    if (this.#isBlind) {
      this.#lose(NOTHING_SEEN)
      return
    }
    this.#isTold = true
    this.#tell(this.#items, this.#revision)
  }
}
