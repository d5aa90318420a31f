/**
 * Loaded into the daemon of the soak: on SIGUSR2 it collects all garbage and says what lives.
 *
 * The daemon's own gauge tells what lived after a collection that came by itself, together with the
 * bodies that were read since; a twentieth more would be lost among them. Must do nothing else, and
 * nothing in processes that the daemon starts but wait for that signal.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The variable that names the file to write. */
export const LIVING_FILE = 'SOAK_LIVING_FILE'

const path = process.env[LIVING_FILE]

async function writeLiving(to: string): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // What the first one finds to be gone is told in the turns after it, and may let go of more.
  for (let i = 0; i < 2; i++) {
    collect()
    await turn()
    await turn()
  }
  collect()
  const { heapUsed, external } = process.memoryUsage()
  // By a rename, so that nobody reads a half.
  writeFileSync(`${to}.part`, String(heapUsed + external))
  renameSync(`${to}.part`, to)
}

// Code that rests is thrown away after half a minute otherwise: what was needed for the start would
// make room for a leak.
setFlagsFromString('--no-flush-bytecode')
if (path !== undefined) process.on('SIGUSR2', () => void writeLiving(path))
