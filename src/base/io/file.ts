/**
 * Small files that must be whole: written beside, synced, then renamed over the old one.
 *
 * Owns the permissions of what we keep on disk (files 0600, folders 0700 unless told otherwise)
 * and the order write, fsync, rename, fsync of the folder. Not for anything large or frequent.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The bytes of a file, or undefined when there is none. Other faults are thrown. */
export async function readFileIfExists(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Replaces a file so that after a crash at any moment it holds the old bytes or the new ones.
 * `modeBits` defaults to 0600. The folder must be there.
 */
export async function writeFileAtomic(
  path: string,
  bytes: string | Uint8Array,
  options: { readonly modeBits?: number } = {},
): Promise<void> {
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = await open(beside, 'wx', options.modeBits ?? 0o600)
    try {
      // What is stated is meant, whatever the mask takes away.
      if (options.modeBits !== undefined) await file.chmod(options.modeBits)
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/**
 * Makes a folder, and those above it, for this user only. One that is there and empty is narrowed
 * to 0700; one that holds anything keeps its rights: it may be `/tmp` or somebody's home.
 */
export async function ensurePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  const { mode } = await stat(path)
  const isShared = (mode & STICKY_BIT) !== 0
  if ((mode & 0o077) === 0 || isShared || (await readdir(path)).length > 0) return
  await chmod(path, 0o700)
}

const STICKY_BIT = 0o1000

/** Removes a file; one that is not there is removed already. */
export const removeFile = (path: string): Promise<void> => rm(path, { force: true })

/** Whether something thrown is a system error with this code, such as ENOENT. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Makes what was created, renamed or removed in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
