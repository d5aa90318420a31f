/**
 * Following whole state: what sinks and others ask a feed for, wherever they run.
 *
 * Owns the port alone. In a server it stands on the feed room (follow.run.ts), outside of one on
 * the event stream of an agent.
 */

/** What is followed: a topic, what of it, and which of its items. */
export interface Followed {
  readonly topic: string
  /** '' for topics that are one whole. */
  readonly subject: string
  /** A filter expression, '' for all items. */
  readonly filter: string
}

/**
 * Why there is no state although the feed tells of one: to whoever lacks the rights everything
 * looks empty, and what follows must not take that for the truth.
 */
export const NOTHING_SEEN = 'there is something, and the token may see none of it'

export interface FollowPort {
  /** Follows until it is stopped. Calls nothing before it returns, and nothing after the stop. */
  follow(
    what: Followed,
    on: {
      /** The whole state, each time it changed: items by key, the JSON value parsed. */
      state(items: ReadonlyMap<string, unknown>, revision: number): void
      /** No state for now (server lost, no right): why. The last state stays. */
      lost(problem: string): void
    },
  ): { stop(): void }
}
