/**
 * What a program that was run as a check said: its exit code and the end of its output.
 *
 * Owns the meaning of both and the texts. Pure.
 */
import { formatDuration } from '../base/duration.ts'
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult } from './define.ts'
import type { Tail } from './tail.ts'

/** The result of a program that ended; undefined as its code is an end by a signal. */
export function programResult(exitCode: number | undefined, output: Tail): CheckResult {
  return { status: statusOf(exitCode), output: tailText(output) }
}

/** The result of one that was still running when its time was over. */
export function programTimeout(timeoutMs: number, output: Tail): CheckResult {
  const said = tailText(output)
  const text = `Timed out (${formatDuration(timeoutMs)}) running check`
  return { status: CheckStatus.critical, output: said === '' ? text : `${text}\n\n${said}` }
}

/** What is kept of an output; where that is not all, how much there was stands before it. */
export function tailText(output: Tail): string {
  const { seenBytes, keptBytes } = output
  const isCut = seenBytes > keptBytes
  return (isCut ? `Captured ${keptBytes} of ${seenBytes} bytes\n...\n` : '') + output.text()
}

function statusOf(exitCode: number | undefined): CheckStatus {
  if (exitCode === 0) return CheckStatus.passing
  return exitCode === 1 ? CheckStatus.warning : CheckStatus.critical
}

const HANDED_ON = ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR']

/**
 * The variables of this process that programs of checks may see. Tokens often stand in others:
 * a check gets none that it was not meant to have.
 */
export function programEnvironment(
  all: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    HANDED_ON.flatMap(name => (all[name] === undefined ? [] : [[name, all[name]]])),
  )
}
