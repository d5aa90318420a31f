/**
 * Names of policies as tokens carry them: lower case, in order, each once.
 *
 * Owns that form, and who may have `root`. What a policy says is none of its business. Pure.
 */
import { Refusal } from '../../base/errors.ts'

export const ROOT_POLICY = 'root'
const DEFAULT_POLICY = 'default'
/** Of tokens that hold one wrapped answer; nobody can be given it. */
export const WRAPPING_POLICY = 'response-wrapping'

/** Policies that are ours alone. */
const UNASSIGNABLE = [WRAPPING_POLICY, 'control-group']

/** The names in their form, however they were written. */
export function cleanPolicies(names: readonly string[]): string[] {
  const clean = names.map(name => name.trim().toLowerCase()).filter(name => name !== '')
  return [...new Set(clean)].sort()
}

/** The same with `default`, unless it is not wanted. */
export const withDefault = (names: readonly string[], isWanted: boolean): string[] =>
  cleanPolicies(isWanted ? [...names, DEFAULT_POLICY] : names)

/** The refusal of policies that cannot be given to anybody. */
export function refuseUnassignable(names: readonly string[]): Refusal | undefined {
  const name = names.find(name => UNASSIGNABLE.includes(name))
  return name === undefined
    ? undefined
    : new Refusal(400, `cannot assign policy ${JSON.stringify(name)}`)
}
