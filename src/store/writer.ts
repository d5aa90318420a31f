/**
 * Writes made for somebody: every one of them goes through here.
 *
 * Owns the order of what stands round a rule: who asks is looked at again in the view that the rule
 * decides on, the rule decides, conditions on what it was allowed are judged, and the audit record
 * rides in the same transaction. Knows no rule, no token and no policy: the gate does.
 */
import type { WallMs } from '../base/brand.ts'
import type { Random } from '../base/clock.ts'
import type { Refusal } from '../base/errors.ts'
import { everybody, type Who } from '../base/who.ts'
import type { JournalEntry } from './journal.ts'
import { Overlay } from './overlay.ts'
import { type Committed, type Decision, isRefusal, type Store, type Written } from './store.ts'
import type { Reader } from './view.ts'

/** A rule that decides for somebody. Pure, like any rule; see Decide. */
export type DecideFor<A> = (
  view: Reader,
  who: Who,
  now: WallMs,
  random: Random,
) => Decision<A> | Refusal

/** What stands before and behind every rule. All of it is pure. */
export interface Gate {
  /**
   * The same principal as this view knows it, or the refusal of one that is no more. What it reads
   * is among what the transaction stands on.
   */
  admit(view: Reader, who: Who, now: WallMs): Who | Refusal
  /** The refusal of what was allowed, by a condition that does not hold. */
  judge(view: Reader, who: Who, now: WallMs): Refusal | undefined
}

/** The gate of a server whose ACLs are off. */
export const openGate: Gate = { admit: (_view, who) => who, judge: () => undefined }

/** What makes the audit record of a write for somebody; undefined where none is wanted. */
export type RecordOf = (who: Who) => JournalEntry | undefined

const unrecorded: RecordOf = () => undefined

/** A part of a write that is decided and judged by itself. */
export interface Part<A> {
  /** Whom it is for, by the view with the parts before it. */
  readonly who: (view: Reader) => Who
  readonly decide: DecideFor<A>
}

export class Writer {
  readonly #store: Store
  readonly #gate: Gate
  readonly #recordOf: RecordOf

  constructor(store: Store, gate: Gate = openGate, recordOf: RecordOf = unrecorded) {
    this.#store = store
    this.#gate = gate
    this.#recordOf = recordOf
  }

  /** Applies a rule for somebody. Resolves and rejects as `Store.write` does. */
  write<A>(who: Who, decide: DecideFor<A>): Promise<Written<A> | Refusal> {
    if (who === everybody) {
      return this.#store.write((view, now, random) => decide(view, who, now, random))
    }
    return this.#store.write((view, now, random) => {
      const admitted = this.#gate.admit(view, who, now)
      if (isRefusal(admitted)) return admitted
      const decided = decide(view, admitted, now, random)
      return isRefusal(decided) ? decided : (this.#gate.judge(view, admitted, now) ?? decided)
    }, this.#recordOf(who))
  }

  /**
   * Applies several rules in one transaction, each for whom it names; its record is that of `who`.
   * What is refused is left out, by itself; what changes nothing is not judged. The answer has one
   * for each.
   */
  writeEach<A>(
    who: Who,
    parts: readonly Part<A>[],
  ): Promise<Written<readonly (A | Refusal)[]> | Refusal> {
    return this.#store.write(
      (view, now, random) => {
        const after = new Overlay(view)
        const answer = parts.map(({ who: whoIn, decide }) => {
          const asked = whoIn(after)
          const by = asked === everybody ? asked : this.#gate.admit(after, asked, now)
          if (isRefusal(by)) return by
          const decided = decide(after, by, now, random)
          if (isRefusal(decided)) return decided
          const changes = asked !== everybody && decided.txn.length > 0
          const refusal = changes ? this.#gate.judge(after, by, now) : undefined
          if (refusal !== undefined) return refusal
          after.apply(decided.txn)
          return decided.answer
        })
        return { txn: after.ops, answer: at => answer.map(one => settled(one, at)) }
      },
      who === everybody ? undefined : this.#recordOf(who),
    )
  }
}

/** An answer, with what it says of the commit. */
const settled = <A>(answer: A | ((at: Committed) => A), at: Committed): A =>
  typeof answer === 'function' ? (answer as (at: Committed) => A)(at) : answer
