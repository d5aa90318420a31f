/**
 * Where the command line keeps the token of a login: `~/.vault-token`, as Vault's tools do.
 *
 * Owns the file: for its owner alone, replaced as a whole, so that a crash leaves the old token
 * or the new one.
 */
import { join } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import { readFileIfExists, writeFileAtomic } from '../../base/io/file.ts'
import type { Io } from '../command.ts'
import { Failure } from './failure.ts'

const NAME = '.vault-token'

/** The token that was kept; undefined when none was. Throws Failure. */
export async function keptToken({ environment }: Pick<Io, 'environment'>) {
  const home = environment.HOME
  if (!home) return undefined
  try {
    const bytes = await readFileIfExists(join(home, NAME))
    return bytes?.toString('utf8').trim() || undefined
  } catch (error) {
    throw new Failure(`failed to get token from token helper: ${messageOf(error)}`, 2)
  }
}

/** Keeps a token. Throws what the disk says. */
export async function keepToken({ environment }: Pick<Io, 'environment'>, token: string) {
  const home = environment.HOME
  if (!home) throw new Error('HOME is not set')
  await writeFileAtomic(join(home, NAME), token, { modeBits: 0o600 })
}
