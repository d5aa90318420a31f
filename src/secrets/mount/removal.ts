/**
 * Unmounting: what a mount keeps and what it gave goes with it.
 *
 * Owns the order: the mount is off its table at once, so that nothing under it is served any more,
 * and its rows go with it. Pure.
 */
import type { Engine } from '../declare.ts'
import type { Draft } from '../storage.ts'
import { deleteMount, type MountRow, storageOf } from './mount.ts'

/** Takes a mount away. */
export function removeMount(draft: Draft, engines: readonly Engine[], mount: MountRow): void {
  engines
    .find(each => each.kind === mount.kind && each.type === mount.type)
    ?.unmount?.(draft, mount)
  deleteMount(draft, mount)
  storageOf(draft, mount).deleteAll()
}
