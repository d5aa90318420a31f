/**
 * The refusal of a right, in the words that clients match on.
 *
 * Owns the text, and how rules ask for one of several rights. What a principal may do is the
 * identity room's; see who.ts.
 */
import { Refusal } from './errors.ts'
import { type Access, isAnonymous, principalOf, type Who } from './who.ts'

/** Consul has one word for keys, be it one or all that begin alike. */
const wordOf = ({ resource }: Access): string => (resource === 'key_prefix' ? 'key' : resource)

/** 403, naming the accessor, the right and the object, as Consul does. */
export function denied(who: Who, wanted: Access): Refusal {
  const token = isAnonymous(who) ? 'anonymous token' : `token with AccessorID '${who.accessor}'`
  const object = wanted.name === '' ? '' : ` on "${wanted.name}"`
  return new Refusal(
    403,
    `Permission denied: ${token} lacks permission '${wordOf(wanted)}:${wanted.capability}'${object}`,
  )
}

/** The refusal of the first of these rights that is lacking; undefined when none is. */
export function refuse(who: Who, wanted: readonly Access[]): Refusal | undefined {
  const lacking = wanted.find(one => !who.may(one))
  return lacking === undefined ? undefined : denied(who, lacking)
}

/**
 * Whether one of these rights is there, where one is enough. When none is, the first is noted as
 * lacking: it is the one to ask for.
 */
export function mayOne(who: Who, first: Access, ...others: readonly Access[]): boolean {
  const principal = principalOf(who)
  return who.may([first, ...others].find(one => principal.may(one)) ?? first)
}
