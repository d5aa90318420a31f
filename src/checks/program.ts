/**
 * What a program that was run as a check said: its exit code and the end of its output.
 *
 * Owns the meaning of both, the texts, and what a program sees of our environment. Pure.
 */
import { formatDuration } from '../base/duration.ts'
import { CheckStatus } from '../store/tables/check.ts'
import type { CheckResult } from './define.ts'

/** A program to be run. */
export interface ProgramRequest {
  readonly words: readonly string[]
  /** What it reads; nothing unless given. */
  readonly input?: string
  /** How much of what it says is kept: its end. */
  readonly outputMaxSizeBytes: number
}

/** What a program said, as far as it was kept. */
export interface ProgramOutput {
  readonly text: string
  /** How much it said, kept or not. */
  readonly seenBytes: number
  readonly keptBytes: number
}

/** How a run of a program was over; the code is undefined for an end by a signal. */
export type ProgramEnd =
  | { readonly what: 'exit'; readonly code: number | undefined; readonly output: ProgramOutput }
  | { readonly what: 'timeout'; readonly output: ProgramOutput }
  | { readonly what: 'fault'; readonly text: string }

/** The result of a check that is such a program. */
export function programResult(end: ProgramEnd, timeoutMs: number): CheckResult {
  switch (end.what) {
    case 'exit':
      return { status: statusOf(end.code), output: outputText(end.output) }
    case 'timeout':
      return programTimeout(timeoutMs, end.output)
    case 'fault':
      return { status: CheckStatus.critical, output: end.text }
  }
}

/** The result of one that was still running when its time was over. */
export function programTimeout(timeoutMs: number, output: ProgramOutput): CheckResult {
  const said = outputText(output)
  const text = `Timed out (${formatDuration(timeoutMs)}) running check`
  return { status: CheckStatus.critical, output: said === '' ? text : `${text}\n\n${said}` }
}

/** What is kept of an output; where that is not all, how much there was stands before it. */
export function outputText({ text, seenBytes, keptBytes }: ProgramOutput): string {
  const isCut = seenBytes > keptBytes
  return (isCut ? `Captured ${keptBytes} of ${seenBytes} bytes\n...\n` : '') + text
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
  const known = HANDED_ON.map(name => [name, all[name]] as const)
  return Object.fromEntries(known.filter((pair): pair is [string, string] => pair[1] !== undefined))
}
