/**
 * Programs that a command starts for the user: by a shell unless told otherwise, as Consul's do.
 *
 * Owns the words of their faults (Go's) and the passing on of signals. A token never gets into
 * their words; what is in our environment is in theirs.
 */
import type { Child, ChildEnd } from '../base/io/child.ts'
import type { Call, Flag, Signal } from './command.ts'

export const shellFlag: Flag = {
  name: 'shell',
  kind: 'switch',
  doc: 'run the command by a shell, that of SHELL or /bin/sh (on unless -shell=false)',
}

/** Starts the words of a command line; `added` joins our environment. */
export function startWords(
  { flags, io }: Call,
  words: readonly string[],
  added: Readonly<Record<string, string>>,
  stdin: 'ours' | 'none' | Buffer,
): Promise<Child> {
  const shell = io.environment.SHELL || '/bin/sh'
  const line = flags.isOn('shell', true) ? [shell, '-c', words.join(' ')] : words
  return io.start(line, { environment: { ...io.environment, ...added }, stdin })
}

/** What a child's end is called when it is a failure; undefined when it is none. */
export function faultOf({ code, signal }: ChildEnd): string | undefined {
  if (code === 0) return undefined
  return code === undefined
    ? `signal: ${signal?.replace('SIG', '').toLowerCase()}`
    : `exit status ${code}`
}

/** Signals that a child gets from us and that end nothing here. */
export const passedSignals: readonly Signal[] = ['SIGHUP', 'SIGUSR1', 'SIGUSR2']

/** Signals that end the command. */
export const endSignals: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGQUIT']
