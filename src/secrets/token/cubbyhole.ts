/**
 * Where a token keeps secrets for itself: they go with it.
 *
 * Owns the place of them, in the cubbyhole of the token's own namespace. Pure.
 */
import { mountAt } from '../mount/mount.ts'
import type { Draft, Storage } from '../storage.ts'
import type { TokenPlace } from './token.ts'

/** The rows that a token keeps; undefined where its namespace is gone. */
export function cubbyholeOf(draft: Draft, { namespaceId, hash }: TokenPlace): Storage | undefined {
  const mount = mountAt(draft, { id: namespaceId }, 'secret', 'cubbyhole/')
  return mount && draft.area(namespaceId, `mount.${mount.uuid}/${hash}`)
}
