/**
 * Why a request was refused, or something left out of its answer; which conditions did not hold;
 * and why one was turned away before anybody looked at who sent it.
 *
 * Owns a bounded memory of what requests lacked, and how it is told: which rule of which policy
 * decided, and the smallest rule that would have allowed it. Rights are those that the request was
 * decided by, also where they changed since. Knows accessors and names, never a secret.
 */
import { limits } from '../base/limits.ts'
import type { Access, Lack, Unmet } from '../base/who.ts'
import { ConditionLevel } from '../store/tables/acl-condition.ts'
import { Principal } from './resolve.ts'
import type { Verdict } from './rules/mod.ts'

/** A condition that did not hold for a request, and what came of that. */
export interface UnmetCondition {
  readonly name: string
  readonly level: string
  readonly outcome: 'refused' | 'overridden' | 'advised'
}

export interface Explained extends Omit<Lack, 'who' | 'lacking' | 'unmet'> {
  readonly accessor: string
  readonly description: string
  readonly authMethod: string
  readonly policies: readonly string[]
  readonly roles: readonly string[]
  readonly lacking: readonly { readonly wanted: Access; readonly verdict: Verdict }[]
  /** What refused it stands first. */
  readonly conditions: readonly UnmetCondition[]
}

export class Explanations {
  /** Those that went on stand apart: what is advised on every write must not push out refusals. */
  readonly #allowed = new Lacks()
  readonly #others = new Lacks()
  /** So do those that were turned away, of which anybody makes as many as he likes. */
  readonly #turnedAway = new Lacks()

  note(lack: Lack): void {
    if (lack.turnedAway !== undefined) {
      this.#turnedAway.note(lack)
      return
    }
    const [own, other] =
      lack.outcome === 'allowed' ? [this.#allowed, this.#others] : [this.#others, this.#allowed]
    other.forget(lack.id)
    own.note(lack)
  }

  /** What the request with this id lacked; undefined when it is not known, or no longer. */
  explain(id: string): Explained | undefined {
    const turnedAway = this.#turnedAway.get(id)
    if (turnedAway !== undefined) return { ...turnedAway, ...UNASKED }
    const lack = this.#others.get(id) ?? this.#allowed.get(id)
    if (lack === undefined || !(lack.who instanceof Principal)) return undefined
    const { who, lacking, unmet, ...rest } = lack
    return {
      ...rest,
      accessor: who.accessor,
      description: who.token?.description ?? '',
      authMethod: who.token?.authMethod ?? '',
      policies: who.policyNames,
      roles: who.roleNames,
      lacking: lacking.map(wanted => ({ wanted, verdict: who.authorizer.explain(wanted) })),
      conditions: conditionsOf(unmet),
    }
  }
}

/** Nobody was asked who sends it. */
const UNASKED = {
  ...{ accessor: '', description: '', authMethod: '' },
  ...{ policies: [], roles: [], lacking: [], conditions: [] },
}

/** Requests within the bounds; the oldest go. */
class Lacks {
  /** Oldest first. */
  readonly #lacks = new Map<string, Lack>()
  #namesChars = 0

  note(lack: Lack): void {
    this.forget(lack.id)
    this.#namesChars += namesCharsOf(lack)
    while (
      this.#lacks.size >= limits.explainedRequests ||
      (this.#namesChars > limits.explainedNamesChars && this.#lacks.size > 0)
    ) {
      this.forget(this.#lacks.keys().next().value!)
    }
    this.#lacks.set(lack.id, lack)
  }

  forget(id: string): void {
    const lack = this.#lacks.get(id)
    if (lack === undefined) return
    this.#lacks.delete(id)
    this.#namesChars -= namesCharsOf(lack)
  }

  get(id: string): Lack | undefined {
    return this.#lacks.get(id)
  }
}

/** Only these levels are passed over or advise; see ConditionLevel. */
function conditionsOf({ advisories, overridden, refusedBy }: Unmet): UnmetCondition[] {
  const { advisory, softMandatory } = ConditionLevel
  return [
    ...(refusedBy === undefined ? [] : [{ ...refusedBy, outcome: 'refused' as const }]),
    ...overridden.map(name => ({ name, level: softMandatory, outcome: 'overridden' as const })),
    ...advisories.map(name => ({ name, level: advisory, outcome: 'advised' as const })),
  ]
}

/** How much of it is names, those that a client chose among them. */
function namesCharsOf({ name, lacking, unmet }: Lack): number {
  const { advisories, overridden, refusedBy } = unmet
  const names = [...lacking.map(one => one.name), ...advisories, ...overridden]
  return names.reduce((chars, one) => chars + one.length, name.length + charsOf(refusedBy?.name))
}

const charsOf = (text = ''): number => text.length
