/**
 * What devices have, over restarts: a small file beside the store with the number of the newest
 * record of each.
 *
 * Owns the file. It may be behind, never ahead of what a device has: what it lacks is sent again.
 */
import { readFileIfExists, writeFileAtomic } from '../base/io/file.ts'

/** The newest record of each device, by its name. */
export type SinkNotes = Readonly<Record<string, number>>

/** Reads the file; where there is none, or nothing of ours, no device has anything. */
export async function readNotes(path: string): Promise<SinkNotes> {
  const bytes = await readFileIfExists(path)
  if (bytes === undefined) return {}
  try {
    const given: unknown = JSON.parse(bytes.toString('utf8'))
    const entries = typeof given === 'object' && given !== null ? Object.entries(given) : []
    return Object.fromEntries(
      entries.filter(([, value]) => Number.isSafeInteger(value) && value > 0),
    )
  } catch {
    return {}
  }
}

/** Replaces the file as a whole. */
export function writeNotes(path: string, notes: SinkNotes): Promise<void> {
  return writeFileAtomic(path, `${JSON.stringify(notes)}\n`)
}
