/**
 * Conditions behind a gate: what a rule was allowed for somebody is judged before it is written.
 *
 * Owns that everything that a rule asked rights for and got is governed, whatever path it came by,
 * and that what let a request pass is told with it. Knows no token: whoever joins the parts says
 * what one is. Pure, but for the note on the request.
 */
import type { WallMs } from '../../base/brand.ts'
import type { Refusal } from '../../base/errors.ts'
import { Caller, nothingUnmet, type RequestFacts, type Unmet, type Who } from '../../base/who.ts'
import { isRefusal } from '../../store/store.ts'
import type { Reader } from '../../store/view.ts'
import type { Gate } from '../../store/writer.ts'
import {
  type ConditionFacts,
  evaluateConditions,
  hasConditions,
  type TokenFacts,
} from './evaluate.ts'

/** What conditions may know of the token that somebody shows. Called where one is looked at. */
export type FactsOfToken = (view: Reader, who: Who) => TokenFacts

/** A gate with conditions behind it. */
export const conditionGate = (inner: Gate, factsOf: FactsOfToken): Gate => ({
  admit(view, who, now) {
    // Nothing is noted yet: a rule may run again, also where no condition stands any more.
    if (who instanceof Caller) note(who.request, nothingUnmet)
    const admitted = inner.admit(view, who, now)
    // What the server does by itself is governed by nobody.
    if (isRefusal(admitted) || !(admitted instanceof Caller) || !hasConditions(view)) {
      return admitted
    }
    // A list of its own for each run.
    return new Caller(admitted.principal, admitted.request, admitted.lacked, [])
  },
  judge(view, who, now) {
    const refusal = inner.judge(view, who, now)
    if (refusal !== undefined || !(who instanceof Caller)) return refusal
    // A rule that asked for no right, such as a login, has judged what it does itself.
    if (who.granted === undefined || who.granted.length === 0) return undefined
    const token = (): TokenFacts => factsOf(view, who)
    return judgeRequest(view, { who, request: who.request, targets: who.granted, token }, now)
  },
})

/**
 * Judges what a request does, or a login (`loginTarget`), and notes on it which conditions do not
 * hold, whether they refuse it or let it pass: the last judgement counts.
 */
export function judgeRequest(
  view: Reader,
  facts: ConditionFacts,
  now: WallMs,
): Refusal | undefined {
  const { refusal, refusedBy, advisories, overridden } = evaluateConditions(view, facts, now)
  note(facts.request, { advisories, overridden, refusedBy })
  return refusal
}

function note(request: RequestFacts, { advisories, overridden, refusedBy }: Unmet): void {
  request.advisories = advisories
  request.overridden = overridden
  request.refusedBy = refusedBy
}
