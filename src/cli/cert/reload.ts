/**
 * The program that is told of a new certificate: its words as they are, no shell.
 *
 * Owns its bounds: what it prints is kept to the end of it, and one that does not end is ended,
 * with all that it started. It gets our environment without what our tokens stand in.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { pause } from '../../base/pause.ts'
import { faultOf } from '../child.ts'
import type { Io } from '../command.ts'

/** Variables that hold what no other program is to have. */
const SECRET = /^(VAULT|BAO)_(TOKEN|HEADERS|MFA|CACERT_BYTES)$|^(CONSUL_HTTP|GATEHOUSE_)\w*TOKEN$/

/** Runs it; what went wrong, or undefined. */
export async function runReload(
  io: Pick<Io, 'start' | 'environment' | 'clock'>,
  words: readonly string[],
  added: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<string | undefined> {
  const own = Object.entries(io.environment).filter(([name]) => !SECRET.test(name))
  const environment = { ...Object.fromEntries(own), ...added }
  let printed = Buffer.alloc(0)
  const output = (chunk: Buffer): void => {
    printed = Buffer.from(Buffer.concat([printed, chunk]).subarray(-limits.certReloadKeptSizeBytes))
  }
  try {
    const child = await io.start(words, { environment, stdin: 'none', output })
    const late = await isLate(io.clock, child.ended, timeoutMs)
    if (late) {
      child.signal('SIGTERM')
      if (await isLate(io.clock, child.ended, limits.certReloadGraceMs)) child.signal('SIGKILL')
    }
    const fault = late ? `it took longer than ${timeoutMs} ms` : faultOf(await child.ended)
    const said = printed
      .toString('utf8')
      .trim()
      .replaceAll(/\s*\n\s*/g, '; ')
    return fault === undefined ? undefined : `${fault}${said === '' ? '' : `: ${said}`}`
  } catch (error) {
    return messageOf(error)
  }
}

/** Whether it has not ended within the time. */
async function isLate(clock: Clock, ended: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const stop = new AbortController()
  const late = pause(clock, timeoutMs, stop.signal).then(() => !stop.signal.aborted)
  void ended.then(() => stop.abort())
  return late
}
