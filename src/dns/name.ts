/**
 * The name of a question, taken apart: our domain, the label that says what it is about, what
 * stands before that and after.
 *
 * Owns the grammar that all forms share: `<before>.<kind>[.<place>].<domain>`. Never looks at the
 * store. All labels are raw bytes with their letters in lower case, as a question's key has them.
 */
import type { Bytes } from '../base/bytes.ts'
import { addressFromReverse } from '../wire/dns/mod.ts'

/** A domain that we answer for. */
export interface Zone {
  /** With its final dot. */
  readonly text: string
  readonly labels: readonly Bytes[]
}

/** The labels that say what a name is about. */
const KINDS = ['addr', 'connect', 'ingress', 'node', 'query', 'service', 'virtual'] as const

/**
 * `srv` is a name of RFC 2782 that leaves the label `service` out; `reverse` an address under
 * in-addr.arpa or ip6.arpa; `''` has no such label.
 */
export type Kind = (typeof KINDS)[number] | 'srv' | 'reverse' | ''

export interface Name {
  readonly zone: Zone
  readonly kind: Kind
  /** What it is about; for the kind `''` all labels before the domain, for `reverse` the bytes. */
  readonly before: readonly Bytes[]
  /** Where to look: empty, a datacenter, or pairs such as `dc1.dc`. */
  readonly after: readonly Bytes[]
}

/** The zone of a domain as the configuration has it: `consul`, `a.example`. */
export const zoneOf = (domain: string): Zone => ({
  text: `${domain}.`,
  labels: domain.split('.'),
})

/**
 * Takes a name apart; undefined when it lies in none of the zones. The longest zone wins. What an
 * address leads back to lies in the first one.
 */
export function readName(labels: readonly Bytes[], zones: readonly Zone[]): Name | undefined {
  let zone: Zone | undefined
  for (const each of zones) {
    if (endsWith(labels, each.labels) && !(zone && zone.labels.length >= each.labels.length)) {
      zone = each
    }
  }
  if (zone === undefined) {
    const address = addressFromReverse(labels)
    if (address === undefined || zones[0] === undefined) return undefined
    return { zone: zones[0], kind: 'reverse', before: [address], after: [] }
  }
  const own = labels.slice(0, labels.length - zone.labels.length)
  // The rightmost label that can say it does: a service may be called `node`.
  for (let at = own.length - 1; at >= 0; at--) {
    const kind = KINDS.find(each => each === own[at])
    if (kind !== undefined) {
      return { zone, kind, before: own.slice(0, at), after: own.slice(at + 1) }
    }
    if (own[at]!.startsWith('_')) {
      return { zone, kind: 'srv', before: own.slice(0, at + 1), after: own.slice(at + 1) }
    }
  }
  return { zone, kind: '', before: own, after: [] }
}

/** Where the labels after the kind point to. */
export const Place = {
  /** Our own datacenter, named or not. */
  here: 'here',
  /** A datacenter that is not known, or no place at all. */
  nowhere: 'nowhere',
  /** Peers and sameness groups. */
  later: 'later',
} as const
export type Place = (typeof Place)[keyof typeof Place]

/** Reads `[<dc>[.dc]]`, and knows the places that are not served yet. */
export function placeOf(labels: readonly Bytes[], datacenter: string): Place {
  const [first, second] = labels
  if (first === undefined) return Place.here
  if (second === 'peer' || second === 'sg') return Place.later
  const isOurs = first === datacenter && (second === undefined || second === 'dc')
  return isOurs && labels.length <= 2 ? Place.here : Place.nowhere
}

function endsWith(labels: readonly Bytes[], end: readonly Bytes[]): boolean {
  const skipped = labels.length - end.length
  return skipped >= 0 && end.every((label, at) => label === labels[skipped + at])
}
