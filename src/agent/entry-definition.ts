/**
 * Configuration entries as files hold them.
 *
 * Owns nothing but the way there: what an entry may say is the registry's.
 */
import { Refusal } from '../base/errors.ts'
import type { HclObject } from '../hcl/hcl.ts'
import type { Entry } from '../registry/config-entry/kind.ts'
import { decodeEntry, refuseEntry } from '../registry/config-entry/mod.ts'

/** Reads a block of `config_entries.bootstrap`; undefined when it is wrong, which is told. */
export function readEntry(
  block: HclObject,
  complain: (problem: string) => void,
): Entry | undefined {
  const entry = decodeEntry(block)
  const refusal = entry instanceof Refusal ? entry : refuseEntry(entry)
  if (refusal === undefined) return entry as Entry
  complain(refusal.text.replace(/^Request decoding failed: /, '').trim())
  return undefined
}
