/**
 * Forms: how frames become bytes. Each face has one; nothing else of the room knows any.
 *
 * Owns what a frame says. A reader gets, in this order: a snapshot in parts (or, where he resumed,
 * nothing of it), then deltas and heartbeats; `resync` says that a snapshot follows that takes the
 * place of all he has. Only a frame that carries a resume token leaves him with whole state.
 */
import type { AnyItem } from '../store/topic.ts'

/** Why a reader begins anew. */
export const ResyncReason = {
  /** The changes since then are not kept any more. */
  compacted: 'compacted',
  /** The store was restored, or it is another one. */
  restored: 'restored',
  /** He may see more or less than before. */
  rights: 'rights',
  /** He asks with another filter than before. */
  filter: 'filter',
  /** He was too slow, or this server was. */
  behind: 'behind',
} as const
export type ResyncReason = (typeof ResyncReason)[keyof typeof ResyncReason]

/** What every part of a snapshot or delta says besides its items. */
export interface Head {
  /** The index that the state has once all parts are there: as clients see indexes. */
  readonly revision: number
  /** Undefined in all parts but the last. */
  readonly resume: string | undefined
  /** Whether items were left out that this reader may not see; told with the last part. */
  readonly isFiltered: boolean
}

/** Makes frames out of fragments of one kind. All are pure. */
export interface Form<F extends { readonly length: number } = { readonly length: number }> {
  /** Readers of one form, filter and rights share their frames. */
  readonly name: string
  /** Whether frames may be sent joined, as on a stream of bytes. */
  readonly isJoined: boolean
  /** An item in a list. */
  item(topic: string, item: AnyItem): F
  /** The key of an item that is gone. */
  removal(topic: string, key: string): F
  snapshot(topic: string, items: readonly F[], head: Head): Buffer
  delta(topic: string, upserts: readonly F[], removals: readonly F[], head: Head): Buffer
  heartbeat(revision: number, resume: string): Buffer
  resync(reason: ResyncReason): Buffer
}
