/**
 * What a read says of its view: whether it is known to be the newest, and how old it may be.
 *
 * Owns the words of Consul for that, in headers and in bodies. Reads nothing and decides nothing.
 */
import type { Age } from '../store/freshness.ts'
import { bool, int } from './shape.ts'

/** Whether a view was vouched for within the last second, and how old it may be. */
export interface Contact {
  readonly isKnown: boolean
  readonly ageMs: number
}

/** What a read of this view says; one that asked the store first had the newest. */
export function contactOf(age: Age, isStale: boolean): Contact {
  if (!isStale) return NEWEST
  const ageMs = age.ageMs()
  // A view that nobody looks after has no age that could be told.
  return { isKnown: !age.isDegraded, ageMs: Number.isFinite(ageMs) ? Math.round(ageMs) : 0 }
}

const NEWEST: Contact = { isKnown: true, ageMs: 0 }

export const contactHeaders = ({ isKnown, ageMs }: Contact) => ({
  'X-Consul-KnownLeader': String(isKnown),
  'X-Consul-LastContact': String(ageMs),
})

export const contactFields = { LastContact: int, KnownLeader: bool }

/** In a body a duration has nanoseconds. */
export const contactJson = ({ isKnown, ageMs }: Contact) => ({
  LastContact: ageMs * NS_PER_MS,
  KnownLeader: isKnown,
})

const NS_PER_MS = 1_000_000
