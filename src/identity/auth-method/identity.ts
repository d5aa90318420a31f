/**
 * Who a login says somebody is: what binding rules may select, and the variables of their names.
 *
 * Owns the form that all kinds of auth methods give, so that binding rules know no kind. Everything
 * in it was said by somebody else: it is data, never part of an expression or a name as it stands.
 */
import { type Fields, itself, record, texts } from '../../filter/fields.ts'

export interface LoginIdentity {
  /** Selected as `value.<name>`; a claim that a token lacks is ''. */
  readonly values: Readonly<Record<string, string>>
  /** Selected as `list.<name>`. */
  readonly lists: Readonly<Record<string, readonly string[]>>
  /** What stands in names, by the whole name of the variable: `value.<name>`. */
  readonly variables: ReadonlyMap<string, string>
}

/** What the selector of a binding rule may say of a login. */
export const identityFields: Fields<LoginIdentity> = {
  value: record(({ values }) => values, itself),
  list: record(
    ({ lists }) => lists,
    texts((list: readonly string[]) => list),
  ),
}

/** The identity that these claims make. */
export const identityOf = (
  values: ReadonlyMap<string, string>,
  lists: ReadonlyMap<string, readonly string[]>,
): LoginIdentity => ({
  values: Object.fromEntries(values),
  lists: Object.fromEntries(lists),
  variables: new Map([...values].map(([name, value]) => [`value.${name}`, value])),
})
