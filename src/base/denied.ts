/**
 * The refusal of a right, in the words that clients match on.
 *
 * Owns the text only. What a principal may do is the identity room's; see who.ts.
 */
import { Refusal } from './errors.ts'
import { type Access, isAnonymous, type Who } from './who.ts'

/** 403, naming the accessor, the right and the object, as Consul does. */
export function denied(who: Who, wanted: Access): Refusal {
  const token = isAnonymous(who) ? 'anonymous token' : `token with AccessorID '${who.accessor}'`
  const object = wanted.name === '' ? '' : ` on "${wanted.name}"`
  return new Refusal(
    403,
    `Permission denied: ${token} lacks permission '${wanted.resource}:${wanted.capability}'${object}`,
  )
}

/** The refusal of the first of these rights that is lacking; undefined when none is. */
export function refuse(who: Who, wanted: readonly Access[]): Refusal | undefined {
  const lacking = wanted.find(one => !who.may(one))
  return lacking === undefined ? undefined : denied(who, lacking)
}
