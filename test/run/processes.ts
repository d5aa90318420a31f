/**
 * Which processes a test file started and left behind, and how to end them.
 *
 * A process belongs to a file when it is in the file's session or carries the file's mark in
 * its environment. Must never touch a process by its name.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** The environment variable that every process of a test file inherits. */
export const MARK = 'GATEHOUSE_TEST_ID'

const GRACE_MS = 3_000
const POLL_MS = 50

/** The living processes of the file that ran as `session` with `mark`, except itself. */
function processesOf(session: number, mark: string): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== session)
    .filter(name => belongs(name, session, mark))
    .map(Number)
}

function belongs(pid: string, session: number, mark: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // After the name in brackets: state, parent, group, session.
    const [state, , , itsSession] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return false
    if (Number(itsSession) === session) return true
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${mark}`)
  } catch {
    return false // it ended meanwhile, or is another user's
  }
}

/**
 * Waits a moment for the file's processes to end by themselves, kills the rest and returns a
 * line for each that had to be killed.
 */
export async function sweep(session: number, mark: string): Promise<string[]> {
  const end = performance.now() + GRACE_MS
  let left = processesOf(session, mark)
  while (left.length > 0 && performance.now() < end) {
    await sleep(POLL_MS)
    left = processesOf(session, mark)
  }
  const lines = left.map(pid => `${pid} ${commandOf(pid)}`)
  left.forEach(kill)
  return lines
}

/** Kills the file's whole session at once. */
export function killAll(session: number, mark: string): void {
  for (const pid of [...processesOf(session, mark), session]) kill(pid)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}
