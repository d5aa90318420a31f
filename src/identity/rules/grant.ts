/**
 * Grants: the one form that rule languages compile to.
 *
 * A grant says which capabilities a principal has on the names of one resource that a pattern
 * covers. Owns the sets of capabilities and how grants of the same pattern are joined. Must never
 * know a language: one with other patterns adds a form to `Pattern` and its place in the order of
 * tree.ts, one with other capabilities adds bits; neither touches what decides.
 */

/*
 * The model, as far as it is the same for every language:
 *
 *  - capabilities are bits; a grant that allows none of them is a denial;
 *  - of the grants whose patterns cover a name, the most specific one decides alone: an exact
 *    pattern before a prefix, a longer prefix before a shorter one;
 *  - grants of one pattern are joined: those of the highest rank, whose capabilities add up
 *    unless one of them denies. Of Consul's levels each holds the one below, so this is its order
 *    of deny, write, list, read; it is also how Vault joins policies for one path;
 *  - where no pattern covers a name, the default of the principal decides.
 */

/** Bits of capabilities. */
export const bits = { read: 1, list: 2, write: 4 } as const

/** Which names: all that begin with `text`, or the one that is `text`. */
export interface Pattern {
  readonly form: 'exact' | 'prefix'
  readonly text: string
}

/** Where a grant comes from, for explanations. */
export interface Origin<R> {
  readonly policyId: string
  readonly policyName: string
  readonly rule: R
}

export interface Grant<R> {
  readonly resource: string
  readonly pattern: Pattern
  /** Bits of the capabilities; 0 denies. */
  readonly allowed: number
  /** A grant of a higher rank stands instead of those of a lower one with the same pattern. */
  readonly rank: number
  readonly origin: Origin<R>
}

/**
 * One grant for each resource and pattern, by resource. The origin of a joined grant is that of
 * the first grant which alone gives what the joined one does; of the first of all where none does.
 */
export function joinGrants<R>(grants: Iterable<Grant<R>>): Map<string, Grant<R>[]> {
  const joined = new Map<string, Map<string, Grant<R>>>()
  for (const grant of grants) {
    const ofResource = joined.get(grant.resource) ?? new Map<string, Grant<R>>()
    joined.set(grant.resource, ofResource)
    const key = `${grant.pattern.form} ${grant.pattern.text}`
    const before = ofResource.get(key)
    ofResource.set(key, before === undefined ? grant : join(before, grant))
  }
  return new Map([...joined].map(([resource, ofResource]) => [resource, [...ofResource.values()]]))
}

function join<R>(a: Grant<R>, b: Grant<R>): Grant<R> {
  if (a.rank !== b.rank) return a.rank > b.rank ? a : b
  const allowed = a.allowed === 0 || b.allowed === 0 ? 0 : a.allowed | b.allowed
  if (a.allowed === allowed) return a
  return b.allowed === allowed ? b : { ...a, allowed }
}
