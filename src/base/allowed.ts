/**
 * The one decision function of both halves: may a principal use a capability on a resource, in this
 * context?
 *
 * Owns the question alone. Each grammar of rules compiles to `Rights`: rules of the ACL system,
 * where a resource is a kind and a name and the answer is yes or no, and policies of the secrets,
 * where it is a path and the answer says what of it is given. On the way of every request: it
 * allocates nothing.
 */

/** What the rules of one principal compile to. */
export interface Rights<C extends string, R, X, D> {
  /** What the rules say. Asked by `allowed` alone. */
  decide(capability: C, resource: R, context: X): D
}

/** Whether a principal with these rights may do what is asked, as far as its grammar tells. */
export const allowed = <C extends string, R, X, D>(
  principal: Rights<C, R, X, D>,
  capability: C,
  resource: R,
  context: X,
): D => principal.decide(capability, resource, context)
