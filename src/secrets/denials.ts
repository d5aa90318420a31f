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

const NO_RULE = { path: '', policy: '', line: 0 }

export class Denials {
  /** Oldest first. */
  readonly #denials = new Map<string, Denial>()
  #pathsChars = 0

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
    if (denial === undefined) return undefined
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
