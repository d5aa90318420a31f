/**
 * Disks with faults: wrappers round the port of the level engine's disk, and small file systems
 * that are full or read-only.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type DiskOp, type OrderedDisk, openLevelDisk } from '../../src/base/io/level.ts'
import { freshFolder } from '../fake/folder.ts'

/** Stands in for the disk's `batch`; `next` is the real one. */
export type OnBatch = (
  ops: readonly DiskOp[],
  next: (ops: readonly DiskOp[], sync?: boolean) => Promise<void>,
) => Promise<void>

/** A disk whose batches go through `onBatch`. */
export function withBatch(disk: OrderedDisk, onBatch: OnBatch): OrderedDisk {
  return {
    get: key => disk.get(key),
    getMany: keys => disk.getMany(keys),
    scan: (from, to, pageEntries) => disk.scan(from, to, pageEntries),
    pin: () => disk.pin(),
    clear: (from, to) => disk.clear(from, to),
    close: () => disk.close(),
    batch: (ops, { sync }) => onBatch(ops, (some, own = sync) => disk.batch(some, { sync: own })),
  }
}

/** For `openDisk`: LevelDB's disk with `onBatch` in between. */
export const levelDiskWith =
  (onBatch: OnBatch) =>
  async (folder: string): Promise<OrderedDisk> =>
    withBatch(await openLevelDisk(folder), onBatch)

/** Why small file systems cannot be made here, for tap's `skip`; false when they can. */
export const cannotMount: string | false =
  process.platform === 'linux' && process.getuid?.() === 0 ? false : 'needs root to mount a tmpfs'

/** A file system of its own in a fresh folder, unmounted when the test is over. */
export interface SmallDisk {
  readonly folder: string
  remount(options: string): void
}

export function mountSmallDisk(t: Test, sizeKiB: number): SmallDisk {
  const folder = join(freshFolder(t), 'small')
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKiB}k`, 'gatehouse-test', folder])
  // Registered after the folder's own removal, and so run before it.
  t.teardown(() => execFileSync('umount', [folder]))
  const remount = (options: string): void => {
    execFileSync('mount', ['-o', `remount,${options}`, folder])
  }
  return { folder, remount }
}

/** A promise and the means to settle it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open: () => open() }
}
