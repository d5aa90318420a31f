/**
 * What an answer to a read says of how it was made, and what of the query decides that.
 *
 * Owns Consul's headers for it. Sends nothing and waits for nothing.
 */
import { Refusal } from '../base/errors.ts'
import { type Asker, type AskOptions, Consistency } from '../store/ask.ts'
import type { Interest } from '../store/replica/interest.ts'
import type { Contact } from './contact.ts'
import type { Acted, Asking, Reading } from './declare.ts'
import type { QueryOf, readParameters } from './query.ts'

type ReadQuery = QueryOf<typeof readParameters>

/** What the answer's headers tell of how it was made. */
export interface Meta {
  /** The lines that are the same for every answer to the question. */
  readonly lines: readonly string[]
  /** The same as one text, to be compared. */
  readonly key: string
  /** Whether it is told if the answer was there already. */
  readonly tellsCache: boolean
}

/** The refusal of modes that contradict each other. */
export function refuseModes(query: ReadQuery): Refusal | undefined {
  const isStale = query.stale || (query.max_stale ?? 0) > 0
  if (!query.consistent || !(isStale || query.cached)) return undefined
  const other = isStale ? 'stale' : 'cached'
  const text = `Cannot specify ?${other} with ?consistent, conflicting semantics.`
  return new Refusal(400, text)
}

/**
 * What the index must pass: a hash that is still the answer's, or an index of its own that is,
 * stands for the index of now.
 */
export function indexToPass(
  asker: Asker,
  { question, hash, ownIndex }: Asking,
  query: ReadQuery,
): number {
  if (hash === undefined && ownIndex === undefined) return query.index
  const asked = asker.now(question, OWN_VIEW)
  if (asked === undefined) return 0
  const isSame =
    ownIndex === undefined
      ? hash?.of(question.read(asked.view) as never) === hash?.given
      : query.index === Number(ownIndex(asked.view))
  return isSame ? asked.index : 0
}

/** What is kept answers at once, however the same question would be asked of a store. */
export const keptOptions = ({ index, waitMs }: AskOptions): AskOptions => ({
  ...{ index, waitMs, consistency: Consistency.stale },
})

/** What an agent must keep to answer; undefined where only a server can. */
export const interestsOf = ({ question, rendering }: Asking): readonly Interest[] | undefined =>
  'distance' in rendering && rendering.distance !== undefined ? undefined : question.standsOn

/** Consul's agents stream the health of services to whoever waits for it, unless it is sorted. */
export function metaOf(
  operation: Reading<typeof readParameters>,
  asking: Asking,
  { consistency, index }: AskOptions,
  isCached: boolean,
): Meta {
  const streams = operation.streams === true && asking.isFresh !== true && (index > 0 || isCached)
  const lines = ['X-Consul-Query-Backend', streams ? 'streaming' : 'blocking-query']
  if (operation.effective === true) {
    const mode = consistency === Consistency.default ? 'leader' : consistency
    lines.push('X-Consul-Effective-Consistency', mode)
  }
  return { lines, key: lines.join(), tellsCache: isCached && operation.cached === true }
}

/**
 * Whether the answer was there already. On a server it is what holds now: it is never older than
 * the request.
 */
export const cacheLinesOf = (isHit: boolean, ageMs: number): readonly string[] =>
  isHit ? ['X-Cache', 'HIT', 'Age', String(Math.floor(ageMs / 1_000))] : ['X-Cache', 'MISS']

/** Puts in what is told anew with each answer: whether the view was the newest, and its age. */
export function tellContact(lines: string[], { isKnown, ageMs }: Contact): void {
  lines[KNOWN_AT] = String(isKnown)
  lines[CONTACT_AT] = String(ageMs)
}

/** Makes room in the lines for what is told anew: all else may be the same. */
export const placeContact = (lines: string[]): void => {
  lines.splice(KNOWN_AT - 1, 0, 'X-Consul-KnownLeader', '', 'X-Consul-LastContact', '')
}

/** The answer with what a read says of itself; a refusal says nothing of that. */
export const withMeta = (acted: Acted): Acted =>
  acted instanceof Refusal ? acted : { ...acted, headers: { ...META_HEADERS, ...acted.headers } }

/** What a read that failed says of itself. */
export const FAILED_READ_HEADERS = {
  'X-Consul-Index': '1',
  'X-Consul-KnownLeader': 'false',
  'X-Consul-LastContact': '0',
}

/** Something was left out of the answer. */
export const FILTERED_LINES = ['X-Consul-Results-Filtered-By-ACLs', 'true']

const META_HEADERS = {
  'X-Consul-Index': '1',
  'X-Consul-KnownLeader': 'true',
  'X-Consul-LastContact': '0',
}

const OWN_VIEW: AskOptions = { consistency: Consistency.stale, index: 0, waitMs: 0 }

/** Where the headers of a read say whether its view is known to be the newest, and its age. */
const KNOWN_AT = 3
const CONTACT_AT = 5
