/**
 * Why a request for secrets was refused: kept for a while under the request's id.
 *
 * Owns a bounded memory and how it is told: which block of which policy decided, and the smallest
 * rule that would have allowed it. Rights are those that the request was decided by, also where
 * they changed since. Knows accessors, names and paths, never a secret: values of a request are not
 * kept.
 */
import { limits } from '../base/limits.ts'
import type { Wanted } from './access.ts'
import { type CompiledPolicies, type Decision, smallestRule } from './policy/mod.ts'
import type { VaultPrincipal } from './token/principal.ts'

/** What was asked for, by whom, and what decided. */
export interface Denial {
  readonly who: VaultPrincipal
  readonly wanted: Wanted
  readonly compiled: CompiledPolicies
  readonly decision: Decision
  readonly nowMs: number
}

/** A refusal as it is told. */
export interface ExplainedDenial {
  readonly request_id: string
  readonly operation: string
  readonly namespace: string
  readonly path: string
  readonly accessor: string
  readonly display_name: string
  readonly policies: readonly string[]
  readonly reason: string
  /** The rule that decided; empty and 0 where there was none. */
  readonly rule: { readonly path: string; readonly policy: string; readonly line: number }
  /** The field that was not taken; '' for none. */
  readonly parameter: string
  /** What would have allowed it; '' where no further rule can. */
  readonly smallest_rule: string
}

/** A request that was turned away before anybody looked at who sent it. */
export interface TurnedAway {
  readonly status: number
  readonly reason: string
  /** The verb and the path, cut; '' where the request was not read. */
  readonly asked: string
}

const NO_RULE = { path: '', policy: '', line: 0 }

export class Denials {
  /** Oldest first. */
  readonly #denials = new Map<string, Denial>()
  #pathsChars = 0
  /** Apart from the others: anybody makes as many of these as he likes. Oldest first. */
  readonly #turnedAway = new Map<string, TurnedAway>()

  /** Keeps why a request was turned away. */
  turnAway(id: string, given: TurnedAway): void {
    if (this.#turnedAway.size >= limits.explainedRequests) {
      this.#turnedAway.delete(this.#turnedAway.keys().next().value!)
    }
    this.#turnedAway.set(id, given)
  }

  note(id: string, denial: Denial): void {
    this.#pathsChars += denial.wanted.path.length
    this.#denials.set(id, denial)
    while (
      this.#denials.size > limits.explainedRequests ||
      (this.#pathsChars > limits.explainedNamesChars && this.#denials.size > 1)
    ) {
      const [oldest, { wanted }] = this.#denials.entries().next().value!
      this.#denials.delete(oldest)
      this.#pathsChars -= wanted.path.length
    }
  }

  /** Why the request with this id was refused; undefined when it is not known, or no longer. */
  explain(id: string): ExplainedDenial | undefined {
    const denial = this.#denials.get(id)
    if (denial === undefined) return turnedAwayOf(id, this.#turnedAway.get(id))
    const { who, wanted, compiled, decision, nowMs } = denial
    const { operation, namespace, wrapTtlMs, path, access } = wanted
    const needsSudo = access === 'privileged'
    const asked = { operation, path: namespace.path + path, data: {}, wrapTtlMs, nowMs }
    const { pattern = '', policy = '', line = 0 } = decision.rule ?? {}
    return {
      request_id: id,
      ...{ operation, namespace: namespace.path, path },
      accessor: who.token.accessor,
      display_name: who.token.displayName,
      policies: who.policies,
      reason: decision.allowed && needsSudo ? 'sudo is lacking' : decision.reason,
      rule: decision.rule === undefined ? NO_RULE : { path: pattern, policy, line },
      parameter: decision.parameter ?? '',
      smallest_rule: smallestRule(compiled, asked, { namespace: namespace.path, needsSudo }) ?? '',
    }
  }
}

/** Nobody was asked who sends it, nor was a policy. */
const turnedAwayOf = (id: string, given: TurnedAway | undefined): ExplainedDenial | undefined =>
  given && {
    ...{ request_id: id, operation: '', namespace: '', path: given.asked, accessor: '' },
    ...{ display_name: '', policies: [], rule: NO_RULE, parameter: '', smallest_rule: '' },
    reason: `turned away with ${given.status}: ${given.reason}`,
  }
