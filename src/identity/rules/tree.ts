/**
 * Finds, among the grants of one resource, the one that decides about a name.
 *
 * Owns a radix tree over the patterns' texts. A look-up costs the length of the name and
 * allocates nothing. Beside the grants each place knows what is allowed by everything at or below
 * it, so that a whole range of names is as quick to ask about as one name.
 */
import type { Grant, Pattern } from './grant.ts'

interface Place<R> {
  /** What stands between the place above and this one. */
  label: string
  /** By the first character of their labels. */
  readonly below: Map<number, Place<R>>
  exact: Grant<R> | undefined
  prefix: Grant<R> | undefined
  /** Capabilities that every grant here and below allows. */
  common: number
}

/** Every capability. */
const ALL = -1

function emptyPlace<R>(label: string): Place<R> {
  return { label, below: new Map(), exact: undefined, prefix: undefined, common: ALL }
}

export class GrantTree<R> {
  readonly #root = emptyPlace<R>('')
  readonly #all: readonly Grant<R>[]

  /** The grants have patterns that differ. */
  constructor(grants: readonly Grant<R>[]) {
    this.#all = grants
    for (const grant of grants) insert(this.#root, grant)
  }

  /**
   * The grant that decides about a name: the exact one, else that of the longest prefix; with
   * `isRange` that of the longest prefix, as it covers all names that begin with this one.
   */
  find(name: string, isRange = false): Grant<R> | undefined {
    let place = this.#root
    let found = place.prefix
    let at = 0
    while (at < name.length) {
      const next = place.below.get(name.charCodeAt(at))
      if (next === undefined || !name.startsWith(next.label, at)) return found
      at += next.label.length
      place = next
      if (place.prefix !== undefined) found = place.prefix
    }
    return isRange ? found : (place.exact ?? found)
  }

  /** What is allowed by all grants whose patterns begin with `text`; all bits if none does. */
  commonUnder(text: string): number {
    return descend(this.#root, text)?.place.common ?? ALL
  }

  /** One of the grants whose patterns begin with `text` and which lack a capability, if any. */
  lackingUnder(text: string, bit: number, except?: Grant<R>): Grant<R> | undefined {
    return this.#all.find(
      grant =>
        (grant.allowed & bit) === 0 && grant !== except && grant.pattern.text.startsWith(text),
    )
  }

  /** One of the grants that allow a capability, if any. */
  allowing(bit: number): Grant<R> | undefined {
    return this.#all.find(grant => (grant.allowed & bit) !== 0)
  }

  /** The grant with just this pattern. */
  at({ form, text }: Pattern): Grant<R> | undefined {
    const end = descend(this.#root, text)
    return end?.isWhole === true ? end.place[form] : undefined
  }
}

function insert<R>(root: Place<R>, grant: Grant<R>): void {
  const { form, text } = grant.pattern
  let place = root
  let at = 0
  place.common &= grant.allowed
  while (at < text.length) {
    place = step(place, text, at)
    place.common &= grant.allowed
    at += place.label.length
  }
  place[form] = grant
}

/** The place below that the rest of `text` leads to, made or cut to fit. */
function step<R>(place: Place<R>, text: string, at: number): Place<R> {
  const first = text.charCodeAt(at)
  const next = place.below.get(first)
  if (next === undefined) {
    const leaf = emptyPlace<R>(text.slice(at))
    place.below.set(first, leaf)
    return leaf
  }
  const { label } = next
  let shared = 1
  while (shared < label.length && text[at + shared] === label[shared]) shared++
  if (shared === label.length) return next
  const middle = emptyPlace<R>(label.slice(0, shared))
  middle.common = next.common
  middle.below.set(label.charCodeAt(shared), next)
  next.label = label.slice(shared)
  place.below.set(first, middle)
  return middle
}

/** The place where `text` ends, or, when it ends on the way to one, that one. */
function descend<R>(
  root: Place<R>,
  text: string,
): { readonly place: Place<R>; readonly isWhole: boolean } | undefined {
  let place = root
  let at = 0
  while (at < text.length) {
    const next = place.below.get(text.charCodeAt(at))
    if (next === undefined) return undefined
    const rest = text.length - at
    if (rest < next.label.length) {
      return next.label.startsWith(text.slice(at)) ? { place: next, isWhole: false } : undefined
    }
    if (!text.startsWith(next.label, at)) return undefined
    at += next.label.length
    place = next
  }
  return { place, isWhole: true }
}
