/**
 * Why a request was refused, or something left out of its answer.
 *
 * Owns a bounded memory of what requests lacked, and how it is told: which rule of which policy
 * decided, and the smallest rule that would have allowed it. Rights are those that the request was
 * decided by, also where they changed since. Knows accessors and names, never a secret.
 */
import { limits } from '../base/limits.ts'
import type { Access, Lack } from '../base/who.ts'
import { Principal } from './resolve.ts'
import type { Verdict } from './rules/mod.ts'

export interface Explained extends Omit<Lack, 'who' | 'lacking'> {
  readonly accessor: string
  readonly description: string
  readonly authMethod: string
  readonly policies: readonly string[]
  readonly roles: readonly string[]
  readonly lacking: readonly { readonly wanted: Access; readonly verdict: Verdict }[]
}

export class Explanations {
  /** Oldest first. */
  readonly #lacks = new Map<string, Lack>()
  #namesChars = 0

  note(lack: Lack): void {
    this.#forget(lack.id)
    this.#namesChars += namesCharsOf(lack)
    while (
      this.#lacks.size >= limits.explainedRequests ||
      (this.#namesChars > limits.explainedNamesChars && this.#lacks.size > 0)
    ) {
      this.#forget(this.#lacks.keys().next().value!)
    }
    this.#lacks.set(lack.id, lack)
  }

  #forget(id: string): void {
    const lack = this.#lacks.get(id)
    if (lack === undefined) return
    this.#lacks.delete(id)
    this.#namesChars -= namesCharsOf(lack)
  }

  /** What the request with this id lacked; undefined when it is not known, or no longer. */
  explain(id: string): Explained | undefined {
    const lack = this.#lacks.get(id)
    if (lack === undefined || !(lack.who instanceof Principal)) return undefined
    const { who, lacking, ...rest } = lack
    return {
      ...rest,
      accessor: who.accessor,
      description: who.token?.description ?? '',
      authMethod: who.token?.authMethod ?? '',
      policies: who.policyNames,
      roles: who.roleNames,
      lacking: lacking.map(wanted => ({ wanted, verdict: who.authorizer.explain(wanted) })),
    }
  }
}

/** How much of it is names that a client chose. */
const namesCharsOf = ({ name, lacking }: Lack): number =>
  lacking.reduce((chars, { name: one }) => chars + one.length, name.length)
