/**
 * The file of the registry key: read at the start, made where there is none yet.
 *
 * Owns where it lies and what is said of a file that is no key. The file is never part of a
 * snapshot: whoever restores one on another machine brings the key by another way.
 */
import { join } from 'node:path'
import type { Random } from '../base/clock.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { ensurePrivateFolder, readFileIfExists, writeFileAtomic } from '../base/io/file.ts'
import { REGISTRY_KEY_SIZE_BYTES, RegistryKey } from './registry-key.ts'

const NAME = 'registry.key'

/**
 * The key of a data folder, in hexadecimal, 0600; of this process alone where nothing is kept.
 * Throws OperatingError when the file is there and no key.
 */
export async function loadRegistryKey(
  dataDir: string | undefined,
  random: Random,
): Promise<RegistryKey> {
  if (dataDir === undefined) return new RegistryKey(random.bytes(REGISTRY_KEY_SIZE_BYTES))
  const path = join(dataDir, NAME)
  await ensurePrivateFolder(dataDir)
  const kept = (await readFileIfExists(path))?.toString('latin1').trim()
  if (kept === undefined) {
    const made = random.bytes(REGISTRY_KEY_SIZE_BYTES)
    await writeFileAtomic(path, `${made.toString('hex')}\n`)
    return new RegistryKey(made)
  }
  const bytes = Buffer.from(kept, 'hex')
  if (bytes.length !== REGISTRY_KEY_SIZE_BYTES || bytes.toString('hex') !== kept.toLowerCase()) {
    throw new OperatingError(
      OperatingCode.damaged,
      `${path} holds no registry key: put back the one that this store's tokens were made with`,
    )
  }
  return new RegistryKey(bytes)
}

/** Keeps the registry key that a server of the cluster gave. */
export async function keepRegistryKey(
  dataDir: string,
  key: Buffer,
  write: (path: string, text: string) => Promise<void> = writeFileAtomic,
): Promise<void> {
  await write(join(dataDir, NAME), `${key.toString('hex')}\n`)
}
