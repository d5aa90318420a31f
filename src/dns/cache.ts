/**
 * Answers kept by their question, at most so many and so large.
 *
 * Owns what is forgotten: an answer that was not used since the hand of the clock last came by
 * (second chance), so that a hit costs one write of a flag. Never looks whether an answer still
 * holds; its keeper does.
 */

import type { Revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Scope } from '../store/wait.ts'
import type { AnswerTemplate } from '../wire/dns/mod.ts'

/** What a cache must know of what it keeps. */
export interface Keepable {
  /** What it takes in memory beyond what it shares with others. */
  readonly sizeBytes: number
  isUsed: boolean
}

/** What goes out of an answer that is kept. */
export interface Answering {
  readonly template: AnswerTemplate
  /** The second whose time is part of it; 0 when it holds longer. */
  readonly second: number
  /** How many answers go out at most; 0 for all that fit. */
  readonly wantedAnswers: number
  /** Whether answers keep their order: a name first, then where it leads. */
  readonly isOrdered: boolean
  /** The EDNS option that says why nothing is told, where rights were lacking. */
  readonly denial: Buffer | undefined
}

/** An answer and what it stands on. */
export interface Kept extends Answering, Keepable {
  /** It holds while this scope has that revision; undefined when nothing can change it. */
  readonly scope: Scope | undefined
  readonly revision: Revision
  /** Host names that the answer leads to and that somebody can tell more of; mostly none. */
  readonly hosts: readonly string[]
}

/** After so many entries without an eviction the hand goes back to the beginning. */
const HAND_RESTS_SETS = 1_000

export class AnswerCache<T extends Keepable> {
  readonly #maxEntries: number
  readonly #maxSizeBytes: number
  readonly #kept = new Map<Bytes, T>()
  /**
   * Undefined where it stands at the beginning. An iterator that rests while entries come and go
   * keeps every table that the map has outgrown since, with all that was in it then.
   */
  #hand: Iterator<[Bytes, T]> | undefined
  #setsSinceHand = 0
  #sizeBytes = 0

  constructor(maxEntries: number, maxSizeBytes: number) {
    this.#maxEntries = maxEntries
    this.#maxSizeBytes = maxSizeBytes
  }

  get size(): number {
    return this.#kept.size
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get(key: Bytes): T | undefined {
    const kept = this.#kept.get(key)
    if (kept !== undefined) kept.isUsed = true
    return kept
  }

  /** Keeps an answer in place of the one that was there; makes room for it. */
  set(key: Bytes, kept: T): void {
    this.delete(key)
    while (this.#kept.size > 0 && this.#isFullFor(kept)) this.#evict()
    this.#kept.set(key, kept)
    this.#sizeBytes += kept.sizeBytes
    this.#setsSinceHand++
    if (this.#setsSinceHand > HAND_RESTS_SETS) this.#hand = undefined
  }

  delete(key: Bytes): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#kept.delete(key)
    this.#sizeBytes -= kept.sizeBytes
  }

  #isFullFor({ sizeBytes }: T): boolean {
    const isLarge = this.#sizeBytes + sizeBytes > this.#maxSizeBytes
    return this.#kept.size >= this.#maxEntries || isLarge
  }

  /** Moves the hand to an answer that was not used since it last came by, and forgets that. */
  #evict(): void {
    this.#setsSinceHand = 0
    for (;;) {
      this.#hand ??= this.#kept.entries()
      const next = this.#hand.next()
      if (next.done === true) {
        this.#hand = undefined
        continue
      }
      const [key, kept] = next.value
      if (!kept.isUsed) {
        this.delete(key)
        return
      }
      kept.isUsed = false
    }
  }
}
