/**
 * Public PGP keys from files, as a server takes them: base64 of the key itself.
 *
 * Owns the three forms that a file may have: armoured, base64, binary. Whether it is a key is for
 * the server to say.
 */
import { readFile } from 'node:fs/promises'
import type { Call } from '../command.ts'
import { Failure } from './failure.ts'
import { itemsOf } from './flags.ts'

/** The keys of a flag that names files, in its order. Throws Failure. */
export function pgpKeysOf(call: Call, flag: string): Promise<string[]> {
  return Promise.all(itemsOf(call, flag).map(pgpKeyOf))
}

/** The key in a file. Throws Failure. */
export async function pgpKeyOf(file: string): Promise<string> {
  const path = file.startsWith('@') ? file.slice(1) : file
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    const { code = 'unreadable' } = error as { code?: string }
    throw new Failure(`cannot read the PGP key ${path}: ${code}`, 1)
  }
  const text = bytes.toString('latin1').trim()
  const armoured = /^-----BEGIN PGP [^\n]*-----\r?\n(?:[\w-]+: [^\n]*\n)*\r?\n([^=-]+=*)/.exec(text)
  if (armoured?.[1] !== undefined) return armoured[1].replace(/\s/g, '')
  const bare = text.replace(/\s/g, '')
  return /^[A-Za-z0-9+/]+=*$/.test(bare) ? bare : bytes.toString('base64')
}
