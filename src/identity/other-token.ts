/**
 * Tokens that the registry did not give: those of the secrets, as far as the registry asks.
 *
 * Owns the port, and when two looks at such a token came to the same. Who gave one, and what may be
 * said of it, is known elsewhere. Pure.
 */
import type { WallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Reader } from '../store/view.ts'

/** A token of the secrets, as it stands in one view. */
export interface OtherToken {
  /** What it is told apart by; never the key of a row of the registry's. */
  readonly key: Bytes
  readonly accessor: string
  readonly description: string
  /** The path of its namespace: '' for the root one, else with a slash at its end. */
  readonly namespace: string
  /** Names of the policies of its own namespace that hold for it. */
  readonly policies: readonly string[]
  /** Undefined where it has none. */
  readonly entity: OtherEntity | undefined
  /** From then on it is refused; 0 for never. */
  readonly expiresAtMs: number
  /** The same token in another view; the refusal of one that is no more, or cannot be seen. */
  again(view: Reader, now: WallMs): OtherToken | Refusal
}

/** Whom a token stands for. */
export interface OtherEntity {
  readonly id: string
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
}

/** Whoever knows these tokens. */
export interface OtherTokens {
  /** The scope that wakes whenever one of them may have changed. */
  readonly scope: string
  /**
   * Whose a secret is. Undefined where it is none of theirs; a refusal where it is, or may be, and
   * cannot be honoured here or now.
   */
  find(view: Reader, secret: string, now: WallMs): OtherToken | Refusal | undefined
  /** Calls whenever they can, or cannot, be seen any more. */
  onChange(changed: () => void): void
}

/** Whether two looks at a token came to the same. */
export function isSameOther(one: OtherToken, other: OtherToken | Refusal): boolean {
  if (other instanceof Refusal || one.key !== other.key) return false
  if (one.expiresAtMs !== other.expiresAtMs || one.namespace !== other.namespace) return false
  return areSameTexts(one.policies, other.policies) && isSameEntity(one.entity, other.entity)
}

const areSameTexts = (some: readonly string[], others: readonly string[]): boolean =>
  some === others || (some.length === others.length && some.every((one, i) => one === others[i]))

function isSameEntity(one: OtherEntity | undefined, other: OtherEntity | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  if (one.id !== other.id || one.name !== other.name) return false
  if (one.metadata === other.metadata) return true
  return areSameTexts(Object.entries(one.metadata).flat(), Object.entries(other.metadata).flat())
}
